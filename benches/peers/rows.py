"""Runs on disk, one file each, so that a comparison can be stopped, resumed and extended."""
import json, os


def seeds(text):
    """`A..B`, half-open, as `hpo simulate --seeds` has it."""
    first, end = map(int, text.split(".."))
    return range(first, end)


def path(folder, tool, method, condition, workers, task, seed):
    return folder / tool / method.replace(" ", "_") / f"{condition}-{workers}" / task / f"{seed}.json"


def write(at, run):
    """Whole or not at all."""
    at.parent.mkdir(parents=True, exist_ok=True)
    draft = at.with_name(f"{at.name}.{os.getpid()}")
    draft.write_text(json.dumps(run, separators=(",", ":")))
    draft.replace(at)


def read(at):
    return json.loads(at.read_text()) if at.exists() else None

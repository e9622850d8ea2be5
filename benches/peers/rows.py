"""Runs on disk, one file each, so that a comparison can be stopped, resumed and extended."""
import json, os, tarfile


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


def pack(folder, archive):
    """Other tools' runs in one file: they take hours, and do not change with our builds. Equal runs give equal bytes."""
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for at in sorted(at for at in folder.glob("*/*/*/*/*.json") if at.relative_to(folder).parts[0] != "hpo"):
            entry = packed.gettarinfo(at, str(at.relative_to(folder)))
            entry.mtime = entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            with at.open("rb") as run:
                packed.addfile(entry, run)


def unpack(folder, archive):
    """Runs that are there already stay as they are."""
    with tarfile.open(archive) as packed:
        for entry in packed:
            if entry.isfile() and not (folder / entry.name).exists():
                packed.extract(entry, folder, filter="data")


def read(at):
    return json.loads(at.read_text()) if at.exists() else None

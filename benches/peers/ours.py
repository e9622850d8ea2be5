"""Plays our methods with `hpo simulate`, in the world that the other tools are given."""
import hashlib, pathlib, tempfile

import rows
from methods import BUDGET, OURS
from tables import reference
from world import Hpo

TOOL = "hpo"
NOISE, FAILURES = 0.03, 0.05  # as in problem.py


def version(program):
    return f"hpo {hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()[:10]}"


def changes(condition, task):
    """Conditions in the words of a sweep file; a report's noise is a share of the task's scale."""
    known = reference()[task]
    said = [f"trial.fixed.OpenML_task_id='{task}'", "trial.test='val_accuracy'"]
    said += [f"trial.noise={NOISE * (known['best_known'] - known['rand_q50'])}"] if condition == "noisy" else []
    said += [f"trial.failure_rate={FAILURES}"] if condition == "failing" else []
    return [word for one in said for word in ("--set", one)]


def play(program, folder, tasks, workers, condition, seeds, only):
    """All methods that this build has; what was played by the same program is left as it is."""
    mine = version(program)
    with tempfile.TemporaryDirectory() as scratch:
        hpo = Hpo(str(pathlib.Path(program).resolve()), scratch)
        for name, searcher, scheduler in OURS:
            if only is not None and name not in only:
                continue
            file = hpo.variant("configs/lcbench.toml", name, scheduler, None, searcher)
            for task in tasks if file else []:
                places = {seed: rows.path(folder, TOOL, name, condition, workers, task, seed) for seed in seeds}
                if all((rows.read(at) or {}).get("version") == mine for at in places.values()):
                    continue
                words = [*changes(condition, task), "--until-resource", str(BUDGET), "--workers", str(workers)]
                outcomes, curves = hpo.play([file], [*words, "--seeds", f"{seeds[0]}..{seeds[-1] + 1}"], "test")
                for seed, at in places.items():
                    done = outcomes[file][seed]
                    run = {"epochs": done["resource"], "seconds": done["virtual_seconds"], "jobs": done["trials"], "failed": done["failed"]}
                    rows.write(at, {"version": mine, "steps": curves[file][seed], **run})
    if hpo.unknown:
        print(f"left out, for this build has none: {', '.join(sorted(hpo.unknown))}")

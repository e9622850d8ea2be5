"""Plays methods of one tool, in that tool's environment; a run that was played before is left as it is.

    play.py ROWS TOOL METHOD --tasks A,B --seeds 0..20 --workers 8 --condition smooth --budget 2600"""
import argparse, importlib, os, pathlib, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "tools"))
import rows
from clock import Clock
from problem import CONDITIONS

MODULES = {"optuna": "optuna_tool", "syne-tune": "syne_tune_tool", "smac": "smac_tool"}


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("rows", type=pathlib.Path)
    words.add_argument("tool", choices=MODULES)
    words.add_argument("method")
    words.add_argument("--tasks", type=lambda text: text.split(","), required=True)
    words.add_argument("--seeds", type=rows.seeds, required=True)
    words.add_argument("--workers", type=int, required=True)
    words.add_argument("--condition", choices=CONDITIONS, default="smooth")
    words.add_argument("--budget", type=int, required=True)
    words.add_argument("--until", type=float, help="seconds since 1970 after which no run is begun")
    args = words.parse_args()
    missing = [(task, seed) for seed in args.seeds for task in args.tasks if not rows.path(args.rows, args.tool, args.method, args.condition, args.workers, task, seed).exists()]
    if not missing:
        return
    tool, condition = importlib.import_module(MODULES[args.tool]), CONDITIONS[args.condition]
    make = tool.METHODS[args.method]
    if condition.noise:
        make = getattr(tool, "noisy", lambda _: None)(args.method) or make
    for task, seed in missing:
        if args.until and time.time() > args.until:
            return
        played = Clock(make(seed), task, seed, args.workers, condition).play(args.budget)
        at = rows.path(args.rows, args.tool, args.method, args.condition, args.workers, task, seed)
        rows.write(at, {"version": tool.VERSION, **played})


if __name__ == "__main__":
    main()

"""The pool of MLPF: epochs until the best of its 296 recorded trainings is found, with and without proposals."""
import math, os, tempfile

from world import Hpo, interval, markdown, words

RUNGS = "max_resource = 100, eta = 3"
FIFO, ASHA, HYPERBAND = 'kind = "fifo", max_resource = 100', f'kind = "asha-promote", min_resource = 4, {RUNGS}', f'kind = "hyperband", min_resource = 4, {RUNGS}'
SWEEPS = [
    ("random", 'kind = "random"', FIFO),
    ("random, hyperband", 'kind = "random"', HYPERBAND),
    ("random, asha", 'kind = "random"', ASHA),
    ("tpe, asha", 'kind = "tpe"', ASHA),
    ("bohb, asha", 'kind = "bohb"', ASHA),
    ("gp-mf, asha", 'kind = "gp-mf"', ASHA),
    ("gp", 'kind = "gp"', FIFO),
]


def main(args):
    with tempfile.TemporaryDirectory() as scratch:
        hpo = Hpo(os.path.abspath(args.hpo), scratch)
        named = [(name, hpo.variant("configs/mlpf-replay.toml", "pool-" + name, scheduler, None, searcher)) for name, searcher, scheduler in SWEEPS]
        named = [(name, file) for name, file in named if file]
        how = ["--workers", "12", "--seeds", f"{args.seeds.start}..{args.seeds.stop}", "--until-resource", "40000"]
        _, curves = hpo.play([file for _, file in named], how)
    best = min(metric for steps in curves[named[0][1]].values() for _, _, metric in steps)
    rows = []
    for name, file in named:
        to = lambda mark: interval([next((epochs for epochs, _, metric in steps if metric <= mark), math.inf) for steps in curves[file].values()])
        rows.append([name, words(to(best), 0), words(to(1.001 * best), 0)])
    print(f"{len(args.seeds)} seeds from {args.seeds.start}, 12 workers, rungs 4, 12, 36, 100; medians with 95 % bootstrap intervals.\n")
    print(markdown(["searcher, scheduler", f"epochs to the best, {best:.3f}", "epochs to within 0.1 % of it"], rows))

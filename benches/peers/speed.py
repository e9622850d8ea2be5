"""What a suggestion takes: ours by `hpo bench suggest`, Optuna's samplers in the same minutes, after trials of the same task."""
import json, os, pathlib, subprocess, sys, tempfile

from methods import ASHA, FIFO
from world import Hpo, markdown

SIZES = [100, 1000, 5000, 10000]
OURS = [("random", FIFO), ("sobol", FIFO), ("tpe", FIFO), ("bohb", FIFO), ("gp", FIFO), ("gp-mf", ASHA), ("evolution", FIFO)]
SAMPLERS = {"tpe": 20, "gp": 3}


def costs(command):
    """What it says, as it says it: a line each."""
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            yield json.loads(line)


def main(args):
    here, python = pathlib.Path(__file__).parent, pathlib.Path(os.environ["HPO_BENCH_VENV"]) / "optuna" / "bin" / "python"
    found = {}
    for sampler, count in SAMPLERS.items() if python.exists() else []:
        for size in SIZES:
            if sampler == "tpe" or size <= args.most:
                for cost in costs([python, here / "tools" / "optuna_speed.py", sampler, size, count]):
                    found[f"Optuna {sampler}", size] = cost["median_ms"], cost["first_ms"]
    with tempfile.TemporaryDirectory() as scratch:
        hpo = Hpo(os.path.abspath(args.hpo), scratch)
        # All at once: they are told of the same trials, whose curves are predicted once.
        files = [hpo.variant("configs/lcbench.toml", kind, scheduler, 1000, f'kind = "{kind}"') for kind, scheduler in OURS]
        sizes = ",".join(map(str, SIZES))
        for cost in costs([hpo.program, "--json", "bench", "suggest", *filter(None, files), "--observations", sizes]):
            found[f"hpo {cost['searcher']}", cost["observations"]] = cost["median_ms"], cost["first_ms"]
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        cells = [found.get((name, size)) for size in SIZES]
        rows.append([name, *("-" if cell is None else f"{cell[0]:,.3g} ({cell[1]:,.3g})" for cell in cells)])
    print(markdown(["ms of CPU a suggestion: median (first)", *(f"{size:,}" for size in SIZES)], rows))

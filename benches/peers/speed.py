"""What a suggestion takes: ours by `hpo bench suggest`, Optuna's samplers in the same minutes, on the same observations' kind."""
import json, os, pathlib, subprocess, tempfile

from methods import FIFO
from world import Hpo, markdown

SIZES = [100, 1000, 5000, 10000]
KINDS = ["random", "sobol", "tpe", "bohb", "gp", "gp-mf", "evolution"]
SAMPLERS = ["tpe", "gp"]


def lines(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main(args):
    here, python = pathlib.Path(__file__).parent, pathlib.Path(os.environ["HPO_BENCH_VENV"]) / "optuna" / "bin" / "python"
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        hpo = Hpo(os.path.abspath(args.hpo), scratch)
        for kind in KINDS:
            file = hpo.variant("configs/lcbench.toml", kind, FIFO, None, f'kind = "{kind}"')
            for size in SIZES if file else []:
                (cost,) = lines([hpo.program, "--json", "bench", "suggest", file, "--observations", size, "--suggestions", 20])
                found[f"hpo {kind}", size] = cost["median_ms"], cost["first_ms"]
    for sampler in SAMPLERS if python.exists() else []:
        for size in SIZES:
            if sampler == "tpe" or size <= args.most:
                (cost,) = lines([python, here / "tools" / "optuna_speed.py", sampler, size, 20 if sampler == "tpe" else 3])
                found[f"Optuna {sampler}", size] = cost["median_ms"], cost["first_ms"]
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        cells = [found.get((name, size)) for size in SIZES]
        rows.append([name, *("-" if cell is None else f"{cell[0]:,.3g} ({cell[1]:,.3g})" for cell in cells)])
    print(markdown(["ms of CPU a suggestion: median (first)", *(f"{size:,}" for size in SIZES)], rows))

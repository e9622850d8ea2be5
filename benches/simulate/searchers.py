"""The comparison of searchers under a virtual clock:

    cargo build --release -p hpo-driver --no-default-features --features surrogate
    python3 benches/simulate/searchers.py target/release/hpo [--seeds 0..20] [--only mlpf|lcbench] [--out FILE]

HPO_DATA_DIR names the folder with mlpf-curves/ and lcbench-surrogate/. To compare another searcher, add a line to kinds.py."""
import argparse, math, os, statistics, tempfile, time
import kinds
from compare import EPOCHS, reference, regret
from world import Hpo, interval, markdown, words


def write(seeds):
    return f"{seeds.start}..{seeds.stop}"


def mlpf(hpo, seeds):
    """How far each has to go until the best of all recorded trainings is found."""
    named = [(name, hpo.variant("configs/mlpf-replay.toml", name, scheduler, None, searcher)) for name, searcher, scheduler in kinds.SEARCHERS_MLPF]
    _, curves = hpo.play([file for _, file in named], ["--workers", "12", "--seeds", write(seeds), "--until-resource", "40000"])
    best = min(step[2] for seed in curves[named[0][1]].values() for step in seed)
    rows = []
    for name, file in named:
        to = lambda mark: interval([next((epochs for epochs, _, metric in steps if metric <= mark), math.inf) for steps in curves[file].values()])
        at = lambda epochs: interval([min((step[2] for step in steps if step[0] <= epochs), default=math.inf) for steps in curves[file].values()])
        rows.append([name, words(to(best), 0), words(to(best * 1.001), 0), *(words(at(epochs), 3) for epochs in (500, 1000, 1500))])
    header = ["searcher, scheduler", f"epochs to the best, {best:.3f}", "epochs to within 0.1 %", "best at 500", "best at 1,000", "best at 1,500"]
    return f"""## MLPF: 296 recorded trainings of 100 epochs

`configs/mlpf-replay.toml`, seeds {write(seeds)}, 12 workers, rungs 4, 12, 36, 100. Medians with 95 % bootstrap intervals.

{markdown(header, rows)}"""


def lcbench(hpo, seeds):
    """Normalised regret on the tasks where other tools were measured."""
    known, tasks = reference(), kinds.PEER_TASKS
    named = [(name, hpo.variant("configs/lcbench.toml", name, scheduler, None, searcher)) for name, searcher, scheduler in kinds.SEARCHERS]
    runs = {}
    for task in tasks:
        changes = ["--set", f"trial.fixed.OpenML_task_id='{task}'", "--until-resource", str(EPOCHS[-1])]
        _, curves = hpo.play([file for _, file in named], [*changes, "--workers", "4", "--seeds", write(seeds)])
        runs |= {(name, task): curves[file] for name, file in named}
    rows, each = [], []
    for name, _ in named:
        at = lambda epochs: [statistics.fmean(regret(runs[name, task][seed], epochs, 0, known[task]) for task in tasks) for seed in seeds]
        rows.append([name, *(words(interval(at(epochs), statistics.fmean), 3) for epochs in EPOCHS)])
        last = lambda task: statistics.fmean(regret(runs[name, task][seed], EPOCHS[-1], 0, known[task]) for seed in seeds)
        each.append([name, *(f"{last(task):.3f}" for task in tasks)])
    return f"""## LCBench: five tasks of a surrogate

`configs/lcbench.toml`, seeds {write(seeds)} of each task, 4 workers, r 3, R 52, eta 3. Mean normalised regret after so many epochs with 95 %
bootstrap intervals over seeds, then by task after {EPOCHS[-1]:,}.

{markdown(["searcher, scheduler", *(f"{epochs:,}" for epochs in EPOCHS)], rows)}
{markdown(["searcher, scheduler", *tasks], each)}"""


def main():
    words_of = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words_of.add_argument("hpo")
    words_of.add_argument("--seeds", type=lambda text: range(*map(int, text.split(".."))), default="0..20")
    words_of.add_argument("--only", choices=["mlpf", "lcbench"])
    words_of.add_argument("--out")
    args = words_of.parse_args()
    begun, texts = time.monotonic(), []
    with tempfile.TemporaryDirectory() as scratch:
        hpo = Hpo(os.path.abspath(args.hpo), scratch)
        for name, part in {"mlpf": mlpf, "lcbench": lcbench}.items():
            if args.only in (None, name):
                texts.append(part(hpo, args.seeds))
    text = "\n".join(texts) + f"\n{time.monotonic() - begun:.0f} s on {os.cpu_count()} cores.\n"
    print(text)
    if args.out:
        with open(args.out, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()

"""The comparison of schedulers; see `run`."""
import argparse, csv, json, math, os, platform, statistics, sys, tempfile, time
import kinds, plot
from world import Hpo, interval, markdown, words

EPOCHS = [260, 520, 1300, 2600]


def mlpf(hpo, quick):
    """Recorded trainings of MLPF: what it takes to find as good a model as 100 full trainings do."""
    seeds, workers = (30 if quick else 300), 12
    config, named, on = "configs/mlpf-replay.toml", [], []
    for name, trials, scheduler in kinds.MLPF:
        file = hpo.variant(config, "mlpf-" + name, scheduler, trials)
        if file:
            named.append((name, file))
            on.append(hpo.variant(config, "mlpf-on-" + name, scheduler))
    how = ["--workers", str(workers), "--seeds", f"0..{seeds}"]
    outcomes, _ = hpo.play([file for _, file in named], how)
    # The same without an end to the trials: how far each has to go.
    _, curves = hpo.play(on, [*how, "--until-resource", "40000"])
    best = lambda file: [outcome["best"]["metric"] for outcome in outcomes[file].values()]
    first = named[0][1]
    mark = statistics.median(best(first))
    whole = statistics.median(outcome["resource"] for outcome in outcomes[first].values())
    rows, figures = [], {}
    for (name, file), file_on in zip(named, on):
        runs = outcomes[file].values()
        reach = [next((epochs for epochs, _, metric in steps if metric <= mark), math.inf) for steps in curves[file_on].values()]
        busy = [run["busy_seconds"] / (run["busy_seconds"] + run["idle_seconds"]) for run in runs]
        cells = {
            "best": interval(best(file)),
            "epochs": interval([run["resource"] for run in runs]),
            "epochs to the mark": interval(reach),
            "virtual seconds": interval([run["virtual_seconds"] for run in runs]),
            "utilisation": interval(busy),
        }
        figures[name] = cells
        share = cells["epochs to the mark"][0] / whole
        digits = {"best": 3, "utilisation": 3}
        of_whole = "-" if math.isinf(share) else f"{100 * share:.0f} %"
        trials = next(trials for kind, trials, _ in kinds.MLPF if kind == name)
        rows.append([f"{name} ({trials})", *(words(cell, digits.get(key, 0)) for key, cell in cells.items()), of_whole])
    header = ["scheduler (its trials)", "best loss", "epochs spent", "epochs to the mark", "virtual seconds", "utilisation", "share of epochs"]
    text = f"""## MLPF: 296 recorded trainings of 100 epochs

`configs/mlpf-replay.toml`, {seeds} seeds, {workers} workers, an epoch a second. Medians with 95 % bootstrap intervals. The mark is
the median best loss of {kinds.MLPF[0][1]} full trainings, {mark:.3f}. "Epochs to the mark" are those after which the best so far is as good,
if trials are drawn until it is; the last column sets them against the {whole:,.0f} epochs of full trainings.

{markdown(header, rows)}"""
    return text, {"seeds": seeds, "mark": mark, "rows": figures}


def reference():
    with open(os.path.join(os.environ["HPO_DATA_DIR"], "lcbench-surrogate", "reference.csv"), newline="") as file:
        return {row["instance"]: {key: float(row[key]) for key in ("best_known", "rand_q50", "median_time52")} for row in csv.DictReader(file)}


def regret(steps, until, column, known):
    """Normalised regret of the best report until then: 0 is the best known, 1 the median of full trainings."""
    best = max((step[2] for step in steps if step[column] <= until), default=None)
    # Before the first report there is nothing: as bad as a full training by chance.
    return 1.0 if best is None else (known["best_known"] - best) / (known["best_known"] - known["rand_q50"])


def lcbench(hpo, quick, out):
    """The surrogate of LCBench: anytime regret on every task."""
    known = reference()
    tasks = kinds.PEER_TASKS if quick else sorted(known, key=int)
    seeds = range(2 if quick else 10)
    named = [(name, hpo.variant("configs/lcbench.toml", "lcbench-" + name, scheduler)) for name, scheduler in kinds.LCBENCH]
    named = [(name, file) for name, file in named if file]
    files = [file for _, file in named]
    grid = [3, 6, 12, 26, 52, 90, 130, 180, *EPOCHS[:1], 370, *EPOCHS[1:2], 740, 1000, *EPOCHS[2:3], 1850, *EPOCHS[3:]]
    means, panels, sections = {}, [], []
    for workers in (4, 32):
        runs = {}
        for place, task in enumerate(tasks):
            print(f"\rlcbench: {workers} workers, task {place + 1} of {len(tasks)} ", end="", file=sys.stderr, flush=True)
            changes = ["--set", f"trial.fixed.OpenML_task_id='{task}'", "--until-resource", str(EPOCHS[-1])]
            _, curves = hpo.play(files, [*changes, "--workers", str(workers), "--seeds", f"0..{len(seeds)}"])
            for name, file in named:
                runs[name, task] = curves[file]
        print(file=sys.stderr)

        def mean_regret(name, epochs, column, among):
            """For each seed the mean over tasks. Time: what so many median epochs take these workers."""
            def until(task):
                return epochs if column == 0 else epochs * known[task]["median_time52"] / 52 / workers
            one = lambda task, seed: regret(runs[name, task][seed], until(task), column, known[task])
            return [statistics.fmean(one(task, seed) for task in among) for seed in seeds]

        for column, axis in ((0, "epochs"), (1, "virtual time")):
            lines = {name: [(epochs, statistics.fmean(mean_regret(name, epochs, column, tasks))) for epochs in grid] for name, _ in named}
            panels.append((f"{workers} workers, by {axis}", lines))
            for title, among in ((f"all {len(tasks)} tasks", tasks), ("the five tasks of the peers", kinds.PEER_TASKS)):
                rows = []
                for name, _ in named:
                    cells = [interval(mean_regret(name, epochs, column, among), statistics.fmean) for epochs in EPOCHS]
                    means[f"{name}, {workers} workers, {axis}, {title}"] = dict(zip(EPOCHS, cells))
                    rows.append([name, *(words(cell, 3) for cell in cells)])
                header = [f"{workers} workers, {title}", *(f"{epochs:,} epochs" if column == 0 else f"time of {epochs:,}" for epochs in EPOCHS)]
                sections.append(markdown(header, rows))
    plot.write(os.path.join(out, "lcbench.svg"), panels, "mean normalised regret", f"epochs, or the time of so many median epochs on all workers")
    text = f"""## LCBench: a surrogate of {len(tasks)} tasks

`configs/lcbench.toml` with random proposals, {len(seeds)} seeds a task, r 3, R 52, eta 3. Mean normalised regret, (best known - best so far)
/ (best known - median of full trainings), in validation accuracy, with 95 % bootstrap intervals over seeds. By time: when
so many epochs of median cost could have been trained by all workers without a pause.

![regret against epochs and time](lcbench.svg)

""" + "\n".join(sections)
    return text, {"tasks": tasks, "seeds": len(seeds), "regret": means}


def gates(hpo, quick):
    """Where other tools were measured on the same problem with random proposals: do ours come out where they must?"""
    known, seeds = reference(), range(5 if quick else 50)
    named = [(name, hpo.variant("configs/lcbench.toml", "gate-" + name, scheduler)) for name, scheduler in kinds.LCBENCH if name in kinds.GATES]
    runs = {}
    for task in kinds.PEER_TASKS:
        changes = ["--set", f"trial.fixed.OpenML_task_id='{task}'", "--until-resource", str(EPOCHS[-1])]
        _, curves = hpo.play([file for _, file in named], [*changes, "--workers", "4", "--seeds", f"0..{len(seeds)}"])
        for name, file in named:
            runs[name, task] = [regret(curves[file][seed], EPOCHS[-1], 0, known[task]) for seed in seeds]
    rows, figures = [], {}
    for name, _ in named:
        means = [statistics.fmean(runs[name, task][seed] for task in kinds.PEER_TASKS) for seed in seeds]
        figures[name] = cell = interval(means, statistics.fmean)
        error = statistics.stdev(means) / math.sqrt(len(means))
        each = [f"{statistics.fmean(runs[name, task]):.3f}" for task in kinds.PEER_TASKS]
        rows.append([name, words(cell, 4), f"{error:.4f}", kinds.GATES[name], *each])
    header = ["scheduler", "regret", "standard error", "expected", *kinds.PEER_TASKS]
    text = f"""## LCBench, where other tools were measured

Random proposals, five tasks, {len(seeds)} seeds each, 4 workers, r 3, R 52, eta 3: mean normalised regret after {EPOCHS[-1]:,} epochs with
the 95 % bootstrap interval over seeds, and by task.

{markdown(header, rows)}"""
    return text, {"seeds": len(seeds), "regret": figures}


def scale(hpo, quick):
    """Seconds and memory by number of trials."""
    asha = hpo.variant("configs/synthetic.toml", "scale", 'kind = "asha-promote", min_resource = 1, max_resource = 81, eta = 3', 1000)
    rows, figures = [], []
    for trials in (1000, 10_000, 100_000) if quick else (1000, 10_000, 100_000, 1_000_000):
        took, memory = hpo.cost([asha, "--workers", "1000", "--threads", "1", "--set", f"sweep.max_trials={trials}"])
        figures.append({"trials": trials, "seconds": took, "mib": memory})
        rows.append([f"{trials:,}", f"{took:.2f}", f"{1e6 * took / trials:.1f}", f"{memory:,.0f}", f"{1024 * memory / trials:.2f}"])
    header = ["trials", "seconds", "us a trial", "peak MiB", "KiB a trial"]
    text = f"""## How large a sweep can be played

`configs/synthetic.toml` with `asha-promote`, 1,000 virtual workers, one thread.

{markdown(header, rows)}"""
    return text, figures


def main():
    words_of = argparse.ArgumentParser(description=__doc__)
    words_of.add_argument("hpo")
    words_of.add_argument("--quick", action="store_true")
    words_of.add_argument("--only", choices=["mlpf", "lcbench", "gates", "scale"])
    words_of.add_argument("--out", default="docs/measurements")
    args = words_of.parse_args()
    os.makedirs(args.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        hpo = Hpo(os.path.abspath(args.hpo), scratch)
        parts = {"mlpf": lambda: mlpf(hpo, args.quick), "lcbench": lambda: lcbench(hpo, args.quick, args.out)}
        parts |= {"gates": lambda: gates(hpo, args.quick), "scale": lambda: scale(hpo, args.quick)}
        texts, figures, begun = [], {}, time.monotonic()
        for name, part in parts.items():
            if args.only in (None, name):
                text, figures[name] = part()
                texts.append(text)
    took = time.monotonic() - begun
    note = f"Left out, for this build has none: {', '.join(sorted(hpo.unknown))}.\n\n" if hpo.unknown else ""
    quick = "A quick look, not a measurement.\n\n" if args.quick else ""
    head = f"# Schedulers under a virtual clock\n\nBy `benches/simulate/run`, in {took:.0f} s on {os.cpu_count()} cores ({platform.machine()}).\n\n{quick}{note}"
    with open(os.path.join(args.out, "schedulers.md"), "w") as file:
        file.write(head + "\n".join(texts))
    with open(os.path.join(args.out, "schedulers.json"), "w") as file:
        json.dump(figures, file, indent=1)
    print(head + "\n".join(texts))


if __name__ == "__main__":
    main()

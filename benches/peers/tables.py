"""Tables and plot of what was played so far."""
import bisect, collections, csv, datetime, math, os, pathlib, statistics
from functools import lru_cache

import plot, rows
from methods import BUDGET, SEEDS, TUNING, others, stages
from world import markdown

MARKS = [BUDGET // 5, BUDGET // 4, BUDGET // 2, BUDGET]
GRID = [26, 52, 90, 130, 180, 260, 370, 520, 650, 800, 1000, 1300, 1600, 2000, 2600]
# Whom the plot has; the tables have all.
DRAWN = ["hpo gp-mf, asha", "hpo gp, fifo", "hpo bohb, asha", "hpo tpe, asha", "hpo random, asha", "hpo random, fifo"]
DRAWN += ["syne-tune mobster", "syne-tune gp", "optuna gp", "syne-tune bohb async", "smac smac hyperband", "optuna tpe"]


@lru_cache
def reference():
    with open(os.path.join(os.environ["HPO_DATA_DIR"], "lcbench-surrogate", "reference.csv"), newline="") as file:
        return {row["instance"]: {key: float(row[key]) for key in ("best_known", "rand_q50", "median_time52")} for row in csv.DictReader(file)}


class Run:
    """One run: what its best report so far was worth, by epochs and by time."""

    def __init__(self, task, steps):
        known = reference()[task]
        scale = known["best_known"] - known["rand_q50"]
        self.epochs, self.seconds = [step[0] for step in steps], [step[1] for step in steps]
        self.regrets = [(known["best_known"] - step[2]) / scale for step in steps]

    def at(self, axis, mark):
        """Before the first report there is nothing: as bad as a full training by chance."""
        place = bisect.bisect_right(axis, mark)
        return self.regrets[place - 1] if place else 1.0


def by_epochs(run, task, workers, epochs):
    return run.at(run.epochs, epochs)


def by_time(run, task, workers, epochs):
    """After the time in which these workers could have trained so many epochs of median cost."""
    return run.at(run.seconds, epochs * reference()[task]["median_time52"] / 52 / workers)


def played(folder, tasks, workers, condition):
    """{method: {task: {seed: Run}}} of methods that were played on all of these tasks."""
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for at in sorted(folder.glob(f"*/*/{condition}-{workers}/*/*.json")):
        tool, method, _, task, _ = at.parts[-5:]
        if task in tasks:
            run = rows.read(at)
            found[f"{tool} {method.replace('_', ' ')}"][task][int(at.stem)] = Run(task, run["steps"])
    return {name: runs for name, runs in found.items() if len(runs) == len(tasks)}


def earlier(paths, tasks):
    """Curves that were measured before, of the same form. One ends where its best stays, so nothing is cut off."""
    steps = collections.defaultdict(list)
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                if row["instance"] in tasks and int(row["epochs"]) <= BUDGET:
                    key = f"{row['tool']} {row['method']}", row["instance"], int(row["seed"])
                    steps[key].append((int(row["epochs"]), float(row["vtime"]), 100.0 - float(row["best_loss"])))
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for (name, task, seed), some in steps.items():
        found[name][task][seed] = Run(task, some)
    return {name: runs for name, runs in found.items() if len(runs) == len(tasks)}


def mean(runs, measure, workers, mark):
    """Mean over tasks of the mean over seeds, with 1.96 standard errors; seeds of each task are independent."""
    means, variance = [], 0.0
    for task, of_seed in runs.items():
        values = [measure(run, task, workers, mark) for run in of_seed.values()]
        means.append(statistics.fmean(values))
        variance += statistics.variance(values) / len(values) if len(values) > 1 else math.inf
    return statistics.fmean(means), 1.96 * math.sqrt(variance) / len(means)


def ranks(found, measure, workers, mark):
    """Mean over tasks of a method's rank by its mean over seeds; equal ones share theirs."""
    places = collections.defaultdict(list)
    for task in next(iter(found.values())):
        value = {name: statistics.fmean(measure(run, task, workers, mark) for run in runs[task].values()) for name, runs in found.items()}
        for name, mine in value.items():
            below, same = sum(one < mine for one in value.values()), sum(one == mine for one in value.values())
            places[name].append(below + (same + 1) / 2)
    return {name: statistics.fmean(some) for name, some in places.items()}


def cell(middle, half):
    return f"{middle:.3f}" if math.isinf(half) else f"{middle:.3f} ± {half:.3f}"


def section(title, found, workers, measure, each):
    """One table, best last mark first. Seeds are those that every task has."""
    ranked = {mark: ranks(found, measure, workers, mark) for mark in MARKS}
    lines = []
    for name, runs in sorted(found.items(), key=lambda one: mean(one[1], measure, workers, BUDGET)[0]):
        seeds = [len(of_seed) for of_seed in runs.values()]
        count = str(seeds[0]) if len(set(seeds)) == 1 else f"{min(seeds)}-{max(seeds)}"
        cells = [cell(*mean(runs, measure, workers, mark)) for mark in MARKS]
        line = [name, count, *cells, *(f"{ranked[mark][name]:.1f}" for mark in MARKS[1:])]
        if each:
            line += [f"{statistics.fmean(measure(run, task, workers, BUDGET) for run in runs[task].values()):.3f}" for task in sorted(runs, key=int)]
        lines.append(line)
    header = [title, "seeds", *(f"{mark:,}" for mark in MARKS), *(f"rank {mark:,}" for mark in MARKS[1:])]
    header += sorted(next(iter(found.values())), key=int) if each else []
    return markdown(header, lines)


def panel(title, found, workers, measure):
    lines = {}
    for name in DRAWN:
        if name in found:
            cells = [(mark, *mean(found[name], measure, workers, mark)) for mark in GRID]
            lines[name] = [(mark, y, *((y - half, y + half) if math.isfinite(half) else (y, y))) for mark, y, half in cells]
    return title, lines


def main(args):
    folder, today = pathlib.Path(os.environ["HPO_BENCH_ROWS"]), f"{datetime.date.today()}"
    sections, panels, done = [], [], set()
    for name, tasks, workers, condition, _ in [*stages(reference()), ("all tasks, 8 workers", [*TUNING, *others(reference())], 8, "smooth", SEEDS)]:
        found = played(folder, tasks, workers, condition)
        if (tuple(tasks), workers, condition) in done or not found:
            continue
        done.add((tuple(tasks), workers, condition))
        if workers == 4 and args.earlier:
            found |= earlier(args.earlier, tasks)
        for measure, axis in ((by_epochs, "epochs"), (by_time, "time of so many median epochs")):
            sections.append(f"## {name.split(', more')[0]}: by {axis}\n\n" + section("method", found, workers, measure, measure is by_epochs and len(tasks) <= 7))
            if len(panels) < 6 and len(tasks) == 5 and condition == "smooth" and workers != 4:
                panels.append(panel(f"{workers} workers, by {axis.split(' of ')[0]}", found, workers, measure))
    args.out.mkdir(parents=True, exist_ok=True)
    if panels:
        plot.write(args.out / f"{today}-peers.svg", panels, "mean normalised regret", "epochs, or the time of so many median epochs on all workers")
    (args.out / f"{today}-peers.md").write_text(f"# Beside other tools, {today}\n\n![regret]({today}-peers.svg)\n\n" + "\n".join(sections))

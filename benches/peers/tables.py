"""Tables and plot of what was played so far."""
import bisect, collections, csv, datetime, math, os, pathlib, statistics
from functools import lru_cache

import plot, rows
from methods import BUDGET, SEEDS, TUNING, others, stages
from world import markdown

MARKS = [BUDGET // 5, BUDGET // 4, BUDGET // 2, BUDGET]
GRID = [26, 52, 90, 130, 180, 260, 370, 520, 650, 800, 1000, 1300, 1600, 2000, 2600]
# What and whom the plot has; the tables have all.
PLOTTED = ["five tasks, 8 workers", "tasks for reporting alone, 8 workers", "five tasks, 1 worker", "five tasks, 32 workers"]
DRAWN = ["hpo gp-mf, asha", "hpo gp, fifo", "hpo bohb, asha", "hpo tpe, asha", "hpo random, asha", "hpo random, fifo"]
DRAWN += ["syne-tune mobster", "syne-tune gp", "optuna gp", "syne-tune bohb async", "syne-tune asha promote", "syne-tune dehb", "optuna tpe", "optuna random"]


@lru_cache
def reference():
    with open(os.path.join(os.environ["HPO_DATA_DIR"], "lcbench-surrogate", "reference.csv"), newline="") as file:
        return {row["instance"]: {key: float(row[key]) for key in ("best_known", "rand_q50", "median_time52")} for row in csv.DictReader(file)}


class Run:
    """One run: what its best report so far was worth, by epochs and by time."""

    def __init__(self, task, steps, ends):
        known = reference()[task]
        scale = known["best_known"] - known["rand_q50"]
        self.ends = ends
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


@lru_cache
def newest(folder):
    """The build that `hpo`'s last run was played with: what earlier ones left is not ours any more."""
    runs = sorted(folder.glob("hpo/*/*/*/*.json"), key=lambda at: at.stat().st_mtime)
    return rows.read(runs[-1])["version"] if runs else None


def played(folder, tasks, workers, condition):
    """{method: {task: {seed: Run}}} of methods that were played on all of these tasks, ours by the newest build alone."""
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for at in sorted(folder.glob(f"*/*/{condition}-{workers}/*/*.json")):
        tool, method, _, task, _ = at.parts[-5:]
        if task in tasks:
            run = rows.read(at)
            if tool == "hpo" and run["version"] != newest(folder):
                continue
            found[f"{tool} {method.replace('_', ' ')}"][task][int(at.stem)] = Run(task, run["steps"], run["epochs"])
    return {name: runs for name, runs in found.items() if len(runs) == len(tasks)}


def earlier(paths, tasks):
    """Curves that were measured before: a row at each improvement and at the end."""
    steps, ends = collections.defaultdict(list), collections.Counter()
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                key = f"{row['tool']} {row['method']}", row["instance"], int(row["seed"])
                if row["instance"] in tasks:
                    ends[key] = max(ends[key], int(row["epochs"]))
                if row["instance"] in tasks and int(row["epochs"]) <= BUDGET:
                    steps[key].append((int(row["epochs"]), float(row["vtime"]), 100.0 - float(row["best_loss"])))
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for (name, task, seed), some in steps.items():
        found[name][task][seed] = Run(task, some, ends[name, task, seed])
    return {name: runs for name, runs in found.items() if len(runs) == len(tasks)}


def mean(runs, measure, workers, mark):
    """Mean over tasks of the mean over seeds, with 1.96 standard errors. A seed draws the same values on every task, so that one that
    is lucky on a task is so on others: seeds are independent, runs are not. None if runs were given less."""
    if any(run.ends < mark for of_seed in runs.values() for run in of_seed.values()):
        return None
    means, off = [], collections.Counter()
    for task, of_seed in runs.items():
        values = {seed: measure(run, task, workers, mark) for seed, run in of_seed.items()}
        means.append(statistics.fmean(values.values()))
        for seed, value in values.items():
            off[seed] += (value - means[-1]) / len(values) / len(runs)
    if any(len(of_seed) < 2 for of_seed in runs.values()):
        return statistics.fmean(means), math.inf
    variance = len(off) / (len(off) - 1) * sum(one * one for one in off.values())
    return statistics.fmean(means), 1.96 * math.sqrt(variance)


def ranks(found, measure, workers, mark):
    """Mean over tasks of a method's rank by its mean over seeds; equal ones share theirs."""
    places = collections.defaultdict(list)
    found = {name: runs for name, runs in found.items() if mean(runs, measure, workers, mark)}
    for task in next(iter(found.values())):
        value = {name: statistics.fmean(measure(run, task, workers, mark) for run in runs[task].values()) for name, runs in found.items()}
        for name, mine in value.items():
            below, same = sum(one < mine for one in value.values()), sum(one == mine for one in value.values())
            places[name].append(below + (same + 1) / 2)
    return {name: statistics.fmean(some) for name, some in places.items()}


def cell(found):
    if found is None:
        return "-"
    middle, half = found
    return f"{middle:.3f}" if math.isinf(half) else f"{middle:.3f} ± {half:.3f}"


def section(title, found, workers, measure, each):
    """One table, the best at the last mark first."""
    ranked = {mark: ranks(found, measure, workers, mark) for mark in MARKS}
    lines = []
    last = lambda runs: (mean(runs, measure, workers, BUDGET) or (math.inf,))[0]
    for name, runs in sorted(found.items(), key=lambda one: last(one[1])):
        seeds = [len(of_seed) for of_seed in runs.values()]
        count = str(seeds[0]) if len(set(seeds)) == 1 else f"{min(seeds)}-{max(seeds)}"
        cells = [cell(mean(runs, measure, workers, mark)) for mark in MARKS]
        line = [name, count, *cells, *(f"{ranked[mark][name]:.1f}" if name in ranked[mark] else "-" for mark in MARKS[1:])]
        if each and last(runs) < math.inf:
            line += [f"{statistics.fmean(measure(run, task, workers, BUDGET) for run in runs[task].values()):.3f}" for task in sorted(runs, key=int)]
        lines.append(line)
    header = [title, "seeds", *(f"{mark:,}" for mark in MARKS), *(f"rank {mark:,}" for mark in MARKS[1:])]
    header += sorted(next(iter(found.values())), key=int) if each else []
    return markdown(header, lines)


def panel(title, found, workers, measure):
    lines = {}
    for name in DRAWN:
        if name in found:
            cells = [(mark, *cell) for mark in GRID if (cell := mean(found[name], measure, workers, mark))]
            lines[name] = [(mark, y, *((y - half, y + half) if math.isfinite(half) else (y, y))) for mark, y, half in cells]
    return title, lines


def main(args):
    folder, today = pathlib.Path(os.environ["HPO_BENCH_ROWS"]), f"{datetime.date.today()}"
    sections, panels, done = [], [], set()
    for name, tasks, workers, condition, _ in [*stages(reference()), ("all tasks, 8 workers", [*TUNING, *others(reference())], 8, "smooth", SEEDS)]:
        found = played(folder, tasks, workers, condition)
        if (tuple(tasks), workers, condition) in done or len(found) < 2:
            continue
        done.add((tuple(tasks), workers, condition))
        if workers == 4 and args.earlier:
            found |= earlier(args.earlier, tasks)
        for measure, axis in ((by_epochs, "epochs"), (by_time, "time of so many median epochs")):
            sections.append(f"## {name.split(', more')[0]}: by {axis}\n\n" + section("method", found, workers, measure, measure is by_epochs and len(tasks) <= 7))
            if name in PLOTTED:
                panels.append(panel(f"{name}, by {axis.split(' of ')[0]}", found, workers, measure))
    args.out.mkdir(parents=True, exist_ok=True)
    if panels:
        plot.write(args.out / f"{today}-peers.svg", panels, "mean normalised regret", "epochs, or the time of so many median epochs on all workers")
    (args.out / f"{today}-peers.md").write_text(f"# Beside other tools, {today}\n\n![regret]({today}-peers.svg)\n\n" + "\n".join(sections))

"""Measures what `benches/slurm/run` says."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import clusters  # noqa: E402
import journal  # noqa: E402

SPACE = """
[space]
optimizer = { choice = ["sgd", "adam"] }
lr = { log_uniform = [1e-5, 1.0] }
momentum = { uniform = [0.0, 0.99], when = { optimizer = "sgd" } }
layers = { int = [1, 12] }
norm = { bool = true }
"""
# A worker of a cluster: an environment to load, data to read, a state on a shared file system. The driver takes as many words
# as `hpo bench grpc --closed` showed on two cores, and thinks as long as `tpe` does.
FRICTION = """
[simulate]
worker_startup = "20s"
startup = "5s"
restore = "1s"
checkpoint = "1s"
latency = "32ms"
words_per_second = 27600
suggest = "1ms"
"""
SCHEDULERS = {
    "fifo": 'kind = "fifo"\nmax_resource = 9\n',
    "asha": 'kind = "asha-promote"\nmin_resource = 1\nmax_resource = 81\neta = 3\n',
    "hyperband": 'kind = "hyperband"\nmax_resource = 81\neta = 3\n',
}
PARTS = ["work", "startup", "dispatch", "checkpoint", "redone", "idle"]


def sweep(name, scheduler, trials, seconds, seed=1, pace=0.0, tail=""):
    """A sweep file whose trials take so long a unit and compute nothing."""
    return (
        f'[sweep]\nname = "{name}"\nseed = {seed}\nmetric = "loss"\nmax_trials = {trials}\n{SPACE}\n[scheduler]\n{scheduler}\n'
        f'[trial]\nkind = "synthetic"\nfunction = "mixed"\nseconds = {seconds}\npace = {pace}\n{tail}'
    )


class Bench:
    """What all measurements share: the program, a folder, and where figures go."""

    def __init__(self, args, folder):
        self.hpo, self.folder, self.quick, self.out = Path(args.hpo).resolve(), Path(folder), args.quick, args.out

    def note(self, what, figures):
        if self.out:
            with open(self.out, "a", encoding="utf-8") as out:
                out.write(json.dumps({"what": what, **figures}) + "\n")

    def json(self, *words):
        done = subprocess.run([self.hpo, *words, "--json"], check=True, capture_output=True, text=True, cwd=self.folder)
        return json.loads(done.stdout)

    def file(self, text):
        path = self.folder / "sweep.toml"
        path.write_text(text, encoding="utf-8")
        return path


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)


def percent(parts, names=PARTS):
    total = sum(parts.values())
    return [f"{100 * parts[name] / total:.1f}" for name in names]


def simulated(bench):
    """Weak and strong scaling under the virtual clock: units of a minute, three schedulers, 1 to 10,000 workers."""
    most = 1024 if bench.quick else 10_000
    for how, trials_of in [("weak", lambda workers: 50 * workers), ("strong", lambda _: 10_000 if bench.quick else 100_000)]:
        for scheduler, keys in SCHEDULERS.items():
            rows, alone = [], None
            for workers in [count for count in (1, 16, 128, 1024, 10_000) if count <= most]:
                path = bench.file(sweep("scale", keys, trials_of(workers), 60.0, tail=FRICTION))
                began = time.monotonic()
                found = bench.json("simulate", path, "--workers", str(workers))
                took = time.monotonic() - began
                rate = found["resource"] / found["virtual_seconds"]
                alone = alone or rate
                parts = found["slot_seconds"]
                bench.note(how, {"scheduler": scheduler, "workers": workers, "took": took, **found})
                rows.append([
                    f"{workers:,}", f"{found['trials']:,}", f"{found['virtual_seconds'] / 3600:,.1f}",
                    f"{100 * rate / alone / workers:.1f}", *percent(parts), f"{took:.1f}",
                ])
            title = f"{how}, {scheduler}: hours, efficiency (units an hour and worker, beside one worker alone) and slot time in percent"
            table(title, ["workers", "trials", "hours", "efficiency", *PARTS, "played in s"], rows)


def light(bench):
    """What the driver's pace means: trials whose units take a second, so that workers ask all the time."""
    rows = []
    for workers in (1024, 4096, 10_000, 16_000, 24_000, 32_000):
        trials = workers * (5 if bench.quick else 40)
        path = bench.file(sweep("light", SCHEDULERS["fifo"], trials, 1.0, tail=FRICTION.replace('suggest = "1ms"', 'suggest = "0ms"')))
        found = bench.json("simulate", path, "--workers", str(workers))
        bench.note("light", {"workers": workers, **found})
        per_second = found["resource"] / found["virtual_seconds"]
        rows.append([f"{workers:,}", f"{per_second:,.0f}", *percent(found["slot_seconds"])])
    table("units of a second, fifo, no searcher's time: slot time in percent", ["workers", "units/s", *PARTS], rows)


def local(bench):
    """Weak and strong scaling with real processes on this host: trials that sleep a second a unit."""
    repeats = 1 if bench.quick else 3
    for how, trials_of in [("weak", lambda workers: 8 * workers), ("strong", lambda _: 16 if bench.quick else 64)]:
        rows, alone = [], None
        for workers in (1, 2, 4, 8, 16):
            seen = []
            for repeat in range(repeats):
                run = bench.folder / f"{how}-{workers}-{repeat}"
                path = bench.file(sweep("local", 'kind = "fifo"\nmax_resource = 2\n', trials_of(workers), 1.0, repeat, 1.0))
                words = [bench.hpo, "run", path, "--run-dir", run, "--workers", str(workers), "--quiet", "--no-progress"]
                subprocess.run(words, check=True, capture_output=True)
                parts, ended = journal.split(run)
                rate = 2 * trials_of(workers) / ended
                bench.note(f"local {how}", {"workers": workers, "seconds": ended, "rate": rate, **parts})
                seen.append((rate, ended, parts))
            seen.sort(key=lambda one: one[0])
            rate, ended, parts = seen[len(seen) // 2]
            alone = alone or rate
            low, high = (100 * one[0] / alone / workers for one in (seen[0], seen[-1]))
            names = ["work", "startup", "dispatch", "idle"]
            rows.append([
                workers, trials_of(workers), f"{ended:.1f}", f"{100 * rate / alone / workers:.1f} [{low:.1f}, {high:.1f}]", *percent(parts, names),
            ])
        columns = ["workers", "trials", "seconds", "efficiency [least, most]", "work", "startup", "dispatch", "idle"]
        table(f"{how}, real processes, {repeats} rounds, the middle one: slot time in percent", columns, rows)


def main():
    every = {
        "simulated": simulated, "light": light, "local": local,
        "dispatch": clusters.dispatch, "end": clusters.end, "submit": clusters.submit,
    }
    parser = argparse.ArgumentParser(prog="benches/slurm/run")
    parser.add_argument("hpo")
    parser.add_argument("--only", choices=list(every))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out")
    args = parser.parse_args()
    # Of others nobody wants to know here, and a long name of a folder is no name of a socket.
    os.environ.pop("HPO_LOG", None)
    for name, measure in every.items():
        if args.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="hpo-scale-") as folder:
                measure(Bench(args, folder))


if __name__ == "__main__":
    main()

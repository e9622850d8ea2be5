"""What durability costs; see `run`."""
import argparse, datetime, json, os, platform, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
STORES = {
    "journal": "Optuna, journal file",
    "sqlite": "Optuna, SQLite",
    "grpc-memory": "Optuna, gRPC proxy over memory (keeps nothing)",
    "grpc-sqlite": "Optuna, gRPC proxy over SQLite",
}
# Written before the first measurement. Nothing here is changed afterwards; what was wrong is said beside it.
EXPECTED = """Written before anything here was measured with a release build:

- **Recovery.** Under 0.2 s with 10,000 events, 0.7 s with 100,000, 5 s with 1,000,000, nearly all of it the replay, and of that
  about two thirds reading (checksum, JSON, numbers to the last bit). Opening the door, joining and the lease itself: 20 ms together.
- **Flood.** More than 100,000 reports a second with 100 workers; with 1,000 perhaps half of that, for each batch then writes to
  ten times as many sockets. Thousands of events share a sync.
- **20,000 reports a second.** A report waits for half a sync under way and one of its own; a lease for a new trial for two syncs,
  because the proposal is an event, too. So p50 about 1.5 and 2.5 times the disk's sync, p99 under 20 ms if the disk's own p99 is
  under 6 ms, at 100 workers and at 1,000, with less than one core in the driver.
- **Peers.** On another machine Optuna's journal made 352 to 463 decisions a second, SQLite 61, gRPC over memory 154 to 206. With one
  worker we wait for the disk as the journal file does and are no more than a few times as fast; the distance grows with the
  workers, because all of them share a sync, where Optuna's workers take turns."""


def call(words, what):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{what} failed:\n{done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def spread(values, digits=0):
    """The median, and the least and the most of all runs."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} [{low}, {high}]"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def part_of(runs, name, part):
    return [run[name][part] for run in runs if run.get(name)]


def cell(values, digits=1):
    return spread(values, digits) if values else "-"


class Bench:
    def __init__(self, args):
        self.hpo, self.dir, self.quick = os.path.abspath(args.hpo), args.dir, args.quick
        self.repeats = args.repeats or (2 if args.quick else 5)

    def grpc(self, words):
        [figures] = call([self.hpo, "bench", "grpc", "--json", "--dir", self.dir, *map(str, words)], "hpo bench grpc")
        return figures

    def rounds(self, kinds, one):
        """Each kind once a round, so that a slow minute of the machine falls on all of them."""
        runs = {kind: [] for kind in kinds}
        for turn in range(self.repeats):
            for kind in kinds:
                print(f"\rround {turn + 1} of {self.repeats}: {kind}".ljust(70), end="", file=sys.stderr, flush=True)
                runs[kind].append(one(kind))
        print(file=sys.stderr)
        return runs

    def recovery(self):
        sizes = [10_000, 100_000] if self.quick else [10_000, 100_000, 1_000_000]
        words = ["--events", ",".join(map(str, sizes)), "--repeats", str(self.repeats), "--dir", self.dir]
        lines = call([self.hpo, "bench", "recover", "--json", *words], "hpo bench recover")
        rows = []
        for size in sizes:
            runs = [line for line in lines if line["events"] == size]
            of = lambda name, scale=1: [scale * run[name] for run in runs]
            apply = [run["replay_seconds"] - run["read_seconds"] for run in runs]
            rest = [run["to_listening_seconds"] - run["replay_seconds"] for run in runs]
            rows.append([
                f"{size:,}", spread(of("journal_mib")), spread(of("seconds"), 3), spread(of("read_seconds"), 3), spread(apply, 3),
                spread(rest, 3), spread(of("to_welcome_seconds", 1e3), 1), spread(of("to_lease_seconds", 1e3), 1),
                spread(of("driver_cpu_seconds"), 2), spread(of("driver_peak_mib")),
            ])
        header = ["events", "journal MiB", "start to first lease, s", "read, s", "admit and apply, s", "rest of the start, s", "welcome, ms", "lease, ms", "driver CPU s", "driver peak MiB"]
        text = f"""## Recovery

`hpo bench recover`: a sweep of 100 workers (`asha-promote`, rungs 3 to 81, seven parameters, five figures a report), whose driver
is gone; then, {self.repeats} times, `hpo driver` is started on it, a worker that the journal knows dials as soon as `rendezvous.json` is
there, gets its lease, and the driver is killed. Medians [least, most]. Reading and applying are timed before in a process that
does nothing else; the rest of the start is what the driver needs beyond them until it listens. The file is in the page cache.

{table(header, rows)}"""
        return text, lines

    def load(self):
        crowds = [20, 100] if self.quick else [100, 1000]
        flood, paced = (50_000, 20_000) if self.quick else (1_000_000, 200_000)
        kinds = {}
        for workers in crowds:
            kinds[f"flood, {workers:,} workers"] = ["--workers", workers, "--reports", flood]
            kinds[f"20,000 a second, {workers:,} workers"] = ["--workers", workers, "--reports", paced, "--rate", 20_000]
            kinds[f"closed loop, {workers:,} workers"] = ["--workers", workers, "--reports", paced, "--closed"]
        kinds[f"20,000 a second, {crowds[-1]:,} workers, without TLS"] = [*kinds[f"20,000 a second, {crowds[-1]:,} workers"], "--plaintext"]
        runs = self.rounds(kinds, lambda kind: self.grpc(kinds[kind]))
        rows = []
        for kind, of in runs.items():
            cores = [run["driver_cpu_seconds"] / run["seconds"] for run in of]
            each = [1e6 * run["driver_cpu_seconds"] / run["reports"] for run in of]
            rows.append([
                kind, spread([run["reports_per_second"] for run in of]),
                *(cell(part_of(of, name, part)) for name in ("report_ms", "lease_ms") for part in ("p50", "p99")),
                cell(part_of(of, "late_ms", "p99")), spread(cores, 2), spread(each, 1),
                spread([1e6 * run["workers_cpu_seconds"] / run["reports"] for run in of], 1),
                spread([run["events_per_sync"] for run in of]), spread([run["driver_peak_mib"] for run in of]),
            ])
        header = ["load", "reports/s", "report p50, ms", "p99", "lease p50, ms", "p99", "late p99, ms", "driver cores", "driver us a report", "workers us a report", "events a sync", "driver peak MiB"]
        text = f"""## Reports and leases under load

`hpo bench grpc`, {self.repeats} rounds: the driver is a process of its own, the workers are connections of another process, each its own, by
TLS as users get it.
A report counts when the driver has acknowledged it, which it does when it is synced; afterwards all of them are found in the
journal. Latencies run from the word to the acknowledgement, and from the end of a lease to the next lease. Flood: all reports on their way at
once, so its latency is that of a queue. 20,000 a second: {paced:,} reports, each due at its time whatever the driver does; one that is due
while its worker waits for a lease is made when that comes, and "late" is by how much. Closed loop: each worker waits for the
acknowledgement, and never thinks. The last two run `asha-promote`, rungs 3 to 81. Workers and driver share the machine's
{os.cpu_count()} cores; "us a report" is the processor time of all driver threads, or all workers, for a report and what goes with it. Medians [least, most].

{table(header, rows)}"""
        return text, runs

    def peers(self):
        seconds, crews = (5, [2]) if self.quick else (15, [1, 4])
        counts = {1: 3000, 2: 3000, 4: 10_000, 16: 40_000, 100: 200_000, 1000: 200_000}
        ours = [*crews, 16] if self.quick else [*crews, 16, 100, 1000]
        kinds = {("hpo", workers): None for workers in ours} | {(store, workers): None for store in STORES for workers in crews}

        def one(kind):
            name, workers = kind
            if name == "hpo":
                words = ["--workers", workers, "--reports", counts[workers], "--closed", "--min-resource", 1, "--max-resource", 9]
                return self.grpc(words)
            words = [sys.executable, os.path.join(HERE, "peers.py"), name, str(workers), str(seconds), self.dir]
            [figures] = call(words, f"Optuna's store {name}")
            return figures

        runs = self.rounds(kinds, one)
        rows = []
        for (name, workers), of in runs.items():
            ask = "lease_ms" if name == "hpo" else "ask_ms"
            cpu = [run["cpu_seconds"] if "cpu_seconds" in run else run["driver_cpu_seconds"] + run["workers_cpu_seconds"] for run in of]
            each = [1e3 * used / run["reports"] for used, run in zip(cpu, of)]
            rows.append([
                STORES.get(name, "hpo"), f"{workers:,}", spread([run["reports_per_second"] for run in of]),
                *(cell(part_of(of, "report_ms", part), 2) for part in ("p50", "p99")),
                *(cell(part_of(of, ask, part), 2) for part in ("p50", "p99")),
                spread(each, 3),
            ])
        header = ["store", "workers", "decisions/s", "decision p50, ms", "p99", "next trial p50, ms", "p99", "CPU ms a decision"]
        text = f"""## Beside Optuna's stores

The same work: each worker asks for a trial with seven values, reports up to nine times, and after each report waits to hear
whether to go on: successive halving with rungs 1, 3 and 9, random proposals. Optuna's stops trials (`SuccessiveHalvingPruner`), ours
promotes them (`asha-promote`) and keeps the names of their states. Its workers are processes that share the store alone, for
{seconds} s each; ours are connections to `hpo driver`. A decision is a report with its answer, on disk by then but for gRPC over
memory. CPU is that of all processes. {self.repeats} rounds in turn, medians [least, most].

{table(header, rows)}"""
        return text, [{"store": name, "workers": workers, "runs": of} for (name, workers), of in runs.items()]


def disk(where):
    """Milliseconds of a sync after appending what a batch might have."""
    took = []
    with tempfile.NamedTemporaryFile(dir=where, buffering=0) as file:
        for _ in range(500):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(1e3 * (time.perf_counter() - begun))
    took.sort()
    return {"p50": took[250], "p99": took[495], "max": took[-1]}


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())


def file_system(where):
    found = subprocess.run(["findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", where], capture_output=True, text=True)
    if found.returncode != 0:
        return "an unknown file system"
    source, kind, options = found.stdout.split()
    # Without one, a sync writes the data and asks the device for nothing more.
    journal = kind == "ext4" and not any(name.startswith(os.path.basename(source) + "-") for name in ls("/proc/fs/jbd2"))
    return f"{kind}{' without a journal of its own' if journal else ''} ({options})"


def ls(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def versions(hpo):
    said = [subprocess.run([hpo, "--version"], capture_output=True, text=True).stdout.strip()]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    said += [f"commit {commit.stdout.strip()}"] if commit.returncode == 0 else []
    try:
        from importlib.metadata import version

        said += [f"{name} {version(name)}" for name in ("optuna", "SQLAlchemy", "grpcio", "protobuf")]
    except ImportError:
        pass
    return ", ".join([*said, f"Python {platform.python_version()}"])


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("hpo")
    words.add_argument("--quick", action="store_true")
    words.add_argument("--repeats", type=int, help="rounds (default: 5, or 2 with --quick)")
    words.add_argument("--only", choices=["recovery", "load", "peers"])
    words.add_argument("--no-peers", action="store_true")
    words.add_argument("--dir", default=".")
    words.add_argument("--out", default="docs/measurements")
    args = words.parse_args()
    bench, begun, busy, sync = Bench(args), time.monotonic(), os.getloadavg()[0], disk(args.dir)
    parts = {"recovery": bench.recovery, "load": bench.load, "peers": bench.peers}
    if args.no_peers:
        del parts["peers"]
    texts, figures = [], {"disk_sync_ms": sync}
    for name, part in parts.items():
        if args.only in (None, name):
            text, figures[name] = part()
            texts.append(text)
    date = datetime.date.today().isoformat()
    quick = "**A quick look, not a measurement.**\n\n" if args.quick else ""
    head = f"""# Durability, {date}

By `benches/durability/run`, in {(time.monotonic() - begun) / 60:.0f} minutes. {os.cpu_count()} cores of {processor()}, Linux {platform.release()};
the load of the machine at the start was {busy:.2f}. The disk: {file_system(args.dir)}; a sync after an append of 4 KiB takes
{sync['p50']:.2f} ms (p50), {sync['p99']:.2f} ms (p99), {sync['max']:.1f} ms (worst of 500). {versions(bench.hpo)}.

{quick}## What was expected

{EXPECTED}

"""
    os.makedirs(args.out, exist_ok=True)
    stem = os.path.join(args.out, f"{date}-durability")
    with open(stem + ".md", "w") as file:
        file.write(head + "\n".join(texts))
    with open(stem + ".json", "w") as file:
        json.dump(figures, file, indent=1)
    print(head + "\n".join(texts))


if __name__ == "__main__":
    main()

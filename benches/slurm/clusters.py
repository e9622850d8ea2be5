"""What is measured on a real Slurm cluster of this host."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import journal
import measure

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600
ASHA = 'kind = "asha-promote"\nmin_resource = 1\nmax_resource = 27\neta = 3\n'


class Cluster:
    """A cluster of its own, gone at the end of the block."""

    def __init__(self, bench, nodes, gpus=0):
        self.folder, self.size = bench.folder / "slurm", (nodes, gpus)
        self.env = {**os.environ, "TESTBED_DIR": str(self.folder), "TESTBED_PORT": "29100"}
        self.env["SLURM_CONF"] = str(self.folder / "etc/slurm.conf")

    def __enter__(self):
        self.testbed("up", *map(str, self.size))
        return self

    def __exit__(self, *_):
        self.testbed("down")

    def testbed(self, *words):
        subprocess.run([ROOT / "tests/slurm/testbed", *words], env=self.env, check=True, capture_output=True)

    def ask(self, *words, **more):
        return subprocess.run(words, env=self.env, check=True, capture_output=True, text=True, **more).stdout

    def is_empty(self):
        return not self.ask("squeue", "-h", "-r").strip()


def wait_for(what, ready):
    """Until it is there, but not for ever."""
    begun = time.monotonic()
    while not ready():
        if time.monotonic() - begun > PATIENCE:
            raise SystemExit(f"{what} did not come within {PATIENCE} s")
        time.sleep(0.05)


def start_driver(bench, cluster, text, run):
    """A driver on this host, of which the workers are somebody else's."""
    path = bench.file(text)
    with open(f"{run}.log", "wb") as log:
        words = [bench.hpo, "driver", path, "--run-dir", run]
        driver = subprocess.Popen(words, env=cluster.env, stdout=log, stderr=log)
    wait_for("the driver", (run / "rendezvous.json").exists)
    return driver


def array(cluster, run, tasks, command):
    """Submits an array of which each task becomes this command."""
    script = Path(f"{run}.sbatch")
    script.write_text(f"#!/bin/bash\nexec {command}\n", encoding="utf-8")
    cluster.ask("sbatch", "--parsable", f"--array=0-{tasks - 1}", "--time=20", f"--output={run}.%a.out", str(script))


def dispatch(bench):
    """Leases a second to light workers in the tasks of an array; beside it, what one step of Slurm a trial would come to."""
    rows = []
    with Cluster(bench, 4) as cluster:
        for tasks, workers in [(4, 16), (4, 64)] if bench.quick else [(4, 16), (4, 64), (16, 64)]:
            for _ in range(1 if bench.quick else 3):
                rows.append(one_crowd(bench, cluster, tasks, workers))
        steps = 20 if bench.quick else 50
        begun = time.monotonic()
        script = f"for step in $(seq {steps}); do srun --quiet true; done"
        cluster.ask("salloc", "--quiet", "-N1", "-n1", "bash", "-c", script)
        each = steps / (time.monotonic() - begun)
        begun = time.monotonic()
        jobs = 10 if bench.quick else 40
        for _ in range(jobs):
            cluster.ask("sbatch", "--wrap=true", "--output=/dev/null")
        wait_for("the end of the jobs", cluster.is_empty)
        a_job = jobs / (time.monotonic() - begun)
    bench.note("slurm alone", {"srun": each, "sbatch": a_job})
    columns = ["tasks", "workers each", "leases", "leases/s", "best second", "p50 ms", "p99 ms"]
    measure.table("leases of one unit to light workers in an array", columns, rows)
    print(f"\nOn the same cluster: {each:.0f} `srun true` a second, one after the other; {a_job:.1f} jobs of `true` a second, with their end.")


def one_crowd(bench, cluster, tasks, workers):
    run = bench.folder / f"dispatch-{tasks}-{workers}-{time.monotonic_ns()}"
    driver = start_driver(bench, cluster, measure.sweep("dispatch", 'kind = "fifo"\nmax_resource = 1\n', 10_000_000, 1.0), run)
    try:
        # Long enough that all tasks are at work for a while.
        each = (30_000 if bench.quick else 60_000 if workers * tasks <= 256 else 150_000) // tasks
        talk = f"{bench.hpo} bench talk --json --run-dir {run} --workers {workers} --reports {each}"
        array(cluster, run, tasks, f"{talk} --first $((SLURM_ARRAY_TASK_ID * {workers}))")
        wait_for("the end of the array", cluster.is_empty)
    finally:
        driver.send_signal(signal.SIGINT)
        driver.wait(timeout=PATIENCE)
    said = [said_by(Path(f"{run}.{task}.out")) for task in range(tasks)]
    _, events = journal.records(run)
    given = journal.leases(events)
    # Only while all tasks are at work: from when the last has joined until the first leaves.
    begin = max(record["at"] for record in events if record["event"] == "worker_joined")
    end = min(record["at"] for record in events if record["event"] == "worker_left")
    within = [at for at in given if begin < at <= end]
    seconds = (end - begin) / 1000
    if seconds < 1:
        raise SystemExit("the tasks did not work side by side for a second: more reports are needed")
    best = max((sum(1 for at in within if begin + s * 1000 < at <= begin + (s + 1) * 1000) for s in range(int(seconds))), default=0)
    rate = len(within) / seconds
    p50 = max(one["lease_ms"]["p50"] for one in said)
    p99 = max(one["lease_ms"]["p99"] for one in said)
    bench.note("dispatch", {"tasks": tasks, "workers": workers, "leases": len(within), "seconds": seconds, "rate": rate, "best": best, "p50": p50, "p99": p99})
    return [tasks, workers, f"{len(within):,} in {seconds:.1f} s", f"{rate:,.0f}", f"{best:,}", f"{p50:.0f}", f"{p99:.0f}"]


def said_by(path):
    """The figures of one task."""
    text = path.read_text(encoding="utf-8")
    if not text.startswith("{"):
        raise SystemExit(f"a task of the array failed: {text or 'it said nothing'}")
    return json.loads(text)


def end(bench):
    """What of an allocation is idle with and without the autoscaler, for a sweep whose width shrinks at its end."""
    workers, trials = 16, 60 if bench.quick else 240
    rows = []
    with Cluster(bench, 4) as cluster:
        for seed in range(1, 2 if bench.quick else 4):
            for scaled in (False, True):
                run = bench.folder / f"end-{seed}-{scaled}"
                slurm = f'\n[slurm]\nmax_workers = {workers}\npoll = "2s"\ntime = "20m"\n'
                text = measure.sweep("end", ASHA, trials, 1.0, seed, 1.0, slurm)
                if scaled:
                    words = [bench.hpo, "slurm", "submit", bench.file(text), "--run-dir", run]
                    subprocess.run(words, env=cluster.env, check=True, capture_output=True)
                    wait_for("the end of the sweep", (run / "report/report.html").exists)
                else:
                    driver = start_driver(bench, cluster, text, run)
                    array(cluster, run, workers, f"{bench.hpo} worker --run-dir {run} --slots 1 --no-gpu")
                    driver.wait(timeout=PATIENCE)
                wait_for("the last worker's leave", cluster.is_empty)
                found = bench.json("report", run)
                hours = found["hours"]
                idle = (hours["idle"] + hours["drain"]) / hours["reserved"]
                header, events = journal.records(run)
                lasted = events[-1]["at"] / 1000
                bench.note("end", {"seed": seed, "scaled": scaled, "seconds": lasted, "best": found["best"]["metric"], **hours})
                rows.append([
                    seed, "with" if scaled else "without", f"{lasted:.0f}", f"{hours['reserved'] * 3600:.0f}",
                    f"{(hours['idle'] + hours['drain']) * 3600:.0f}", f"{100 * idle:.1f}", f"{found['best']['metric']:.4f}",
                ])
    columns = ["seed", "autoscaler", "sweep s", "allocated slot-s", "of them idle", "idle %", "best"]
    measure.table(f"asha-promote, 1 to 27, {trials} trials of a second a unit, {workers} tasks, queue seen every 2 s", columns, rows)


def submit(bench):
    """From the command to the first training step, on a cluster with room."""
    seen = []
    with Cluster(bench, 4) as cluster:
        for repeat in range(2 if bench.quick else 10):
            run = bench.folder / f"submit-{repeat}"
            text = measure.sweep("submit", 'kind = "fifo"\nmax_resource = 1\n', 4, 0.2, repeat, 1.0, "\n[slurm]\nmax_workers = 4\n")
            path = bench.file(text)
            began = time.time()
            subprocess.run([bench.hpo, "slurm", "submit", path, "--run-dir", run], env=cluster.env, check=True, capture_output=True)
            returned = time.time() - began
            wait_for("the end of the sweep", (run / "report/report.html").exists)
            wait_for("the last worker's leave", cluster.is_empty)
            header, events = journal.records(run)
            at = {}
            for record in events:
                at.setdefault(record["event"], header["created_unix_ms"] / 1000 + record["at"] / 1000 - began)
            seen.append({"returned": returned, "driver": at["driver_started"], "joined": at["worker_joined"], "trains": at["started"]})
            bench.note("submit", seen[-1])
    names = {"driver": "the driver runs", "returned": "the command returns", "joined": "the first worker joins", "trains": "the first step"}
    rows = []
    for name, words in names.items():
        values = sorted(one[name] for one in seen)
        rows.append([words, *(f"{value:.2f}" for value in (values[0], values[len(values) // 2], values[-1]))])
    measure.table(f"seconds after `hpo slurm submit`, {len(seen)} runs", ["", "least", "median", "most"], rows)

"""Plays and tabulates the comparison with other tools; see `run`."""
import argparse, concurrent.futures, datetime, os, pathlib, subprocess, sys, time

import methods, ours, pool, rows, speed, tables

HERE = pathlib.Path(__file__).parent


def environment(tool):
    return pathlib.Path(os.environ["HPO_BENCH_VENV"]) / tool / "bin" / "python"


def peer(folder, until, tool, method, tasks, workers, condition, seeds, budget):
    """One method of another tool, in its environment. What fails is said, and the others go on."""
    words = [environment(tool), HERE / "play.py", folder, tool, method, "--tasks", ",".join(tasks)]
    words += ["--seeds", f"{seeds[0]}..{seeds[-1] + 1}", "--workers", workers, "--condition", condition, "--budget", budget]
    words += ["--until", until.timestamp()] if until else []
    begun = time.monotonic()
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    took = time.monotonic() - begun
    print(f"{datetime.datetime.now():%H:%M:%S} {tool} {method}, {condition}, {workers} workers, {len(tasks)} tasks: {took:.0f} s", flush=True)
    if done.returncode != 0:
        print("\n".join(done.stderr.splitlines()[-12:]), file=sys.stderr, flush=True)


def play(args):
    folder = pathlib.Path(os.environ["HPO_BENCH_ROWS"])
    stages = [stage for stage in methods.stages(tables.reference()) if args.only is None or args.only in stage[0]]
    if args.seeds:
        stages = [(*rest, [seed for seed in seeds if seed in args.seeds]) for *rest, seeds in stages]
    stages = [stage for stage in stages if stage[-1]]
    if args.hpo:
        for name, tasks, workers, condition, seeds in stages:
            ours.play(args.hpo, folder, tasks, workers, condition, seeds, args.methods)
            print(f"{datetime.datetime.now():%H:%M:%S} hpo, {name}", flush=True)
    if args.peers:
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as lanes:
            for _, tasks, workers, condition, seeds in stages:
                for tool, method, most, *less in methods.PEERS:
                    some = [seed for seed in seeds if seed < methods.SEEDS[0] + most]
                    if some and environment(tool).exists() and (args.methods is None or method in args.methods):
                        budget = less[0] if less else methods.BUDGET
                        lanes.submit(peer, folder, args.until, tool, method, tasks, workers, condition, some, budget)


def clock(text):
    """The next time that it is so late."""
    now = datetime.datetime.now()
    at = datetime.datetime.combine(now.date(), datetime.time.fromisoformat(text))
    return at if at > now else at + datetime.timedelta(days=1)


def main():
    words = argparse.ArgumentParser(description=__doc__)
    parts = words.add_subparsers(dest="part", required=True)
    one = parts.add_parser("play", help="plays what was not played yet")
    one.add_argument("hpo", nargs="?", help="the program; without it only the other tools are played")
    one.add_argument("--no-peers", dest="peers", action="store_false")
    one.add_argument("--only", metavar="WORDS", help="only stages whose name has these words")
    one.add_argument("--methods", type=lambda text: text.split(";"), help="only these methods, separated by semicolons")
    one.add_argument("--seeds", type=rows.seeds, help="only these seeds, as 1000..1005")
    one.add_argument("--jobs", type=int, default=2, help="other tools' processes beside each other (default 2)")
    one.add_argument("--until", type=clock, help="HH:MM after which no run is begun")
    one = parts.add_parser("speed", help="what a suggestion takes")
    one.add_argument("hpo")
    one.add_argument("--most", type=int, default=1000, help="observations up to which slow samplers are asked (default 1000)")
    one = parts.add_parser("pool", help="epochs until the best of MLPF's recorded trainings is found")
    one.add_argument("hpo")
    one.add_argument("--seeds", type=rows.seeds, default=range(1000, 1300))
    one = parts.add_parser("table", help="tables and plot of what was played")
    one.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/measurements"))
    one.add_argument("--earlier", type=pathlib.Path, nargs="*", default=[], help="curves measured before, as CSV: tool, method, instance, seed, epochs, vtime, best_loss")
    parts.add_parser("pack", help="puts what other tools' runs came to into one file of the repository")
    parts.add_parser("unpack", help="goes on from that file")
    args = words.parse_args()
    keep = {"pack": rows.pack, "unpack": rows.unpack}
    if args.part in keep:
        keep[args.part](pathlib.Path(os.environ["HPO_BENCH_ROWS"]), HERE / "played.tar.xz")
        return
    {"play": play, "speed": speed.main, "pool": pool.main, "table": tables.main}[args.part](args)


if __name__ == "__main__":
    main()

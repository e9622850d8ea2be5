"""One of Optuna's stores doing the work of a sweep: peers.py STORE WORKERS SECONDS DIR. Prints one JSON line.

Each worker is a process: it asks for a trial with seven values, reports up to nine times and asks after each report
whether to go on (successive halving, rungs 1, 3, 9). The store is the only thing that they share.
"""
import json, multiprocessing, os, resource, socket, sys, tempfile, time, warnings

STORES = ["journal", "sqlite", "grpc-memory", "grpc-sqlite"]
TICKS = os.sysconf("SC_CLK_TCK")


def quiet():
    warnings.filterwarnings("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def local(optuna, store, folder):
    """The store itself, in this process."""
    if store == "journal":
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(f"{folder}/journal.log"))
    if store.endswith("sqlite"):
        return optuna.storages.RDBStorage(f"sqlite:///{folder}/study.db", engine_kwargs={"connect_args": {"timeout": 120}})
    return optuna.storages.InMemoryStorage()


def storage(optuna, store, folder, port):
    """The store as a worker sees it."""
    return optuna.storages.GrpcStorageProxy(host="localhost", port=port) if port else local(optuna, store, folder)


def serve(store, folder, port):
    optuna = quiet()
    optuna.storages.run_grpc_proxy_server(local(optuna, store, folder), host="localhost", port=port)


def halving(optuna):
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)


def one_trial(optuna, study, seen):
    begun = time.perf_counter()
    trial = study.ask()
    x = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    trial.suggest_int("batch_size", 16, 512, log=True)
    trial.suggest_float("momentum", 0.1, 0.99)
    trial.suggest_float("weight_decay", 1e-5, 1e-1)
    trial.suggest_int("num_layers", 1, 5)
    trial.suggest_int("max_units", 64, 1024, log=True)
    trial.suggest_float("max_dropout", 0.0, 1.0)
    seen["asks"].append(time.perf_counter() - begun)
    state = optuna.trial.TrialState.COMPLETE
    for epoch in range(1, 10):
        begun = time.perf_counter()
        trial.report(x + 1.0 / epoch, epoch)
        stop = trial.should_prune()
        seen["reports"].append(time.perf_counter() - begun)
        if stop:
            state = optuna.trial.TrialState.PRUNED
            break
    study.tell(trial, None if state == optuna.trial.TrialState.PRUNED else x, state=state)


def work(store, folder, port, seconds, gate, answers):
    optuna = quiet()
    sampler = optuna.samplers.RandomSampler()
    study = optuna.load_study(study_name="s", storage=storage(optuna, store, folder, port), sampler=sampler, pruner=halving(optuna))
    # Once, so that nothing is imported or compiled while it is measured.
    one_trial(optuna, study, {"asks": [], "reports": []})
    gate.wait()
    used = resource.getrusage(resource.RUSAGE_SELF)
    begun, seen = time.monotonic(), {"asks": [], "reports": []}
    while time.monotonic() - begun < seconds:
        one_trial(optuna, study, seen)
    seen["seconds"] = time.monotonic() - begun
    now = resource.getrusage(resource.RUSAGE_SELF)
    seen["cpu"] = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    answers.put(seen)


def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def start_server(processes, store, folder):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = processes.Process(target=serve, args=(store, folder, port), daemon=True)
    server.start()
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
            return server, port
        except OSError:
            if time.monotonic() > deadline or not server.is_alive():
                raise SystemExit("the server of Optuna's gRPC store does not come up")
            time.sleep(0.1)


def quantile(sample, share):
    return sorted(sample)[round(share * (len(sample) - 1))]


def main():
    store, workers, seconds, where = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    if store not in STORES:
        raise SystemExit(f"a store is one of {', '.join(STORES)}")
    optuna, processes = quiet(), multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="optuna-bench-", dir=where) as folder:
        server, port = start_server(processes, store, folder) if store.startswith("grpc") else (None, None)
        study = optuna.create_study(study_name="s", storage=storage(optuna, store, folder, port), pruner=halving(optuna))
        gate, answers = processes.Barrier(workers + 1), processes.SimpleQueue()
        crew = [processes.Process(target=work, args=(store, folder, port, seconds, gate, answers), daemon=True) for _ in range(workers)]
        for worker in crew:
            worker.start()
        gate.wait(timeout=300)
        served = cpu_of(server.pid) if server else 0.0
        seen = [answers.get() for _ in crew]
        served = cpu_of(server.pid) - served if server else 0.0
        for worker in crew:
            worker.join()
        kept = sum(len(trial.intermediate_values) for trial in study.get_trials(deepcopy=False))
        if server:
            server.terminate()
            server.join()
    reports = [took for one in seen for took in one["reports"]]
    asks = [took for one in seen for took in one["asks"]]
    if kept < len(reports):
        raise SystemExit(f"{len(reports)} reports were made, but the store has {kept}")
    took = max(one["seconds"] for one in seen)
    print(json.dumps({
        "store": store, "workers": workers, "seconds": took, "reports": len(reports), "reports_per_second": len(reports) / took,
        "trials_per_second": len(asks) / took,
        "report_ms": {"p50": 1e3 * quantile(reports, 0.5), "p99": 1e3 * quantile(reports, 0.99)},
        "ask_ms": {"p50": 1e3 * quantile(asks, 0.5), "p99": 1e3 * quantile(asks, 0.99)},
        "cpu_seconds": served + sum(one["cpu"] for one in seen), "server_cpu_seconds": served,
    }))


if __name__ == "__main__":
    main()

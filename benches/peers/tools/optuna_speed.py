"""Milliseconds of CPU that an Optuna sampler takes for a suggestion: optuna_speed.py SAMPLER OBSERVATIONS SUGGESTIONS"""
import json, os, random, statistics, sys, time, warnings

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from problem import EPOCHS, SPACE, predict

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
TASK = "3945"  # that of configs/lcbench.toml
SAMPLERS = {
    "tpe": lambda: optuna.samplers.TPESampler(seed=0),
    "gp": lambda: optuna.samplers.GPSampler(seed=0, deterministic_objective=True),
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
}


def loss(params):
    return 100.0 - float(predict(TASK, params, [EPOCHS])[0, 1])


def main():
    sampler, observations, suggestions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    space = {name: (IntDistribution if whole else FloatDistribution)(low, high, log=log) for name, low, high, whole, log in SPACE}
    chance = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    draws = [chance.ask(space).params for _ in range(observations)]
    study = optuna.create_study(sampler=SAMPLERS[sampler]())
    study.add_trials([optuna.create_trial(params=one, distributions=space, value=loss(one)) for one in draws])
    took = []
    for _ in range(suggestions + 1):
        before = time.process_time()
        trial = study.ask(space)
        took.append(1e3 * (time.process_time() - before))
        value = loss(trial.params)
        before = time.process_time()
        study.tell(trial, value)
        took[-1] += 1e3 * (time.process_time() - before)
    first, *rest = took
    print(json.dumps({"median_ms": statistics.median(rest), "first_ms": first}))


if __name__ == "__main__":
    main()

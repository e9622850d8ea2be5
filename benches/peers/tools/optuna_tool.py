"""Optuna: samplers and pruners."""
import logging, warnings

import optuna
from optuna import pruners, samplers
from optuna.trial import TrialState

from clock import Job
from problem import EPOCHS, ETA, LEAST, SPACE

VERSION = f"Optuna {optuna.__version__}"
optuna.logging.set_verbosity(logging.ERROR)
warnings.filterwarnings("ignore")
asha = lambda: pruners.SuccessiveHalvingPruner(min_resource=LEAST, reduction_factor=ETA)
hyperband = lambda: pruners.HyperbandPruner(min_resource=LEAST, max_resource=EPOCHS, reduction_factor=ETA)
METHODS = {
    "random": lambda seed: Study(samplers.RandomSampler(seed=seed)),
    "tpe": lambda seed: Study(samplers.TPESampler(seed=seed)),
    "gp": lambda seed: Study(samplers.GPSampler(seed=seed, deterministic_objective=True)),
    "asha random": lambda seed: Study(samplers.RandomSampler(seed=seed), asha()),
    "asha tpe": lambda seed: Study(samplers.TPESampler(seed=seed), asha()),
    "hyperband tpe": lambda seed: Study(samplers.TPESampler(seed=seed), hyperband()),
}


def noisy(method):
    """What a user would say where reports are noisy; None: nothing."""
    return (lambda seed: Study(samplers.GPSampler(seed=seed))) if method == "gp" else None


def value(trial, name, low, high, whole, log):
    return trial.suggest_int(name, low, high, log=log) if whole else trial.suggest_float(name, low, high, log=log)


class Study:
    def __init__(self, sampler, pruner=None):
        self.study, self.prunes = optuna.create_study(sampler=sampler, pruner=pruner or pruners.NopPruner()), pruner is not None

    def ask(self):
        trial = self.study.ask()
        return Job(trial.number, {name: value(trial, name, *rest) for name, *rest in SPACE}, token=trial)

    def report(self, job, epoch, loss):
        if not self.prunes:
            return True
        job.token.report(loss, epoch)
        return epoch == EPOCHS or not job.token.should_prune()

    def done(self, job, epoch, loss):
        if loss is None:
            self.study.tell(job.token, state=TrialState.FAIL)
        elif job.stopped:
            self.study.tell(job.token, state=TrialState.PRUNED)
        else:
            self.study.tell(job.token, loss)

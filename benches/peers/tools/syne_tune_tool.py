"""Syne Tune 0.13.0, the last with MOBSTER, DEHB and synchronous Hyperband: its schedulers without its backends."""
import datetime, logging, warnings

logging.disable(logging.CRITICAL)
warnings.filterwarnings("ignore")
import syne_tune
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import lograndint, loguniform, randint, uniform
from syne_tune.optimizer import baselines

from clock import Job
from problem import EPOCHS, ETA, LEAST, SPACE

VERSION = f"Syne Tune {syne_tune.__version__}"


def domain(low, high, whole, log):
    kinds = {(False, False): uniform, (False, True): loguniform, (True, False): randint, (True, True): lograndint}
    return kinds[whole, log](low, high)


PLAIN = {name: domain(*rest) for name, *rest in SPACE}
RUNGS = {**PLAIN, "epochs": EPOCHS}
HALVING = dict(resource_attr="epoch", max_resource_attr="epochs", grace_period=LEAST, reduction_factor=ETA)


def plain(kind):
    return lambda seed: Scheduler(kind(PLAIN, metric="loss", mode="min", random_seed=seed, search_options={"debug_log": False}))


def halving(kind, options=None, **more):
    options = {"debug_log": False, **(options or {})}
    return lambda seed: Scheduler(kind(RUNGS, metric="loss", mode="min", random_seed=seed, search_options=options, **HALVING, **more))


ONE_MODEL_A_RUNG = {"model": "gp_independent"}
METHODS = {
    "gp": plain(baselines.BayesianOptimization),
    "asha promote": halving(baselines.ASHA, type="promotion"),
    "hyperband": halving(baselines.SyncHyperband),
    "bohb async": halving(baselines.BOHB, type="promotion"),
    "dehb": halving(baselines.DEHB),
    "mobster": halving(baselines.MOBSTER, ONE_MODEL_A_RUNG, type="promotion"),
    "hyper-tune": halving(baselines.HyperTune, ONE_MODEL_A_RUNG, type="promotion", brackets=4),
}


class Scheduler:
    def __init__(self, scheduler):
        self.scheduler, self.trials, self.trained = scheduler, {}, {}

    def ask(self):
        said = self.scheduler.suggest(len(self.trials))
        if said is None:
            return None
        if said.spawn_new_trial_id:
            number = len(self.trials)
            self.trials[number] = Trial(number, said.config, datetime.datetime.now())
            self.trained[number] = 0
            self.scheduler.on_trial_add(self.trials[number])
        else:
            number = said.checkpoint_trial_id
            if said.config is not None:
                self.trials[number] = Trial(number, said.config, datetime.datetime.now())
        config, start = self.trials[number].config, self.trained[number]
        return Job(number, {name: config[name] for name in PLAIN}, start, max(int(config.get("epochs", EPOCHS)), start + 1))

    def report(self, job, epoch, loss):
        self.trained[job.key] = epoch
        job.token = self.scheduler.on_trial_result(self.trials[job.key], {"loss": loss, "epoch": epoch})
        return job.token == "CONTINUE"

    def done(self, job, epoch, loss):
        trial = self.trials[job.key]
        if loss is None:
            self.scheduler.on_trial_error(trial)
        elif job.token == "STOP":
            self.scheduler.on_trial_remove(trial)
        elif job.token == "CONTINUE":
            self.scheduler.on_trial_complete(trial, {"loss": loss, "epoch": epoch})

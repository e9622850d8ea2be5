"""SMAC3 and DEHB."""
import atexit, os, pathlib, shutil, tempfile, warnings
from importlib.metadata import version

os.environ["LOGURU_LEVEL"] = "ERROR"
warnings.filterwarnings("ignore")
import dehb
from ConfigSpace import ConfigurationSpace, Float, Integer
from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.intensifier.hyperband import Hyperband
from smac.runhistory import StatusType
from smac.runhistory.dataclasses import TrialValue

from clock import Job
from problem import EPOCHS, ETA, LEAST, SPACE

VERSION = f"SMAC {version('smac')}"
SCRATCH = tempfile.mkdtemp(prefix="hpo-peers-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
METHODS = {
    "smac": lambda seed: Smac(seed, False),
    "smac hyperband": lambda seed: Smac(seed, True),
    "dehb": lambda seed: Dehb(seed),
}
# What a failed training counts: an accuracy of nothing.
WORST = 100.0


def space(seed):
    space = ConfigurationSpace(seed=seed)
    space.add([(Integer if whole else Float)(name, (low, high), log=log) for name, low, high, whole, log in SPACE])
    return space


class Resuming:
    """Configurations that come again go on where they were."""

    def __init__(self):
        self.trained = {}

    def job(self, config, epochs, token):
        params = {name: (int if whole else float)(config[name]) for name, _, _, whole, _ in SPACE}
        key, end = tuple(params.values()), max(1, round(epochs))
        return Job(key, params, min(self.trained.get(key, 0), end - 1), end, token)

    def report(self, job, epoch, loss):
        self.trained[job.key] = epoch
        return True


class Smac(Resuming):
    def __init__(self, seed, rungs):
        super().__init__()
        self.rungs = rungs
        fidelity = dict(min_budget=LEAST, max_budget=EPOCHS) if rungs else {}
        folder = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        scenario = Scenario(space(seed), deterministic=True, n_trials=10**6, seed=seed, n_workers=1, output_directory=folder, **fidelity)
        facade = MultiFidelityFacade if rungs else HyperparameterOptimizationFacade
        intensifier = Hyperband(scenario, eta=ETA, incumbent_selection="highest_budget") if rungs else None
        self.smac = facade(scenario, lambda config, seed=0, budget=None: 0.0, overwrite=True, logging_level=50, intensifier=intensifier)

    def ask(self):
        info = self.smac.ask()
        return self.job(info.config, info.budget if self.rungs else EPOCHS, info)

    def done(self, job, epoch, loss):
        status = StatusType.CRASHED if loss is None else StatusType.SUCCESS
        self.smac.tell(job.token, TrialValue(cost=WORST if loss is None else loss, time=float(epoch), status=status), save=False)


class Dehb(Resuming):
    def __init__(self, seed):
        super().__init__()
        fidelity = dict(min_fidelity=LEAST, max_fidelity=EPOCHS, eta=ETA)
        folder = tempfile.mkdtemp(dir=SCRATCH)
        self.dehb = dehb.DEHB(f=None, cs=space(seed), dimensions=len(SPACE), seed=seed, n_workers=1, output_path=folder, log_level="ERROR", **fidelity)

    def ask(self):
        asked = self.dehb.ask()
        return self.job(dict(asked["config"]), asked["fidelity"], asked)

    def done(self, job, epoch, loss):
        self.dehb.tell(job.token, {"fitness": WORST if loss is None else loss, "cost": float(epoch), "info": {}})

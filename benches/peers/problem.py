"""What every tool is asked to solve: LCBench's surrogate (YAHPO Gym), one task at a time, as `hpo simulate` plays it too."""
import csv, json, math, os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import onnxruntime

EPOCHS = 52
LEAST = 3
ETA = 3
LEAST_SECONDS = 1e-3
# Name, low, high, whole numbers, log scale; in the order of `config_space.json`.
SPACE = [
    ("batch_size", 16, 512, True, True),
    ("learning_rate", 0.00010000000000000009, 0.10000000000000002, False, True),
    ("max_dropout", 0.0, 1.0, False, False),
    ("max_units", 64, 1024, True, True),
    ("momentum", 0.1, 0.99, False, False),
    ("num_layers", 1, 5, True, False),
    ("weight_decay", 1e-05, 0.1, False, False),
]
# The model's inputs after the epoch, in its order.
INPUTS = ["batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"]
# Curves are predicted as far as they are trained: a row costs a tenth of a call.
BLOCKS = [0, 3, 9, 27, EPOCHS]


def data():
    return os.path.join(os.environ["HPO_DATA_DIR"], "lcbench-surrogate")


@lru_cache
def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.path.join(data(), "model.onnx"), options, providers=["CPUExecutionProvider"])


@lru_cache
def number_of(task):
    with open(os.path.join(data(), "encoding.json")) as file:
        return json.load(file)["OpenML_task_id"][task]


@lru_cache
def scale_of(task):
    """Percentage points from the median of full trainings to the best known: what a normalised regret of 1 is."""
    with open(os.path.join(data(), "reference.csv"), newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["instance"] == task)
    return float(row["best_known"]) - float(row["rand_q50"])


def predict(task, params, epochs):
    """Seconds and validation accuracy after each of these epochs."""
    values = np.array([[epoch, *(params[name] for name in INPUTS)] for epoch in epochs], np.float32)
    kinds = np.full((len(values), 1), number_of(task), np.int32)
    return session().run(None, {"x_cat": kinds, "x_cont": values})[0][:, :2].astype(float)


@dataclass(frozen=True)
class Condition:
    """How the world differs from the surrogate's. Chance derives from sweep seed and trial number as in `hpo-core`."""

    name: str
    noise: float = 0.0  # standard deviation of a report, as a share of the task's scale
    failures: float = 0.0  # share of trials that fail, each in an epoch drawn for it


CONDITIONS = {one.name: one for one in [Condition("smooth"), Condition("noisy", noise=0.03), Condition("failing", failures=0.05)]}


class Curve:
    """One trial's training."""

    def __init__(self, task, params, condition, seed, trial):
        self.task, self.params = task, params
        first = predict(task, params, [*range(1, BLOCKS[1] + 1), EPOCHS])
        self.exact = list(first[:-1, 1])
        self.epoch_seconds = max(first[-1, 0], LEAST_SECONDS) / EPOCHS
        self.noise, self.own = condition.noise * scale_of(task), derive(seed, "train", trial)
        fails = condition.failures > 0 and uniform(self.own, "failure", 0) < condition.failures
        self.fails_in = 1 + int(uniform(self.own, "failure", 1) * EPOCHS) if fails else None

    def accuracy(self, epoch):
        """What is reported after an epoch, and what it is without noise."""
        while epoch > len(self.exact):
            end = next(block for block in BLOCKS if block > len(self.exact))
            self.exact += list(predict(self.task, self.params, range(len(self.exact) + 1, end + 1))[:, 1])
        exact = self.exact[epoch - 1]
        return exact + (self.noise * normal(self.own, "noise", epoch) if self.noise else 0.0), exact


WORD = (1 << 64) - 1


def derive(seed, purpose, index):
    """`Seed::derive` of `hpo-core/src/seed.rs`: FNV-1a and SplitMix64."""
    label = 0xCBF29CE484222325
    for byte in purpose.encode():
        label = (label ^ byte) * 0x100000001B3 & WORD
    return mix(mix(seed ^ label) + index & WORD)


def mix(value):
    z = value + 0x9E3779B97F4A7C15 & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def uniform(seed, purpose, index):
    return (derive(seed, purpose, index) >> 11) / (1 << 53)


def normal(seed, purpose, index):
    """Box and Muller, as in `worker/curves`."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(seed, purpose, 2 * index)))
    return radius * math.cos(math.tau * uniform(seed, purpose, 2 * index + 1))

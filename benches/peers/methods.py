"""What is compared, on what, in which order."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "simulate"))
from kinds import PEER_TASKS

BUDGET = 2600  # epochs: fifty full trainings
SEEDS = range(1000, 1020)  # none was used while ours were chosen

# Tool, method, and how many of the seeds it gets: what takes minutes a run gets few. A fourth figure is a smaller budget: of
# Syne Tune's multi-fidelity models 2,600 epochs take minutes of a core, 1,300 a quarter of that.
PEERS = [
    ("optuna", "random", 20),
    ("optuna", "asha random", 20),
    ("optuna", "tpe", 20),
    ("optuna", "hyperband tpe", 20),
    ("syne-tune", "asha promote", 20),
    ("syne-tune", "hyperband", 20),
    ("syne-tune", "bohb async", 20),
    ("syne-tune", "dehb", 20),
    ("smac", "dehb", 20),
    ("smac", "smac hyperband", 10),
    ("syne-tune", "gp", 5),
    ("syne-tune", "mobster", 3, BUDGET // 2),
    ("optuna", "gp", 3),
    ("smac", "smac", 5),
    ("syne-tune", "hyper-tune", 3, BUDGET // 2),
]

RUNGS = "min_resource = 3, max_resource = 52, eta = 3"
FIFO, ASHA, HYPERBAND = 'kind = "fifo", max_resource = 52', f'kind = "asha-promote", {RUNGS}', f'kind = "hyperband", {RUNGS}'
# Rungs of its own, chosen on the tuning tasks below: on one of them three epochs say too little of fifty-two.
LATE = 'kind = "asha-promote", min_resource = 6, max_resource = 52, eta = 2'
# A third and the whole: what is cut off there is seldom the best.
TWO = 'kind = "asha-promote", min_resource = 18, max_resource = 52, eta = 3'
# Method, its [searcher] and its [scheduler]. What a build does not know is left out and said so.
OURS = [
    ("random, fifo", 'kind = "random"', FIFO),
    ("sobol, fifo", 'kind = "sobol"', FIFO),
    ("tpe, fifo", 'kind = "tpe"', FIFO),
    ("gp, fifo", 'kind = "gp"', FIFO),
    ("random, asha", 'kind = "random"', ASHA),
    ("sobol, asha", 'kind = "sobol"', ASHA),
    ("tpe, asha", 'kind = "tpe"', ASHA),
    ("bohb, asha", 'kind = "bohb"', ASHA),
    ("gp-mf, asha", 'kind = "gp-mf"', ASHA),
    ("gp-mf, asha from 6", 'kind = "gp-mf"', LATE),
    ("gp-mf, asha from 18", 'kind = "gp-mf"', TWO),
    ("random, hyperband", 'kind = "random"', HYPERBAND),
    ("bohb, hyperband", 'kind = "bohb"', HYPERBAND),
    ("gp-mf, hyperband", 'kind = "gp-mf"', HYPERBAND),
    ("evolution, fifo", 'kind = "evolution"', FIFO),
    ("evolution, asha", 'kind = "evolution"', ASHA),
    ("ensemble, asha", 'kind = "ensemble"', ASHA),
]

# The tasks that methods may be tuned on; all others are for reporting alone.
TUNING = [*PEER_TASKS, "167185", "7593", "126026", "146212", "168331", "3945", "168868"]


def others(known):
    return sorted((task for task in known if task not in TUNING), key=int)


def stages(known):
    """Name, tasks, workers, condition, seeds: what says most comes first."""
    first, rest = SEEDS[:5], SEEDS[5:]
    return [
        ("five tasks, 8 workers", PEER_TASKS, 8, "smooth", first),
        ("five tasks, 8 workers, more seeds", PEER_TASKS, 8, "smooth", rest),
        ("five tasks, 32 workers", PEER_TASKS, 32, "smooth", SEEDS),
        ("five tasks, 1 worker", PEER_TASKS, 1, "smooth", SEEDS),
        ("five tasks, 8 workers, noise", PEER_TASKS, 8, "noisy", SEEDS),
        ("five tasks, 8 workers, failures", PEER_TASKS, 8, "failing", SEEDS),
        ("the other tuning tasks, 8 workers", TUNING[len(PEER_TASKS) :], 8, "smooth", SEEDS),
        ("tasks for reporting alone, 8 workers", others(known), 8, "smooth", SEEDS),
        ("five tasks, 4 workers", PEER_TASKS, 4, "smooth", SEEDS),
        ("the other tuning tasks, 32 workers", TUNING[len(PEER_TASKS) :], 32, "smooth", SEEDS),
        ("tasks for reporting alone, 32 workers", others(known), 32, "smooth", SEEDS),
        ("the other tuning tasks, 1 worker", TUNING[len(PEER_TASKS) :], 1, "smooth", SEEDS),
        ("tasks for reporting alone, 1 worker", others(known), 1, "smooth", SEEDS),
    ]

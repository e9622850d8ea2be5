"""Asynchronous workers under a virtual clock, and any optimiser behind three calls:

    ask() -> Job or None        None: no work until something is reported
    report(job, epoch, loss)    -> True to go on, False to give the worker back
    done(job, epoch, loss)      the worker is back; `loss` is None if the training failed

An epoch costs what the surrogate says; a configuration that was trained before goes on where it was."""
import heapq, time
from dataclasses import dataclass, field
from typing import Any

from problem import EPOCHS, Curve


@dataclass
class Job:
    """Trains `params` after epoch `start` to `end`. Jobs of one configuration have one `key`."""

    key: Any
    params: dict
    start: int = 0
    end: int = EPOCHS
    token: Any = None
    stopped: bool = field(default=False, init=False)


class Clock:
    def __init__(self, optimiser, task, seed, workers, condition):
        self.optimiser, self.task, self.seed, self.condition = optimiser, task, seed, condition
        self.now, self.turn, self.idle, self.queue = 0.0, 0, workers, []
        self.curves = {}
        self.spent, self.best, self.steps = 0, float("-inf"), []
        self.jobs, self.failed, self.thought = 0, 0, 0.0

    def play(self, budget):
        """Until so many epochs are trained. Steps are [epochs, seconds, accuracy without noise] at each better report."""
        self.launch()
        while self.queue and self.spent < budget:
            self.now, _, job, epoch = heapq.heappop(self.queue)
            self.step(job, epoch)
        return {"steps": self.steps, "epochs": self.spent, "seconds": self.now, "jobs": self.jobs, "failed": self.failed, "cpu": self.thought}

    def thinks(self, call, *words):
        begun = time.process_time()
        answer = call(*words)
        self.thought += time.process_time() - begun
        return answer

    def launch(self):
        while self.idle and (job := self.thinks(self.optimiser.ask)) is not None:
            self.idle -= 1
            self.jobs += 1
            if job.key not in self.curves:
                self.curves[job.key] = Curve(self.task, job.params, self.condition, self.seed, len(self.curves))
            self.go_on(job, job.start + 1)

    def go_on(self, job, epoch):
        self.turn += 1
        heapq.heappush(self.queue, (self.now + self.curves[job.key].epoch_seconds, self.turn, job, epoch))

    def step(self, job, epoch):
        curve = self.curves[job.key]
        if curve.fails_in is not None and epoch >= curve.fails_in:
            self.failed += 1
            return self.back(job, epoch, None)
        reported, exact = curve.accuracy(epoch)
        self.spent += 1
        if reported > self.best:
            self.best = reported
            self.steps.append([self.spent, round(self.now, 3), round(exact, 5)])
        job.stopped = not self.thinks(self.optimiser.report, job, epoch, 100.0 - reported)
        if job.stopped or epoch >= job.end:
            self.back(job, epoch, 100.0 - reported)
        else:
            self.go_on(job, epoch + 1)

    def back(self, job, epoch, loss):
        self.thinks(self.optimiser.done, job, epoch, loss)
        self.idle += 1
        self.launch()

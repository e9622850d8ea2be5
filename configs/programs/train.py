#!/usr/bin/env python3
"""A trainer for hpo in plain Python: what a program of your own needs to say. `worker/PROTOCOL.md` explains each word.

It minimises a noisy, badly scaled quadratic by gradient descent with momentum; one unit of resource is one step.
The same trial, stopped at any step and continued from its checkpoint, gives the same figures.
"""
import argparse
import json
import os
import queue
import random
import sys
import threading
import time

SCALES = [1.0, 4.0, 16.0]


def say(word, **fields):
    """One protocol line. Anything else on standard output is log output."""
    print("@hpo " + json.dumps({"say": word, **fields}), flush=True)


# A thread listens, so that a word is seen at once and none is lost in a buffer.
WORDS = queue.Queue()


def listen():
    for line in sys.stdin:
        WORDS.put(json.loads(line))
    WORDS.put({"say": "gone"})


def heard():
    """The word that waits, if one does."""
    try:
        word = WORDS.get_nowait()["say"]
    except queue.Empty:
        return None
    if word == "gone":
        sys.exit(1)  # hpo is gone: nobody would take the result
    return word


def save(path, state):
    """Writes a checkpoint and returns the milliseconds that took."""
    begun = time.monotonic()
    with open(path, "w") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    return round((time.monotonic() - begun) * 1000)


def step(state, lr, momentum, seed):
    # The noise of a step depends on the seed and the step alone, so that a resumed trial sees the same.
    noise = random.Random(f"{seed}/{state['resource']}")
    for i, scale in enumerate(SCALES):
        gradient = scale * state["x"][i] + noise.gauss(0.0, 0.05)
        state["v"][i] = momentum * state["v"][i] - lr * gradient
        state["x"][i] += state["v"][i]
    state["resource"] += 1
    return sum(scale * x * x / 2 for scale, x in zip(SCALES, state["x"]))


def train(start, lr, momentum):
    begun = time.monotonic()
    state = {"resource": 0, "x": [1.0] * len(SCALES), "v": [0.0] * len(SCALES)}
    if start["checkpoint"]:
        with open(start["checkpoint"]) as file:
            state = json.load(file)
    say("started", restore_ms=round((time.monotonic() - begun) * 1000))
    out = start["checkpoint_out"]
    while state["resource"] < start["until"]:
        word = heard()
        if word == "stop":
            say("stopped")
            return
        if word == "call_back":
            say("left", resource=state["resource"], wrote_ms=save(out, state), checkpoint=out)
            return
        loss = step(state, lr, momentum, start["seed"])
        if not loss < 1e6:
            say("failed", kind="not_finite", message=f"the loss grew to {loss} at step {state['resource']}")
            return
        say("report", resource=state["resource"], metrics={"loss": loss})
        time.sleep(0.01)
    say("reached", resource=state["resource"], wrote_ms=save(out, state), checkpoint=out)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lr", type=float, required=True)
    arguments.add_argument("--momentum", type=float, default=0.0)
    given = arguments.parse_args()
    threading.Thread(target=listen, daemon=True).start()
    say("ready")
    start = WORDS.get()
    if start["say"] == "start":
        train(start, given.lr, given.momentum)


if __name__ == "__main__":
    main()

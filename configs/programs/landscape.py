#!/usr/bin/env python3
"""A stand-in for the training of MLPF: no network, a closed-form validation loss that falls with the epochs.

The floor of a curve rises with the distance from the configuration that won in arXiv:2203.01112, where it is the loss
reported there; a smaller learning rate falls more slowly. The noise of an epoch depends on the trial's seed and the epoch
alone, so that a trial that is stopped and resumed gives the same figures.
"""
import json
import math
import random
import threading

from train import WORDS, heard, listen, save, say

BEST_LOSS = 0.0785
# The winner's values, and the width of the range over which each was searched; of lr and batch sizes the logarithms.
WINNER = {
    "lr": (math.log(1.129e-3), math.log(300.0)),
    "batch_size_physical": (math.log(32.0), math.log(8.0)),
    "batch_size_gun": (math.log(800.0), math.log(8.0)),
    "ffn_dist_num_layers": (3, 2),
    "num_node_messages": (3, 2),
    "num_graph_layers_common": (3, 2),
    "num_graph_layers_energy": (2, 2),
    "dropout": (0.0163, 0.5),
    "clip_value_low": (0.002, 0.2),
    "dist_mult": (0.1209, 0.19),
    "output_dim": (64, 448),
}
LOGARITHMIC = {"lr", "batch_size_physical", "batch_size_gun"}


def val_loss(params, epoch, seed):
    distance = 0.0
    for name, (best, width) in WINNER.items():
        value = math.log(params[name]) if name in LOGARITHMIC else params[name]
        distance += ((value - best) / width) ** 2
    floor = BEST_LOSS * (1.0 + 0.4 * distance)
    slow = 0.3 + 0.1 * math.log10(params["lr"] / 1e-4)
    noise = random.Random(f"{seed}/{epoch}").gauss(0.0, 0.002)
    return (floor + 0.5 * (1 + epoch) ** -(0.4 + slow)) * (1.0 + noise)


def train(start):
    epoch = 0
    if start["checkpoint"]:
        with open(start["checkpoint"]) as file:
            epoch = json.load(file)["epoch"]
    say("started", restore_ms=0)
    out = start["checkpoint_out"]
    while epoch < start["until"]:
        word = heard()
        if word == "stop":
            say("stopped")
            return
        if word == "call_back":
            say("left", resource=epoch, wrote_ms=save(out, {"epoch": epoch}), checkpoint=out)
            return
        epoch += 1
        say("report", resource=epoch, metrics={"val_loss": val_loss(start["params"], epoch, start["seed"])})
    say("reached", resource=epoch, wrote_ms=save(out, {"epoch": epoch}), checkpoint=out)


def main():
    threading.Thread(target=listen, daemon=True).start()
    say("ready")
    start = WORDS.get()
    if start["say"] == "start":
        train(start)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What `hpo` does on a card: loss curves beside the CPU's, a sweep of several trainers, steps per second beside PyTorch.

Called by `run`, which says how. Ends with 1 if a check fails; what was measured is written all the same.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

import torch_steps

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs/mnist.toml"
EPOCHS = 6
REPEATS = 3
# One recipe for both devices and for PyTorch; the data are those of configs/mnist.toml.
RECIPES = {
    "mlp": {"width": 256, "depth": 2, "batch": 128, "lr": 1e-3, "optimizer": "adam"},
    "cnn": {"channels": 16, "depth": 2, "width": 128, "batch": 64, "lr": 1e-3, "optimizer": "adam"},
}
# Examples and their order are the same on every device; the first weights come from each backend's own generator. So
# the curves are those of two seeds, not of one: an epoch's mean training loss may differ by this share and amount.
SHARE, AMOUNT = 0.20, 0.02


def hpo(binary, *words):
    """The last JSON line of a command."""
    done = subprocess.run([binary, *map(str, words), "--json"], stdout=subprocess.PIPE, text=True, timeout=900)
    if done.returncode:
        sys.exit(f"hpo {' '.join(map(str, words))} ended with {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def train(binary, model, device):
    sets = [word for name, value in RECIPES[model].items() for word in ("--set", f"{name}={value}")]
    return hpo(binary, "bench", "train", CONFIG, "--model", model, "--device", device, "--epochs", EPOCHS, *sets)


def same_curve(ours, theirs):
    """Whether two curves agree within the tolerance, and both have learned."""
    near = all(abs(a - b) <= AMOUNT + SHARE * b for a, b in zip(ours, theirs, strict=True))
    return near and all(curve[-1] < curve[0] / 2 for curve in (ours, theirs))


def sweep(binary, device, scratch):
    """A small sweep with four workers that share the card: its books, its journal, its model."""
    text = CONFIG.read_text()
    changes = {"max_trials": 12, "metric": '"val_accuracy"', "goal": '"maximize"', "model": f'"cnn"\ndevice = "{device}"'}
    for key, value in changes.items():
        text, count = re.subn(rf"(?m)^{key} = .*", f"{key} = {value}", text)
        assert count == 1, f"{CONFIG} has {count} lines `{key} = ...`"
    file, run = scratch / "gpu.toml", scratch / "gpu-run"
    file.write_text(text)
    hpo(binary, "run", file, "--run-dir", run, "--workers", 4)
    report, verified = hpo(binary, "report", run), hpo(binary, "verify", run)
    hours = dict(report["hours"])
    reserved, model = hours.pop("reserved"), report["model"] or {}
    checks = {
        "the sweep finished": report["state"] == "finished",
        "every decision is derived again": verified["ok"] is True,
        "the books balance": abs(sum(hours.values()) - reserved) * 3600 < 1e-3,
        "the exported model agrees": model.get("max_abs_diff", 1.0) <= 1e-4 and model.get("argmax_agreement") == 1.0,
        "test accuracy is at least 0.95": (report["best"]["test"] or 0.0) >= 0.95,
    }
    return {"report": report, "checks": checks, "leases_at_once": leases_at_once(run / "journal.jsonl")}


def leases_at_once(journal):
    """The most attempts that trained at the same time."""
    live, most = set(), 0
    for line in journal.read_text().splitlines()[1:]:
        record = json.loads(line)
        about = (record.get("trial"), record.get("attempt"))
        if record["event"] == "started":
            live.add(about)
        elif record["event"] in ("reached", "ended"):
            live.discard(about)
        most = max(most, len(live))
    return most


def card(device):
    if device == "cpu":
        return {"name": platform.processor() or platform.machine(), "driver": "none"}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    name, driver, memory = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[0].split(", ")
    return {"name": name, "driver": driver, "memory": memory}


def measure(options):
    binary, device = options.hpo, options.device
    version = subprocess.run([binary, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    result = {"date": datetime.date.today().isoformat(), "card": card(device), "hpo": version, "models": {}}
    for model, recipe in RECIPES.items():
        runs = [train(binary, model, device) for _ in range(REPEATS)]
        reference = train(binary, model, "cpu")
        result["models"][model] = {
            "recipe": recipe,
            "losses": {device: runs[0]["losses"], "cpu reference": reference["losses"]},
            "same_curve": same_curve(runs[0]["losses"], reference["losses"]),
            "first_step_seconds": [run["first_step_seconds"] for run in runs],
            "steps_per_second": {
                "hpo": [run["steps_per_second"] for run in runs],
                **torch_steps.measure(model, recipe, device, pathlib.Path(os.environ["HPO_DATA_DIR"]), EPOCHS, REPEATS),
            },
        }
    result["pytorch"] = torch_steps.version()
    result["sweep"] = sweep(binary, device, options.scratch)
    result["checks"] = {f"{model}: the loss curve is the CPU's": seen["same_curve"] for model, seen in result["models"].items()}
    result["checks"].update(result["sweep"].pop("checks"))
    return result


def page(result):
    card, lines = result["card"], []
    lines += [f"# {card['name']}, {result['date']}", ""]
    lines += [f"{result['hpo']}, driver {card['driver']}, PyTorch {result['pytorch'] or 'not installed'}.", ""]
    lines += ["| model | batch | program | steps/s, median | runs |", "|---|---|---|---|---|"]
    for model, seen in result["models"].items():
        for program, rates in seen["steps_per_second"].items():
            runs = ", ".join(f"{rate:.0f}" for rate in rates)
            lines.append(f"| {model} | {seen['recipe']['batch']} | {program} | {statistics.median(rates):.0f} | {runs} |")
    lines += ["", f"Mean training loss by epoch (may differ by {AMOUNT} + {SHARE:.0%}: each backend draws its own first weights):", ""]
    for model, seen in result["models"].items():
        lines += [f"- {model}, {device}: " + " ".join(f"{loss:.4f}" for loss in losses) for device, losses in seen["losses"].items()]
    report = result["sweep"]["report"]
    lines += ["", f"Sweep with four workers: {report['trials']['total']} trials, at most {result['sweep']['leases_at_once']} in training at once, "]
    lines[-1] += f"best trial {report['best']['trial']} with test accuracy {report['best']['test']}, {report['hours']['reserved']:.4f} {report['unit']}-h."
    lines += ["", *(f"- {'ok' if ok else 'FAILED'}: {what}" for what, ok in result["checks"].items()), ""]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("hpo", type=pathlib.Path)
    arguments.add_argument("--device", default="cuda", help="cuda; cpu tries the script itself")
    arguments.add_argument("--scratch", type=pathlib.Path, required=True)
    arguments.add_argument("--out", type=pathlib.Path, default=pathlib.Path(os.environ.get("OUT") or ROOT / "docs/measurements"))
    options = arguments.parse_args()
    result = measure(options)
    options.out.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", f"{result['date']} gpu {result['card']['name']}".lower()).strip("-")
    (options.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / f"{name}.md").write_text(page(result))
    print(page(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())

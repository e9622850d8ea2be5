"""Where the slots' time went, from a run's journal alone: no code of ours judges itself."""
import json
import re

LEASE = re.compile(r"lease (\d+)\.(\d+) \d+\.\.\d+ on ([0-9a-f]+)/(\d+)")


def records(run):
    """The header of a journal, and its events in order."""
    with open(f"{run}/journal.jsonl", encoding="utf-8") as lines:
        header, *events = map(json.loads, lines)
    return header, events


def leases(events):
    """When each lease was given, in milliseconds since the sweep began."""
    return [record["at"] for record in events for act in record.get("acts", []) if act.startswith("lease ")]


def split(run):
    """Seconds of all slots, from the moment at which the sweep began to its end: workers and trainers that start, waits for the
    next lease, training, and the time after a slot's last lease. For sweeps of local workers in which nothing is called back."""
    _, events = records(run)
    slots, open_leases, spent = {}, {}, dict.fromkeys(["startup", "dispatch", "work", "idle"], 0)
    for record in events:
        kind, at = record["event"], record["at"]
        if kind == "worker_joined":
            slots[record["worker"][:8], 0] = None
        if kind in ("started", "reached", "ended"):
            lease = open_leases.get((record["trial"], record["attempt"]))
            if kind == "started":
                lease["startup"] = record["startup_ms"] + record["restore_ms"]
            else:
                over = lease["at"] + record["after_ms"]
                spent["startup"] += lease["startup"]
                spent["work"] += over - lease["at"] - lease["startup"]
                slots[lease["slot"]] = over
        for act in record.get("acts", []):
            given = LEASE.match(act)
            if given:
                slot = (given[3], int(given[4]))
                free = slots[slot]
                spent["startup" if free is None else "dispatch"] += at - (free or 0)
                open_leases[int(given[1]), int(given[2])] = {"at": at, "slot": slot, "startup": 0}
    end = max(free for free in slots.values() if free is not None)
    for free in slots.values():
        spent["idle"] += end - (free or 0)
    return {name: amount / 1000 for name, amount in spent.items()}, end / 1000

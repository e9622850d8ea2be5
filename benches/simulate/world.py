"""Runs `hpo simulate` and reads what it prints."""
import csv, json, os, random, re, statistics, subprocess, time


class Hpo:
    def __init__(self, program, scratch):
        self.program, self.scratch, self.unknown = program, scratch, set()

    def variant(self, config, name, scheduler, max_trials=None, searcher=None):
        """A sweep file like `config` with another scheduler or searcher; None if this build has no such kind."""
        with open(config) as file:
            text = file.read()
        text = re.sub(r"^max_trials = .*\n", "", text, flags=re.M)
        if max_trials:
            text = text.replace("[sweep]\n", f"[sweep]\nmax_trials = {max_trials}\n", 1)
        for section, keys in [("scheduler", scheduler), ("searcher", searcher)]:
            table = f"[{section}]\n" + re.sub(r", (?=[a-z_]+ = )", "\n", keys or "") + "\n\n"
            if keys:
                text = re.sub(rf"^\[{section}\]\n(?:(?!\[).*\n)*", table, text, flags=re.M)
        path = os.path.join(self.scratch, re.sub(r"[^a-z0-9-]+", "-", name).strip("-") + ".toml")
        with open(path, "w") as file:
            file.write(text)
        tried = self.call([path, "--until-resource", "1"])
        if tried.returncode == 2 and "not built yet" in tried.stderr:
            self.unknown.add(name)
            return None
        if tried.returncode != 0:
            raise SystemExit(tried.stderr)
        return path

    def call(self, words):
        return subprocess.run([self.program, "simulate", *words], capture_output=True, text=True)

    def play(self, files, words, column="metric"):
        """Outcomes and improvements of several sweep files: {file: {seed: ..}} each. `column` "test" takes improvements of the
        metric with what the test metric then is."""
        curve = os.path.join(self.scratch, "curve.csv")
        done = self.call([*files, "--json", "--curve", curve, *words])
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        outcomes = {file: {} for file in files}
        for line in done.stdout.splitlines():
            line = json.loads(line)
            outcomes[line.get("file", files[0])][line["seed"]] = line
        curves = {file: {seed: [] for seed in seeds} for file, seeds in outcomes.items()}
        with open(curve, newline="") as file:
            for row in csv.DictReader(file):
                step = (int(row["resource"]), float(row["virtual_seconds"]), float(row[column]))
                curves[row.get("file", files[0])][int(row["seed"])].append(step)
        return outcomes, curves

    def cost(self, words):
        """Seconds and peak memory (MiB) of one call."""
        begun = time.monotonic()
        with subprocess.Popen([self.program, "simulate", *words], stdout=subprocess.DEVNULL) as child:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"hpo simulate {' '.join(words)} ended with {child.returncode}")
        return time.monotonic() - begun, used.ru_maxrss / 1024


def interval(values, middle=statistics.median, resamples=2000):
    """The middle of values with the 95 % bootstrap interval, from a fixed seed."""
    draw = random.Random(0)
    middles = sorted(middle(draw.choices(values, k=len(values))) for _ in range(resamples))
    return middle(values), middles[round(0.025 * (resamples - 1))], middles[round(0.975 * (resamples - 1))]


def words(cell, digits):
    """`median [low, high]`, and `never` for what is not reached."""
    write = lambda value: "never" if value == float("inf") else f"{value:,.{digits}f}"
    middle, low, high = map(write, cell)
    return middle if low == high == middle else f"{middle} [{low}, {high}]"


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"

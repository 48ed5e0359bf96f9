"""Injects kills, preemptions and faults of disk and data into runs, and counts how the runs end.

    python -m benchmarks.faults --workdir=runs/faults --kills=100 --pod_kills=30 --preemptions=20 --repeats=5

Runs are `launch.py` on a small folder of drawn pictures, in processes of their own. After kills and preemptions, the
run must end bit for bit as an undisturbed one does, with the same history and metrics and nothing half-written. After a
fault of disk or data, it must do the same or end with a sentence. No process may take more than two minutes to end.
Prints a table, which grows in the workdir as `faults.md`, and exits with 1 if a run breaks this promise. Faults that
need a disk of their own are injected only as root. The folders of runs that break the promise are kept.
"""

import pathlib
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

from absl import app, flags
from tqdm import tqdm

from benchmarks import fault_kinds
from benchmarks.fault_runs import (
    DONE,
    STEPS,
    STOPPED,
    Ended,
    Launch,
    leftovers,
    make_pictures,
    outcome,
    problem_with,
    run,
)

MOMENTS = ("any", "preparing", "saving", "evaluating")


class Campaign:
    """Counts the outcomes of each fault."""

    def __init__(self, workdir: pathlib.Path, seed: int) -> None:
        """Makes the pictures."""
        self.root, self.rng = workdir, random.Random(seed)
        make_pictures(workdir / "PHOTOS")
        self.wanted, self.seconds = {}, {}
        self.rows, self.slowest, self._problems = {}, Counter(), []

    def undisturbed(self, processes: int) -> None:
        """Makes the run of `processes` processes that others are compared with; twice, since the first compiles."""
        for attempt in ("compiles", "undisturbed"):
            ended = run(self.root / f"{attempt}-{processes}", processes)
            problem = problem_with(ended, "report ", [DONE])
            if problem:
                sys.exit(f"the undisturbed run failed: {problem}\n{ended.output[-4000:]}")
        self.wanted[processes] = outcome(self.root / f"undisturbed-{processes}")
        self.seconds[processes] = ended.seconds

    def count(self, fault: str, problem: str, seconds: float = 0.0, folder: pathlib.Path | None = None) -> None:
        """Counts a fault; if `problem` is empty the run ended as promised, and its folder is removed."""
        good, bad = self.rows.get(fault, (0, 0))
        self.rows[fault] = (good + (not problem), bad + bool(problem))
        self.slowest[fault] = max(self.slowest[fault], seconds)
        if problem:
            self._problems.append(f"{fault} in {folder}: {problem}")
            tqdm.write(self._problems[-1])
        elif folder is not None:
            shutil.rmtree(folder)
        (self.root / "faults.md").write_text(self.table())  # A later failure must not lose hours of counting.

    def differs(self, folder: pathlib.Path, processes: int = 1) -> str:
        """Returns how a finished run differs from the undisturbed one; "" if it does not."""
        actual, wanted = outcome(folder), self.wanted[processes]
        different = [name for name in wanted if actual[name] != wanted[name]]
        left = leftovers(folder)
        return f"other {different}" * bool(different) + f"left behind: {left}" * bool(left)

    def table(self) -> str:
        """Returns the counts so far as a table in Markdown, a line for each fault."""
        lines = ["| fault | injected | as promised | otherwise | slowest end, s |", "| --- | --- | --- | --- | --- |"]
        for fault, (good, bad) in self.rows.items():
            lines.append(f"| {fault} | {good + bad} | {good} | {bad} | {self.slowest[fault]:.0f} |")
        return "\n".join(lines) + "\n"

    def report(self) -> int:
        """Prints the table and all problems; returns the exit status."""
        print(self.table() + "\n".join(self._problems))
        return int(bool(self._problems))


def kills(campaign: Campaign, count: int, processes: int) -> None:
    """Kills runs at random moments and starts them again, until `count` kills have hit a process."""
    name = f"SIGKILL, {processes} process(es)"
    rounds = 0
    with tqdm(total=count, desc=name, unit="kill", disable=None) as bar:
        while sum(sum(campaign.rows.get(f"{name}, {moment}", (0, 0))) for moment in MOMENTS) < count:
            folder, hits, rounds = campaign.root / f"killed-{processes}-{rounds}", [], rounds + 1
            problem, slowest = "", 0.0
            while not problem:
                moment = MOMENTS[(rounds + len(hits)) % len(MOMENTS)]
                launch = Launch(folder, processes)
                killed = _kill(campaign, launch, folder, moment)
                ended = launch.end()
                slowest = max(slowest, ended.seconds * killed)
                if not killed:
                    problem = problem_with(ended, "report |has made its", [DONE]) or campaign.differs(folder, processes)
                    break
                hits.append(moment)
                bar.update(1)
                problem = survivors(ended)
            for index, moment in enumerate(hits):
                last = index == len(hits) - 1
                campaign.count(f"{name}, {moment}", problem * last, slowest, folder if last else None)


def _kill(campaign: Campaign, launch: Launch, folder: pathlib.Path, moment: str) -> bool:
    """Kills one process of a launch at a moment out of `MOMENTS`; returns whether it was still running."""
    saves = folder / "run" / "checkpoints"
    signs: dict[str, Callable[[], bool]] = {
        "any": lambda: True,
        "preparing": lambda: any((folder / "data").rglob("incomplete.*")),
        "saving": lambda: any(saves.glob("*orbax-checkpoint-tmp*")),
        "evaluating": lambda: (saves / str(STEPS)).exists(),
    }
    delays = {"any": campaign.seconds[len(launch.processes)], "preparing": 0.3, "saving": 0.05, "evaluating": 1.0}
    if not launch.wait_for(signs[moment]):
        return False
    time.sleep(campaign.rng.uniform(0, delays[moment]))
    running = launch.running()
    launch.send(signal.SIGKILL, campaign.rng.randrange(len(launch.processes)))
    return running


def survivors(ended: Ended) -> str:
    """Returns what is wrong with how the other processes of a killed one ended; "" if nothing is."""
    problems = ["hung"] * ended.hung
    for code in ended.codes:
        if code not in (-signal.SIGKILL, STOPPED, DONE):
            problems.append(f"a survivor's exit status is {code}")
    if STOPPED in ended.codes and "another process of this run has stopped" not in ended.output:
        problems.append("a survivor does not say why it ended")
    return "; ".join(problems)


def preemptions(campaign: Campaign, count: int) -> None:
    """Sends SIGTERM to one of two processes in training, until `count` runs have stopped; starts them again."""
    name, rounds = "SIGTERM to one of 2 processes", 0
    with tqdm(total=count, desc=name, unit="stop", disable=None) as bar:
        while sum(campaign.rows.get(name, (0, 0))) < count:
            folder, stops, rounds = campaign.root / f"preempted-{rounds}", 0, rounds + 1
            problem, slowest = "", 0.0
            while not problem:
                launch = Launch(folder, 2)
                stopped = _preempt(campaign, launch, folder)
                ended = launch.end()
                if not stopped or ended.codes == [DONE, DONE]:
                    problem = problem_with(ended, "report |has made its", [DONE]) or campaign.differs(folder, 2)
                    break
                stops, slowest = stops + 1, max(slowest, ended.seconds)
                bar.update(1)
                problem = problem_with(ended, r"stopped by SIGTERM and saved at step \d+", [STOPPED])
                problem = problem or _lost_steps(ended, folder)
            for index in range(stops):
                last = index == stops - 1
                campaign.count(name, problem * last, slowest, folder if last else None)


def _preempt(campaign: Campaign, launch: Launch, folder: pathlib.Path) -> bool:
    history = folder / "run" / "metrics.jsonl"
    before = history.read_text().count("\n") if history.exists() else 0
    rows = before + campaign.rng.randint(1, 4)
    if not launch.wait_for(lambda: history.exists() and history.read_text().count("\n") >= rows):
        return False
    time.sleep(campaign.rng.uniform(0, 0.2))
    running = launch.running()
    launch.send(signal.SIGTERM, campaign.rng.randrange(2))
    return running


def _lost_steps(ended: Ended, folder: pathlib.Path) -> str:
    """Returns what is wrong if the announced step is not the newest checkpoint; "" if it is."""
    said_step = int(ended.output.rpartition("saved at step ")[2].split(";")[0])
    steps = [int(path.name) for path in (folder / "run" / "checkpoints").iterdir() if path.name.isdigit()]
    return "" if max(steps) == said_step else f"saved at step {said_step}, but the newest is {max(steps)}"


def main(argv: list[str]) -> int:
    """Runs the campaign."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
    values = flags.FLAGS
    workdir = pathlib.Path(values.workdir).absolute()
    if workdir.exists():
        sys.exit(f"{workdir} exists already; give another --workdir")
    began, campaign = time.monotonic(), Campaign(workdir, values.seed)
    for processes in (1, 2):
        campaign.undisturbed(processes)
    kills(campaign, values.kills, 1)
    kills(campaign, values.pod_kills, 2)
    preemptions(campaign, values.preemptions)
    kinds = fault_kinds.kinds(campaign.root)
    for name, inject in tqdm(kinds.items(), desc="faults", unit="kind", disable=None):
        for repeat in range(values.repeats):
            folder = campaign.root / f"{name.replace(' ', '-').replace('/', '-')}-{repeat}"
            problem, ended, recovers = inject(folder, random.Random(repeat))
            problem = problem or (campaign.differs(folder) if recovers else "")
            campaign.count(name, problem, ended.seconds, folder)
    status = campaign.report()
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")
    return status


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Where the runs go; must not exist.", required=True)
    flags.DEFINE_integer("kills", 100, "SIGKILLs of runs in one process.", lower_bound=0)
    flags.DEFINE_integer("pod_kills", 30, "SIGKILLs of one of two processes.", lower_bound=0)
    flags.DEFINE_integer("preemptions", 20, "SIGTERMs to one of two processes.", lower_bound=0)
    flags.DEFINE_integer("repeats", 5, "Times that each fault of disk and data is injected.", lower_bound=0)
    flags.DEFINE_integer("seed", 0, "Fixes the delays.")
    app.run(main)

"""Injects kills, preemptions, and disk and data faults into runs, and counts the outcomes.

    python -m benchmarks.faults --workdir=runs/faults --kills=100 --pod_kills=30 --preemptions=20 --repeats=5

Each run is `launch.py` on a small folder of generated pictures. After kills and preemptions, a run must match an
undisturbed run bit for bit, with the same history and metrics, and must not leave partially written files. After a disk
or data fault, it must do the same or end with an error message. No process may take more than two minutes to end.
Prints a table and keeps it up to date in `faults.md` in the workdir. If any runs break these promises, keeps their
folders and exits with status 1. Faults that need their own disk can only be injected by root.
"""

import pathlib
import random
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

from absl import app, flags
from tqdm import tqdm

from benchmarks import fault_kinds
from benchmarks import fault_runs as runs
from benchmarks.fault_runs import DONE, STOPPED

MOMENTS = ("any", "preparing", "saving", "evaluating")
Strike = Callable[["Campaign", runs.Launch, pathlib.Path], bool]  # Returns whether it hit a running process.
Check = Callable[[runs.Ended, pathlib.Path], str]  # Returns problems with a launch, or "".


class Campaign:
    """Counts the outcomes for each fault."""

    def __init__(self, workdir: pathlib.Path, seed: int) -> None:
        self.root, self.rng = workdir, random.Random(seed)
        runs.make_pictures(workdir / "PHOTOS")
        self.wanted, self.seconds = {}, {}
        self.rows, self.slowest, self._problems = {}, defaultdict(float), []

    def undisturbed(self, processes: int) -> None:
        """Makes the reference run with `processes` processes twice, because the first one compiles."""
        for attempt in ("compiles", "undisturbed"):
            ended = runs.run(self.root / f"{attempt}-{processes}", processes)
            if problem := runs.problem_with(ended, "report ", [DONE]):
                sys.exit(f"the undisturbed run failed: {problem}\n{ended.output[-4000:]}")
        self.wanted[processes] = runs.outcome(self.root / f"undisturbed-{processes}")
        self.seconds[processes] = ended.seconds

    def count(self, fault: str, problem: str, seconds: float = 0.0, folder: pathlib.Path | None = None) -> None:
        """Counts a fault; deletes the folder if the run had no problem."""
        good, bad = self.rows.get(fault, (0, 0))
        self.rows[fault] = (good + (not problem), bad + bool(problem))
        self.slowest[fault] = max(self.slowest[fault], seconds)
        if problem:
            self._problems.append(f"{fault} in {folder}: {problem}")
            tqdm.write(self._problems[-1])
        elif folder is not None:
            shutil.rmtree(folder)
        (self.root / "faults.md").write_text(self.table())  # Keeps the counts if something fails later.

    def differs(self, folder: pathlib.Path, processes: int = 1) -> str:
        """Returns how a finished run differs from the undisturbed run, or ""."""
        actual, wanted = runs.outcome(folder), self.wanted[processes]
        different = [name for name in wanted if actual[name] != wanted[name]]
        left = runs.leftovers(folder)
        return f"differs in {different}; " * bool(different) + f"left behind: {left}" * bool(left)

    def table(self) -> str:
        """Returns a Markdown table of the counts with one row per fault."""
        lines = ["| fault | injected | as promised | otherwise | slowest exit, s |", "| --- | --- | --- | --- | --- |"]
        for fault, (good, bad) in self.rows.items():
            lines.append(f"| {fault} | {good + bad} | {good} | {bad} | {self.slowest[fault]:.0f} |")
        return "\n".join(lines) + "\n"

    def report(self) -> int:
        """Prints the table and all problems; returns the exit status."""
        print(self.table() + "\n".join(self._problems))
        return int(bool(self._problems))


def disturb(campaign: Campaign, count: int, processes: int, strikes: Mapping[str, Strike], check: Check) -> None:
    """Disturbs and restarts runs until `count` strikes have hit, and checks each launch that was hit."""
    names, rounds = list(strikes), 0
    with tqdm(total=count, desc=names[0], unit="strike", disable=None) as bar:
        while sum(sum(campaign.rows.get(name, (0, 0))) for name in names) < count:
            folder, hits = campaign.root / f"{names[0].split()[0]}-{processes}-{rounds}", []
            problem, slowest, rounds = "", 0.0, rounds + 1
            while not problem:
                name = names[(rounds + len(hits)) % len(names)]
                launch = runs.Launch(folder, processes)
                hit = strikes[name](campaign, launch, folder)
                ended = launch.end()
                if not hit or ended.codes == [DONE] * processes:  # The strike came too late.
                    problem = runs.problem_with(ended, "report |has completed its", [DONE])
                    problem = problem or campaign.differs(folder, processes)
                    break
                hits.append(name)
                slowest = max(slowest, ended.seconds)
                bar.update(1)
                problem = check(ended, folder)
            for index, name in enumerate(hits):
                last = index == len(hits) - 1
                campaign.count(name, problem * last, slowest, folder if last else None)


def kill(campaign: Campaign, launch: runs.Launch, folder: pathlib.Path, moment: str) -> bool:
    """Kills one process in a launch at a given moment, one of `MOMENTS`."""
    saves = folder / "run" / "checkpoints"
    signs: dict[str, Callable[[], bool]] = {
        "any": lambda: True,
        "preparing": lambda: any((folder / "data").rglob("incomplete.*")),
        "saving": lambda: any(saves.glob("*orbax-checkpoint-tmp*")),
        "evaluating": lambda: (saves / str(runs.STEPS)).exists(),
    }
    delays = {"any": campaign.seconds[len(launch.processes)], "preparing": 0.3, "saving": 0.05, "evaluating": 1.0}
    return _send(campaign, launch, signal.SIGKILL, signs[moment], delays[moment])


def preempt(campaign: Campaign, launch: runs.Launch, folder: pathlib.Path) -> bool:
    """Sends SIGTERM to one process in a launch during training."""
    rows = runs.logged(folder) + campaign.rng.randint(1, 4)
    return _send(campaign, launch, signal.SIGTERM, lambda: runs.logged(folder) >= rows, 0.2)


def _send(campaign: Campaign, launch: runs.Launch, number: int, happened: Callable[[], bool], delay: float) -> bool:
    """Sends a signal up to `delay` seconds after `happened()` is true; returns whether all processes were running."""
    if not launch.wait_for(happened):
        return False
    time.sleep(campaign.rng.uniform(0, delay))
    running = launch.running()
    launch.send(number, campaign.rng.randrange(len(launch.processes)))
    return running


def survivors(ended: runs.Ended, _: pathlib.Path | None = None) -> str:
    """Returns any problems found in the processes left running after one was killed, or ""."""
    problems = ["hung"] * ended.hung
    for code in ended.codes:
        if code not in (-signal.SIGKILL, STOPPED, DONE):
            problems.append(f"a survivor's exit status is {code}")
    if STOPPED in ended.codes and "another process of this run has stopped" not in ended.output:
        problems.append("a survivor does not explain why it ended")
    return "; ".join(problems)


def _saved(ended: runs.Ended, folder: pathlib.Path) -> str:
    """Returns problems with a preempted launch, such as a reported step that is not the newest checkpoint."""
    if problem := runs.problem_with(ended, r"stopped by SIGTERM and saved at step \d+", [STOPPED]):
        return problem
    announced, newest = ended.output.rpartition("saved at step ")[2].split(";")[0], runs.newest(folder).name
    return "" if newest == announced else f"saved at step {announced}, but the newest is {newest}"


def main(argv: list[str]) -> int:
    """Runs the campaign."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
    values = flags.FLAGS
    workdir = pathlib.Path(values.workdir).absolute()
    if workdir.exists():
        sys.exit(f"--workdir={workdir} already exists; pass a different folder")
    began, campaign = time.monotonic(), Campaign(workdir, values.seed)
    for processes in (1, 2):
        campaign.undisturbed(processes)
    for processes, count in ((1, values.kills), (2, values.pod_kills)):
        strikes = {f"SIGKILL, {processes} process(es), {moment}": partial(kill, moment=moment) for moment in MOMENTS}
        disturb(campaign, count, processes, strikes, survivors)
    disturb(campaign, values.preemptions, 2, {"SIGTERM to one of 2 processes": preempt}, _saved)
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
    flags.DEFINE_string("workdir", None, "Folder for the runs; must not exist yet.", required=True)
    flags.DEFINE_integer("kills", 100, "Number of SIGKILLs to send to single-process runs.", lower_bound=0)
    flags.DEFINE_integer("pod_kills", 30, "Number of SIGKILLs to send to one of two processes.", lower_bound=0)
    flags.DEFINE_integer("preemptions", 20, "Number of SIGTERMs to send to one of two processes.", lower_bound=0)
    flags.DEFINE_integer("repeats", 5, "Number of times to inject each disk and data fault.", lower_bound=0)
    flags.DEFINE_integer("seed", 0, "Seed for the random delays.")
    app.run(main)

"""Measures the labeling page on many pictures, and kills it under a client that answers without a pause.

    python -m benchmarks.labeling --pictures=20000 --kills=200

Creates small JPEGs. Prints the time from starting the command to the page, the time to the next pair, to an answer and
to a picture while pairs are random and once the ranker chooses them, and the memory of the server. Then kills the
server with SIGKILL again and again, and stops with an error if an acknowledged answer is lost or stored twice.
"""

import contextlib
import http.client
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from absl import flags
from PIL import Image

from benchmarks import timing

_ANSWERS = 200  # That each time is measured with.
_LATEST = 0.05  # Seconds; a server is killed at a random time within these, in the middle of any answer.


class Client:
    """Answers questions like the page; keeps what was acknowledged and what is still to be sent."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self._pending: dict[str, Any] | None = None
        self._numbers = itertools.count()

    def request(self, port: int, path: str, body: dict[str, Any] | None = None) -> bytes:
        """Returns the body of a response; raises OSError or HTTPException if there is none, ValueError if refused."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, data, headers)
            response = connection.getresponse()
            content = response.read()
        if response.status != 200:
            raise ValueError(f"{path}: {response.status} {content!r}")
        return content

    def question(self, port: int, annotator: str = "") -> dict[str, Any]:
        (question,) = json.loads(self.request(port, f"/api/questions?annotator={annotator}"))["questions"]
        return question

    def answer(self, port: int, question: dict[str, Any], annotator: str = "") -> None:
        """Sends an answer; after an error, `answer_until_gone` sends it again."""
        fields = {
            "annotator": annotator,
            "order": int(np.random.default_rng().integers(-1, 2)),
            "ms": 900,
            "sure": True,
        }
        self._pending = {"id": f"{next(self._numbers):016x}", "question": question} | fields
        self._send(port)

    def answer_until_gone(self, port: int, count: int, then: Callable[[], None]) -> None:
        """Answers as fast as it can, each time as another person, until an error; calls `then` after `count`."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            if self._pending is not None:
                self._send(port)
            for number in itertools.count(1):
                annotator = f"person-{next(self._numbers)}"
                self.answer(port, self.question(port, annotator), annotator)
                if number == count:
                    then()

    def _send(self, port: int) -> None:
        assert self._pending is not None
        self.request(port, "/api/answer", self._pending)
        self.acknowledged.append(self._pending["id"])
        self._pending = None


@contextlib.contextmanager
def serving(folder: str, *options: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """Starts the command; yields its process and port, and ends it."""
    command = [sys.executable, "-m", "blur_jax.label", folder, "--no-browser", "--port=0", *options]
    env = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            for line in process.stdout:
                if address := re.search(r"http://127\.0\.0\.1:(\d+)/$", line.strip()):
                    yield process, int(address[1])
                    return
            raise ValueError(f"the command ended: {process.stderr.read()}")
        finally:
            process.kill()


def kill(folder: str, kills: int, client: Client) -> int:
    """Kills the server `kills` times under `client`; returns the number of stored answers.

    Raises ValueError if an acknowledged answer is lost, or an answer is stored twice.
    """
    for number in range(kills):
        with serving(folder, "--picker=random") as (process, port):
            rng = np.random.default_rng(number)
            timer = threading.Timer(_LATEST * rng.random(), process.kill)
            client.answer_until_gone(port, int(rng.integers(1, 10)), timer.start)
            timer.join()
    with serving(folder, "--picker=random") as (_, port):  # It removes what was torn.
        client.request(port, "/")
    with open(os.path.join(folder, "answers.jsonl"), "rb") as file:
        stored = [json.loads(line)["id"] for line in file]
    if lost := set(client.acknowledged) - set(stored):
        raise ValueError(f"{len(lost)} of {len(client.acknowledged)} acknowledged answers are lost")
    if len(stored) != len(set(stored)):
        raise ValueError(f"{len(stored) - len(set(stored))} answers are stored twice")
    return len(stored)


def make(folder: str, count: int) -> None:
    """Creates `count` different JPEGs of 96 x 96 pixels."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        coarse.save(buffer, "JPEG", quality=80)
        with open(os.path.join(folder, f"{number:06}.jpg"), "wb") as file:
            file.write(buffer.getvalue())


def _measure(client: Client, port: int) -> dict[str, list[float]]:
    """Returns the milliseconds of each request, in the order in which the page sends them."""
    times: dict[str, list[float]] = {"next pair": [], "picture": [], "answer": []}
    for _ in range(_ANSWERS):
        start = time.perf_counter()
        question = client.question(port)
        asked = time.perf_counter()
        shown = question["left"]
        client.request(port, f"/picture/{shown['id']}/{shown['version']}/fit")
        seen = time.perf_counter()
        client.answer(port, question)
        ends = (asked - start, seen - asked, time.perf_counter() - seen)
        for values, seconds in zip(times.values(), ends):
            values.append(1e3 * seconds)
    return times


def _memory(process: subprocess.Popen) -> int:
    """Returns the resident memory of a process in MB."""
    with open(f"/proc/{process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def _page(folder: str) -> None:
    client, start = Client(), time.perf_counter()
    with serving(folder) as (process, port):
        client.request(port, "/")
        client.question(port)
        print(f"from the command to the page and its first pair: {time.perf_counter() - start:.2f} s")
        _report("random pairs", client, port, process)
        while not json.loads(client.request(port, "/api/status"))["step"]:
            time.sleep(1)
        print(f"features are known after {time.perf_counter() - start:.0f} s")
        _report("the ranker's pairs", client, port, process)


def _report(title: str, client: Client, port: int, process: subprocess.Popen) -> None:
    times = {name: statistics.median(values) for name, values in _measure(client, port).items()}
    shown = ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in times.items())
    print(f"{title}, median of {_ANSWERS}: {shown}; memory {_memory(process)} MB", flush=True)


def run() -> None:
    """Runs the benchmark."""
    options = flags.FLAGS
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        make(folder, options.pictures)
        _page(folder)
        if options.kills:
            client = Client()
            os.remove(os.path.join(folder, "answers.jsonl"))
            stored = kill(folder, options.kills, client)
            print(
                f"after {options.kills} kills (SIGKILL): {len(client.acknowledged):,} acknowledged answers, none lost;"
                f" {stored:,} stored, none twice"
            )


if __name__ == "__main__":
    flags.DEFINE_integer("pictures", 20_000, "Number of pictures.", lower_bound=200)
    flags.DEFINE_integer("kills", 0, "Number of times to kill the server.", lower_bound=0)
    flags.DEFINE_string("scratch", None, "Folder for the pictures; default: the system's temporary folder.")
    timing.main(run)

"""The labeling page as a program next to it sees it: a server in a thread, and requests as a browser sends them."""

import contextlib
import http.client
import itertools
import json
import threading
import time

import numpy as np
import uvicorn

from blur_jax.label import guard, server
from blur_jax.label.learning import Learning
from blur_jax.label.session import Session
from blur_jax.shipped import DEFAULT

COUNT = 30
NAMES = [f"{row:02}.png" for row in range(COUNT)]  # Of the pictures in the fixture `folder`.
_NUMBERS = itertools.count(1)  # An id is never used again, not even by another page.


class Page:
    """Requests to one server. `request` sends what it is told; the other methods do what the page does."""

    def __init__(self, port):
        self.port, self.annotator = port, ""

    def request(self, path, body=None, *, method=None, headers=()):
        """Returns (status, headers, body as bytes); `body` is bytes, or sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            own = {"Host": f"127.0.0.1:{self.port}"}
            if body is not None:
                own |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
            data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
            sent = {name: value for name, value in (own | dict(headers)).items() if value is not None}
            connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def json(self, path, body=None, *, status=200):
        got, _, data = self.request(path, body)
        assert got == status, data
        return json.loads(data)

    def questions(self, count=1, held=()):
        pairs = ",".join(f"{question['left']['id']}.{question['right']['id']}" for question in held)
        return self.json(f"/api/questions?count={count}&held={pairs}&annotator={self.annotator}")["questions"]

    def body(self, question, order, **fields):
        return {
            "id": f"{next(_NUMBERS):08x}",
            "annotator": self.annotator,
            "order": order,
            "ms": 900,
            "sure": True,
            "question": question,
        } | fields

    def answer(self, question, order, *, status=200, **fields):
        return self.json("/api/answer", self.body(question, order, **fields), status=status)

    def picture(self, shown, view="fit"):
        return self.request(f"/picture/{shown['id']}/{shown['version']}/{view}")


@contextlib.contextmanager
def served(session, learning=None, **options):
    """Yields a `Page` of a server of the session."""
    app = server.create(session, learning or Learning(session, DEFAULT, "runs/none"), **options)
    program = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=program.run, daemon=True)
    thread.start()
    try:
        while not program.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield Page(program.servers[0].sockets[0].getsockname()[1])
    finally:
        program.should_exit = True
        thread.join()


def opened(folder, seed=0, **options):
    return Session(str(folder), np.random.default_rng(seed), **{"random_share": 0.2} | options)


LOOPBACK = guard.LOOPBACK

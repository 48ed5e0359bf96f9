"""Opens a page in the browser on which people compare pictures: python -m blur_jax.label PHOTOS."""

import argparse
import contextlib
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence

from blur_jax.runs import command_line

_DESCRIPTION = """\
Opens a page on which people compare the pictures in PHOTOS, and writes PHOTOS/pairs.csv, from which launch.py trains.
Every answer is stored at once in PHOTOS/answers.jsonl; run the same command again to continue. If PHOTOS has a
boxes.csv, which --faces writes, faces are shown. See docs/labeling.md."""
_PORT = 8765


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m blur_jax.label", description=_DESCRIPTION)
    parser.add_argument("photos", metavar="PHOTOS", help="the folder of pictures")
    command_line.add_checkpoint(parser)
    parser.add_argument("--workdir", metavar="RUN", help="where the page trains a run [runs/NAME, as PHOTOS is named]")
    parser.add_argument(
        "--faces", action="store_true", help="unless PHOTOS has a boxes.csv, write it: each picture's largest face"
    )
    parser.add_argument("--picker", choices=["learned", "random"], default="learned", help="how pairs are chosen")
    parser.add_argument(
        "--pairs", metavar="CSV", help="ask only these pairs: columns left, right and, optionally, split"
    )
    parser.add_argument("--blind", action="store_true", help="a test: write CSV's answers to a table of judged pairs")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; others than this machine need a token"
    )
    parser.add_argument("--port", type=int, default=_PORT, help=f"port to listen on, 0 for any free one [{_PORT}]")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    return command_line.run(parser, _label, argv)


def _label(arguments: argparse.Namespace) -> int:
    try:
        import uvicorn

        with _one_thread():
            from blur_jax.label import guard, server
    except ImportError as error:
        raise ImportError(f'the page needs {error.name}; run: pip install -e ".[label]"') from error
    import numpy as np

    from blur_jax.data import largest_faces
    from blur_jax.label import learning, questions
    from blur_jax.label.session import Session

    if arguments.blind and arguments.pairs is None:
        raise ValueError("--blind needs --pairs=CSV, the list of pairs that everybody judges")
    if arguments.faces:
        print("\n".join(largest_faces.write_boxes(arguments.photos)))
    name = os.path.basename(os.path.abspath(arguments.photos))
    workdir = arguments.workdir or os.path.join("runs", name)
    share = 1.0 if arguments.picker == "random" else questions.RANDOM_SHARE
    session = Session(
        arguments.photos, np.random.default_rng(), random_share=share, listed=arguments.pairs, blind=arguments.blind
    )
    with contextlib.closing(session), contextlib.closing(_listen(arguments.host, arguments.port)) as listening:
        for line in session.notes():
            print(line)
        local = guard.is_loopback(arguments.host)
        token = None if local else secrets.token_urlsafe(16)
        background = learning.Learning(session, arguments.checkpoint, workdir)
        app = server.create(session, background, guard.LOOPBACK if local else (), token)
        address = _address(arguments.host, listening.getsockname()[1], token)
        print(f"comparing {len(session.photos):,} pictures at {address}")
        print("to stop, press Ctrl-C; every answer is stored", flush=True)
        with contextlib.closing(background):
            if not arguments.blind:
                session.learning = background.state
                background.compute_features()
            if not arguments.no_browser:
                threading.Timer(0.5, webbrowser.open, [address]).start()
            # A proxy's headers must not change who seems to be asking.
            config = uvicorn.Config(app, log_level="warning", proxy_headers=False, timeout_graceful_shutdown=2)
            uvicorn.Server(config).run(sockets=[listening])
    return 0


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Makes a NumPy that is imported here compute in one thread, which is faster for the ranker's small matrices."""
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    yield
    if before is None:
        del os.environ[name]  # Training uses all cores.


def _listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket, or raises OSError that says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # From now on, requests wait for the server.
    except (OSError, OverflowError) as error:
        listening.close()
        raise OSError(f"cannot listen on {host} port {port} ({error}); pass a different --port or --host") from error
    return listening


def _address(host: str, port: int, token: str | None) -> str:
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


if __name__ == "__main__":
    sys.exit(main())

"""What a terminal shows of scoring, and that nothing else is shown elsewhere."""

import io
import sys
import threading

from blur_jax.score.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, dones):
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(range(100))
    for thread in threading.enumerate():
        if thread.name == "count":
            thread.join(20)
    for done in dones:
        progress(done)
    progress.close()
    return progress, stream.getvalue()


def test_a_terminal_shows_what_is_done_of_all(monkeypatch):
    progress, text = shown(monkeypatch, Terminal(), [20, 60, 100])
    assert text.startswith("compiling")
    assert "60/100" in text and "100/100" in text and "picture" in text
    assert progress.fresh == 80  # 20 were done before.


def test_nothing_is_shown_elsewhere_or_where_nothing_is_to_be_done(monkeypatch):
    progress, text = shown(monkeypatch, io.StringIO(), [0, 60, 100])
    assert text == ""
    assert progress.fresh == 100
    progress, text = shown(monkeypatch, Terminal(), [100])
    assert "/100" not in text
    assert progress.fresh == 0

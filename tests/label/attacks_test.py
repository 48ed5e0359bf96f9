"""What other pages, programs and file names try, and what they get."""

import contextlib
import re
from pathlib import Path

import pytest

from blur_jax.label import __main__ as command
from blur_jax.label import guard, server
from tests.helpers import photos
from tests.helpers.labeling import opened, served

STATIC = {
    name: (Path(server.__file__).parent / name).read_text()
    for name in ("page.html", "page.js", "page.css", "review.js")
}
EVIL = '<img src=x onerror="alert(1)">.png'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "secret.png").write_bytes(b"secret")
    for seed, name in enumerate(("a.png", EVIL)):
        photos.save(root / "photos", name, seed)
    return root / "photos"


@pytest.fixture
def page(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        yield page


def stored(folder):
    return (folder / "answers.jsonl").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png", "..%2Fsecret.png", "%2e%2e/secret.png", "....//secret.png", "/etc/passwd", "%2Fetc%2Fpasswd",
        "a.png", "picture/../../secret.png/x/fit", "picture/..%2F..%2Fsecret.png/x/fit", "picture/a.png/x/fit",
        "picture//etc/passwd/fit", "page.py", "server.py", "../label/server.py", "answers.jsonl", "pairs.csv", "%00",
    ],
)  # fmt: skip
def test_paths_reach_no_file(page, path):
    status, _, data = page.request(f"/{path}")
    assert status in (400, 404, 410) and data != b"secret" and b"root:" not in data


def test_a_view_must_be_known(page):
    (question,) = page.questions()
    shown = question["left"]
    assert page.request(f"/picture/{shown['id']}/{shown['version']}/full")[0] == 400
    assert page.request(f"/picture/{shown['id']}/00/fit")[0] == 410


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "localhost.evil", "10.0.0.1"]
)
@pytest.mark.parametrize("path", ["/", "/page.js", "/api/status"])
def test_another_host_is_refused(page, host, path):
    status, _, data = page.request(path, headers={"Host": host})
    assert status == 403 and b"Host" in data


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8765"])
def test_this_machine_by_any_name_and_port_is_not(page, host):
    assert page.request("/api/status", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
    ],
)
def test_a_post_from_another_page_stores_nothing(page, folder, headers, status):
    body, before = page.body(page.questions()[0], 1), stored(folder)
    assert page.request("/api/answer", body, headers=headers)[0] == status
    assert stored(folder) == before
    assert page.request("/api/answer", body, method="PUT")[0] == 405
    assert page.request("/api/answer")[0] == 405


def test_another_page_can_link_here_but_not_embed_or_read(page):
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert page.request("/", headers=headers)[0] == 200
    shown = page.questions()[0]["left"]
    assert page.request(f"/picture/{shown['id']}/{shown['version']}/fit", headers=headers)[0] == 403
    assert page.request("/api/status", headers=headers)[0] == 403


def test_every_response_forbids_the_page_to_load_anything_else(page):
    for path in ("/", "/page.js", "/api/status", "/nothing", "/api/questions?count=x"):
        _, headers, _ = page.request(path)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "*" not in policy
        assert "frame-ancestors 'none'" in policy and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and "Access-Control-Allow-Origin" not in headers
    assert page.request("/", headers={"Host": "evil.example"})[1]["Content-Security-Policy"]


def test_the_page_holds_nothing_that_the_policy_forbids():
    html = STATIC["page.html"]
    assert not re.search(r"<script(?![^>]* src=\"(page|review)\.js\")|<style|\son\w+=|\sstyle=|javascript:", html)
    for text in STATIC.values():
        assert not re.search(
            r"https?://(?!www\.w3\.org/2000/svg)|//cdn|@import|url\(|\beval\(|innerHTML|insertAdjacentHTML|document\.write",
            text,
        )


@pytest.mark.parametrize("size", [guard.LONGEST_BODY + 1, 50_000_000])
def test_a_large_body_is_refused(page, folder, size):
    before = stored(folder)
    body = b'{"id": "' + b"a" * size + b'"}'
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # The server need not read it all.
        assert page.request("/api/answer", body)[0] == 413
    assert stored(folder) == before and page.request("/api/status")[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"id": 1}',
        b"[" * 60_000,
        b'{"question": []}',
        b'{"question": {"left": {"id": []}}}',
        b"\xff",
    ],
)
def test_a_body_that_is_no_answer_is_refused(page, folder, body):
    before = stored(folder)
    assert page.request("/api/answer", body)[0] in (400, 410)
    assert page.request("/api/undo", body)[0] in (200, 400)
    assert stored(folder) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "x"), ("id", None), ("id", "../../../../x"), ("annotator", "a\nb"), ("annotator", "=" * 61),
        ("annotator", None), ("order", 2), ("order", "1"), ("order", True), ("ms", -1), ("ms", 1e400), ("ms", None),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused(page, folder, name, value):
    body, before = page.body(page.questions()[0], 1) | {name: value}, stored(folder)
    assert page.json("/api/answer", body, status=400)["error"].startswith(f"{name} must be")
    assert stored(folder) == before


@pytest.mark.parametrize(
    ("name", "value"), [("picker", "me"), ("reason", "x" * 201), ("step", -1), ("predicted", "1"), ("left", 7)]
)
def test_a_wrong_question_is_refused(page, name, value):
    question = page.questions()[0] | {name: value}
    assert page.json("/api/answer", page.body(question, 1), status=400)["error"].startswith(f"{name} must be")
    assert page.json("/api/answer", page.body(question | {"left": question["right"]}, 1), status=400)


@pytest.mark.parametrize("query", ["count=0", "count=5", "count=1e9", "held=x", "annotator=%0A", "held=a.b"])
def test_wrong_queries_are_refused(page, query):
    assert page.request(f"/api/questions?{query}")[0] in (400, 410)


def test_a_name_with_html_in_it_stays_text(page):
    (question,) = page.questions()
    assert EVIL in (question["left"]["name"], question["right"]["name"])
    _, headers, _ = page.request("/api/status")
    assert headers["Content-Type"] == "application/json"
    shown = next(question[side] for side in ("left", "right") if question[side]["name"] == EVIL)
    assert re.fullmatch("[0-9a-f]{24}", shown["id"]) and page.picture(shown)[0] == 200


def test_from_elsewhere_a_token_is_needed(folder):
    with contextlib.closing(opened(folder)) as session, served(session, hosts=(), token="secret") as page:
        for path in (
            "/",
            "/page.js",
            "/api/status",
            "/?token=secreT",
            "/api/status?token=secret",
            "/?token=",
            "/?token=%ff",
        ):
            assert page.request(path)[0] == 403, path
        status, headers, _ = page.request("/?token=secret")
        cookie = headers["Set-Cookie"]
        assert (
            (status, headers["Location"]) == (303, "/") and "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
        )
        assert "secret" not in headers["Location"]
        sent = {"Cookie": cookie.partition(";")[0], "Host": "my.machine:8765"}
        assert page.request("/api/status", headers=sent)[0] == 200
        assert page.request("/api/status", headers={"Cookie": f"{guard.COOKIE}=x"})[0] == 403
        assert page.request("/api/status", headers={"Cookie": "\x01;;="})[0] == 403
        assert page.request("/api/undo", {"of": ""}, headers=sent)[0] == 403  # Its Origin names another host.


def test_a_server_for_all_hosts_needs_a_token():
    with pytest.raises(ValueError, match="needs a token"):
        guard.Guard(None, (), None)
    assert [guard.is_loopback(host) for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost")] == [True] * 4
    assert [guard.is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "", "localhost.evil")] == [False] * 5


def test_the_command_gives_a_token_only_elsewhere(monkeypatch):
    assert command._address("127.0.0.1", 80, None) == "http://127.0.0.1:80/"
    assert command._address("::1", 80, "t") == "http://[::1]:80/?token=t"
    monkeypatch.setattr(command.socket, "gethostname", lambda: "here")
    assert command._address("0.0.0.0", 80, "t") == "http://here:80/?token=t"

"""The page in a real browser, by keyboard: labels, undoes, survives a kill, trains, and finds a threshold (40 s)."""

import contextlib
import csv
import json
import shutil
import time

import portpicker
import pytest

from benchmarks import labeling
from blur_jax.label.learning import Learning
from blur_jax.runs.threshold import read_threshold
from blur_jax.score import __main__ as score
from blur_jax.shipped import DEFAULT
from tests.helpers import photos
from tests.helpers.configs import SMALL_FOLDER
from tests.helpers.labeling import opened, served
from tests.helpers.paths import ROOT

webdriver = pytest.importorskip("selenium.webdriver")
DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not (DRIVER and BROWSER), reason="no chromium: apt-get install chromium chromium-driver"
)
PICTURES = 24


class Browser:
    """A headless Chromium; keys go to the page as from a keyboard."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

    def run(self, script):
        return self.driver.execute_script(f"return {script}")

    def wait(self, script, seconds=120):
        """Waits until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < deadline, (script, self.text("body"), self.driver.get_log("browser"))
            time.sleep(0.02)

    def text(self, selector):
        return self.run(f"document.querySelector({selector!r}).innerText")

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, id):
        self.run(f"document.getElementById({id!r}).click()")

    def point(self, id):
        """Clicks as with a mouse, which moves the focus."""
        self.driver.find_element("id", id).click()

    def ready(self):
        self.wait("document.body.dataset.state === 'ready'")


@pytest.fixture
def browser():
    browser = Browser()
    try:
        yield browser
        errors = browser.driver.get_log("browser")
        # A killed server refuses connections; nothing else may go wrong, and nothing may violate the policy.
        assert not [entry for entry in errors if "ERR_CONNECTION" not in entry["message"]]
    finally:
        browser.driver.quit()


@pytest.fixture
def folder(tmp_path):
    for seed in range(PICTURES):
        photos.save(tmp_path / "PHOTOS", f"{seed:02}.png", seed)
    return tmp_path / "PHOTOS"


def lines(folder):
    with open(folder / "pairs.csv", newline="") as file:
        return list(csv.DictReader(file))


def stored(folder):
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


LEFT, RIGHT, DOWN = "\ue012", "\ue014", "\ue015"  # WebDriver's codes of the arrow keys.


def test_thirty_pairs_by_keyboard_two_undone_a_reload_and_a_kill(browser, folder):
    port = portpicker.pick_unused_port()
    options = ("--picker=random", f"--port={port}")
    with labeling.serving(str(folder), *options):
        browser.driver.get(f"http://127.0.0.1:{port}/")
        for number in range(30):
            browser.ready()
            browser.press((LEFT, RIGHT, DOWN)[number % 3])
        browser.wait("document.querySelector('#progress dd').textContent === '30'")  # All are acknowledged.
        for left in (29, 28):
            browser.wait("!document.getElementById('undo').disabled")
            browser.press("z")
            browser.wait(f"document.getElementById('progress').innerText.includes('{left}\\n') || "
                         f"document.querySelector('#progress dd').textContent === '{left}'")  # fmt: skip
        browser.ready()
        browser.press(" ")
        browser.wait("document.querySelector('.pixels')")
        color = "getComputedStyle(document.getElementById('{}')).color"
        assert browser.run(color.format("zoom")) != browser.run(color.format("help"))
        browser.press("?")
        browser.wait("document.getElementById('help-text').open")
        browser.press(LEFT)  # Not an answer while the help is open.
        browser.driver.refresh()
        browser.wait("document.querySelector('#progress dd')?.textContent === '28'")
        browser.ready()
        for tab in ("tab-scorer", "tab-compare"):
            browser.point(tab)
        browser.press(" ")  # Keys belong to the pair, not to the tab that was clicked.
        browser.wait("document.querySelector('.pixels')")
    browser.press(DOWN)  # The server is killed; the page keeps the answer.
    browser.wait("document.getElementById('note').innerText.includes('sent again')")
    assert len(stored(folder)) == 32  # 30 answers and 2 undos.
    with labeling.serving(str(folder), *options) as (process, _):
        browser.wait("document.querySelector('#progress dd').textContent === '29'")
        browser.ready()
        browser.press("z")
        browser.wait("document.querySelector('#progress dd').textContent === '28'")
        process.terminate()
        process.wait(60)
    entries = stored(folder)
    undone = {entry["of"] for entry in entries if entry["entry"] == "undo"}
    expected = [entry for entry in entries if entry["entry"] == "answer" and entry["id"] not in undone]
    assert len(undone) == 3 and len(expected) == 28
    unique = {frozenset((entry["left"], entry["right"])) for entry in expected}
    assert {frozenset((row["left"], row["right"])) for row in lines(folder)} == unique


def test_training_and_the_threshold_from_the_page(browser, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command, run = Learning.command, tmp_path / "RUN-2"
    (tmp_path / "RUN" / "checkpoints").mkdir(parents=True)  # As of a run on fewer answers.
    small = [f"--config.data.dir={tmp_path / 'data'}", *SMALL_FOLDER]
    monkeypatch.setattr(Learning, "command", lambda self: [*command(self), *small])
    with contextlib.closing(opened(folder, random_share=1.0)) as session:
        learning = Learning(session, DEFAULT, str(tmp_path / "RUN"))
        with contextlib.closing(learning), served(session, learning) as page:
            for number in range(24):
                page.answer(page.questions()[0], (-1, 1)[number % 2])
            browser.driver.get(f"http://127.0.0.1:{page.port}/")
            browser.click("tab-scorer")
            browser.wait(
                "document.getElementById('command').innerText.includes('launch.py --config=configs/folder.py')"
            )
            browser.click("train")
            browser.wait("document.body.dataset.training === 'done'", seconds=600)
            assert b"validation" in page.request("/report")[2].lower()
            browser.wait("!document.getElementById('report').hidden")
            text = browser.text("#agreement")  # Without a reload.
            assert text == f"{run} was trained on the answers so far. To check it, compare more pairs."
            assert browser.run("document.getElementById('use-part').hidden")
            browser.click("use")
            assert not browser.run("document.getElementById('use-part').hidden")
            assert "--output=PHOTOS_scores.csv" in browser.text("#use-command")
            assert "writes PHOTOS_scores.csv" in browser.text("#use-part")
            browser.click("tab-threshold")
            browser.wait(f"document.getElementById('threshold-note').innerText.includes('Threshold for {run}: ')")
            assert browser.run("document.getElementById('write').disabled")
            around = "document.querySelector('#near figure:last-child img').title"
            before = browser.run(around)
            browser.run("Object.assign(document.getElementById('line'), {value: 10}).dispatchEvent(new Event('input'))")
            browser.wait("document.getElementById('threshold-note').innerText.includes('moved by hand')")
            browser.wait(f"{around} !== {before!r}")
            assert not browser.run("document.getElementById('write').disabled")
            for number in range(15):
                browser.wait(f"document.getElementById('threshold-note').innerText.includes(' {number} answers.')")
                browser.wait("!document.getElementById('keep').disabled && document.body.dataset.judging")
                blur = session.table.blur
                time.sleep(0.1)
                shown = browser.run("document.body.dataset.judging")
                score_of = blur[session.table.names.index(session.photos.photos[session.photos.row_of_id[shown]].name)]
                browser.press("y" if score_of < sorted(blur)[PICTURES // 2] else "n")
            browser.wait("document.getElementById('threshold-note').innerText.includes(' 15 answers. The interval')")
            browser.click("write")
            browser.wait("document.getElementById('written').innerText.includes('threshold.json')", seconds=60)
    threshold = read_threshold(run)
    assert threshold.pictures == 15 and "chosen by eye from 15 pictures" in threshold.source
    assert score.main([str(folder), f"--checkpoint={run}", f"--output={tmp_path / 'scores.csv'}"]) == 0
    with open(tmp_path / "scores.csv", newline="") as file:
        kept = sum(row["keep"] == "keep" for row in csv.DictReader(file))
    assert abs(kept - PICTURES // 2) <= 1

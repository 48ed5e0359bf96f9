import os
import time

import pytest

from tests.helpers.releases import FIVE, TEN, TEST1, UNSUPERVISED, WIDER
from tests.helpers.releases import LFW as CROPS
from tfds_builders.problems import KINDS, ReleaseError
from tfds_builders.ssranking_face_blur import lists

CROWD = "Images_Wider_Train/0--Parade/p 1_0.jpg"
GOOD = {
    CROPS: "LFW>>a_0001.jpg>>1 2 30 40>>a_0001.jpg\nLFW>>b_0001.jpg>>0 0 5 5>>b_0001.jpg\n"
    "LFW>>c_0001.jpg>>0 0 5 5>>c_0001.jpg\n",
    WIDER: "WIDER_train>>0--Parade/p 1.jpg>>3 4 5 6>>0--Parade/p 1_0.jpg\n",
    FIVE: "LFW/a_0001.jpg,LFW/b_0001.jpg\n",
    UNSUPERVISED: "LFW/b_0001.jpg,LFW/a_0001.jpg\n",
    TEST1: f"{CROWD} 2\n",
}


def read(root, changes):
    """Reads the good release with some of its files replaced or left out (None)."""
    for file, text in (GOOD | changes).items():
        if text is not None:
            (root / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    return lists.read_release(root)


def test_a_good_release_is_parsed(tmp_path):
    release = read(tmp_path, {})
    assert release.problems == []
    assert release.crop("LFW/a_0001.jpg") == (CROPS, 1, "a_0001.jpg", (1, 2, 30, 40))
    assert release.entries[FIVE] == [(1, "LFW/a_0001.jpg", "LFW/b_0001.jpg")]
    assert release.entries[UNSUPERVISED] == [(1, "LFW/b_0001.jpg", "LFW/a_0001.jpg")]
    # Names may hold spaces: a test line splits at the last one.
    assert release.entries[TEST1] == [(1, CROWD, 2.0)]
    assert release.picture(CROWD) == "WIDER_train/0--Parade/p 1.jpg"


def test_byte_order_mark_crlf_and_blank_lines_are_accepted(tmp_path):
    crops = "\ufeff\r\n" + GOOD[CROPS].replace("\n", "\r\n\r\n")
    release = read(tmp_path, {CROPS: crops, FIVE: "\ufeff\r\nLFW/a_0001.jpg,LFW/b_0001.jpg\r\n  \r\n"})
    assert release.problems == []
    assert release.entries[FIVE] == [(2, "LFW/a_0001.jpg", "LFW/b_0001.jpg")]
    assert release.lines[FIVE] == 1


def test_commas_in_names_are_told_apart_by_the_known_names(tmp_path):
    crops = f"{GOOD[CROPS]}LFW>>d,e.jpg>>0 0 5 5>>d,e.jpg\n"
    release = read(tmp_path, {CROPS: crops, FIVE: "LFW/d,e.jpg,LFW/a_0001.jpg\n"})
    assert release.problems == []
    assert release.entries[FIVE] == [(1, "LFW/d,e.jpg", "LFW/a_0001.jpg")]


def test_unlabeled_pairs_may_repeat_since_no_label_contradicts(tmp_path):
    release = read(tmp_path, {UNSUPERVISED: 2 * GOOD[UNSUPERVISED] + GOOD[FIVE]})
    assert release.problems == [] and len(release.entries[UNSUPERVISED]) == 3


def test_the_small_supervised_list_may_be_part_of_the_large_one(tmp_path):
    release = read(tmp_path, {TEN: GOOD[FIVE] + "LFW/b_0001.jpg,LFW/c_0001.jpg\n"})
    assert release.problems == []
    assert (len(release.entries[TEN]), len(release.entries[FIVE])) == (2, 1)


# What is appended to the lists of GOOD (None: the list is left out), the kind of the problem, and what is told of it.
BAD = [
    ({CROPS: "LFW>>x.jpg>>1 2 3 4"}, "malformed line", f"{CROPS}:4: 'LFW>>x.jpg>>1 2 3 4'"),
    ({CROPS: "LFW>>x.jpg>>1 2 3.5 4>>x.jpg"}, "malformed line", f"{CROPS}:4: box '1 2 3.5 4' is not four integers"),
    ({CROPS: "LFW>>x.jpg>>1 2 3>>x.jpg"}, "malformed line", f"{CROPS}:4: box '1 2 3' is not four integers"),
    ({FIVE: "LFW/\udcff.jpg,LFW/a_0001.jpg"}, "malformed line", f"{FIVE}:2: not UTF-8"),
    ({FIVE: "\nLFW/a.jpg LFW/b.jpg"}, "malformed line", f"{FIVE}:3: 'LFW/a.jpg LFW/b.jpg' is not 'left,right'"),
    ({FIVE: "LFW/a_0001.jpg,"}, "malformed line", f"{FIVE}:2: 'LFW/a_0001.jpg,' is not 'left,right'"),
    # Commas that fit no known names, and commas that fit in two ways.
    ({FIVE: "LFW/a_0001.jpg,LFW/b_0001.jpg,LFW/c_0001.jpg"}, "malformed line", f"{FIVE}:2: "),
    (
        {
            CROPS: "\n".join(f"LFW>>{name}>>0 0 5 5>>{name}" for name in ("x", "y,LFW/z", "x,LFW/y", "z")),
            FIVE: "LFW/x,LFW/y,LFW/z",
        },
        "malformed line",
        f"{FIVE}:2: 'LFW/x,LFW/y,LFW/z'",
    ),
    ({TEST1: "LFW/c_0001.jpg"}, "malformed line", f"{TEST1}:2: 'LFW/c_0001.jpg' is not 'name order'"),
    ({TEST1: "LFW/c_0001.jpg nan"}, "malformed line", f"{TEST1}:2: 'LFW/c_0001.jpg nan' is not 'name order'"),
    ({TEST1: "LFW/c_0001.jpg -inf"}, "malformed line", f"{TEST1}:2: 'LFW/c_0001.jpg -inf' is not 'name order'"),
    ({TEN: "\n"}, "malformed line", f"{TEN}: the list is empty"),
    ({FIVE: "LFW/a_0001.jpg,LFW/who.jpg"}, "unknown name", f"{FIVE}:2: 'LFW/who.jpg' is not in {CROPS}"),
    ({TEST1: "LFW/who.jpg 1"}, "unknown name", f"{TEST1}:2: 'LFW/who.jpg' is not in {CROPS}"),
    (
        {FIVE: "LFW/a_0001.jpg,AFW/x.jpg"},
        "unknown folder",
        f"{FIVE}:2: 'AFW/x.jpg' does not start with one of the folders",
    ),
    ({FIVE: "LFW/../secret.jpg,LFW/a_0001.jpg"}, "unsafe path", f"{FIVE}:2: 'LFW/../secret.jpg'"),
    ({CROPS: "LFW>>z.jpg>>1 1 1 1>>b_0001.jpg"}, "duplicate crop", f"{CROPS}:4: 'b_0001.jpg' is already on line 2"),
    ({UNSUPERVISED: "LFW/a_0001.jpg,LFW/a_0001.jpg"}, "pair with itself", f"{UNSUPERVISED}:2: 'LFW/a_0001.jpg'"),
    (
        {FIVE: "LFW/b_0001.jpg,LFW/a_0001.jpg"},
        "contradictory pair",
        f"{FIVE}:2: LFW/b_0001.jpg,LFW/a_0001.jpg has the opposite order in {FIVE}:1",
    ),
    (
        {TEN: "LFW/b_0001.jpg,LFW/a_0001.jpg"},
        "contradictory pair",
        f"{FIVE}:1: LFW/a_0001.jpg,LFW/b_0001.jpg has the opposite order in {TEN}:1",
    ),
    ({FIVE: GOOD[FIVE]}, "repeated line", f"{FIVE}:2: the pair is already on line 1"),
    ({TEST1: GOOD[TEST1]}, "repeated line", f"{TEST1}:2: '{CROWD}' is already on line 1"),
    ({TEST1: "LFW/a_0001.jpg 1"}, "train and test", f"{TEST1}:2: 'LFW/a_0001.jpg' is in {FIVE}:1"),
    (
        {UNSUPERVISED: "LFW/b_0001.jpg,LFW/c_0001.jpg", TEST1: "LFW/c_0001.jpg 1"},
        "train and test",
        f"{TEST1}:2: 'LFW/c_0001.jpg' is in {UNSUPERVISED}:2",
    ),
    (
        {CROPS: "LFW>>a_0001.jpg>>1 2 30 40>>renamed.jpg", TEST1: "LFW/renamed.jpg 1"},
        "train and test",
        f"{TEST1}:2: 'LFW/renamed.jpg' is in {FIVE}:1 as 'LFW/a_0001.jpg'",
    ),
    ({FIVE: None}, "missing list", f"{TEN} or {FIVE}: not found in "),
    ({WIDER: None, TEST1: "Images_Wider_Train/other.jpg 1"}, "missing list", f"{WIDER}: not found in "),
]


@pytest.mark.parametrize(("additions", "kind", "found"), BAD)
def test_a_bad_line_is_reported_with_place_meaning_and_remedy(tmp_path, additions, kind, found):
    release = read(tmp_path, {file: add and GOOD.get(file, "") + add + "\n" for file, add in additions.items()})
    problems = release.problems + lists.lacking(release, "labeled")
    assert [problem.kind for problem in problems] == [kind]
    message = str(ReleaseError(tmp_path, problems))
    assert str(tmp_path) in message and f"{kind} (1): {KINDS[kind]}" in message and found in message


@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg", "a\\x.jpg", "C:x.jpg", ".."])
def test_names_that_leave_the_picture_folder_are_refused(tmp_path, name):
    as_original = f"LFW>>{name}>>0 0 5 5>>x.jpg\n"
    as_cropped = f"LFW>>x.jpg>>0 0 5 5>>{name}\n"
    problems = read(tmp_path, {CROPS: GOOD[CROPS] + as_original + as_cropped}).problems
    assert [(problem.kind, problem.line) for problem in problems] == [("unsafe path", 4), ("unsafe path", 5)]
    assert f"{CROPS}:4: {name!r}" in str(ReleaseError(tmp_path, problems))


def test_all_problems_are_collected_counted_and_a_sample_of_each_kind_is_shown(tmp_path):
    unknown = "".join(f"LFW/a_0001.jpg,LFW/no_{i}.jpg\n" for i in range(30))
    twins = "LFW/b_0001.jpg,LFW/b_0001.jpg\n" * 2
    problems = read(tmp_path, {FIVE: GOOD[FIVE] + unknown + twins}).problems
    assert len(problems) == 32
    message = str(ReleaseError(tmp_path, problems))
    assert "32 problem(s)" in message and "unknown name (30): " in message and "pair with itself (2): " in message
    assert f"{FIVE}:11: 'LFW/no_9.jpg'" in message and "LFW/no_10.jpg" not in message  # 20 lines over 2 kinds
    assert "... and 20 more" in message and message.count("... and") == 1


def test_a_directory_that_is_not_there_is_reported(tmp_path):
    release = lists.read_release(tmp_path / "nowhere")
    for kind in ("labeled", "unlabeled", "ranked"):
        problems = lists.lacking(release, kind)
        assert [problem.kind for problem in problems] == ["missing list"]
        assert str(tmp_path / "nowhere") in problems[0].details and kind in problems[0].details


def test_one_list_of_a_part_is_enough(tmp_path):
    release = read(tmp_path, {UNSUPERVISED: None})
    assert lists.lacking(release, "labeled") == lists.lacking(release, "ranked") == []
    assert len(lists.lacking(release, "unlabeled")) == 1


def test_a_line_of_commas_is_malformed_at_once(tmp_path, monkeypatch):
    """Its two names are not tried at every comma: that took the square of its length in time and memory."""
    tried, knows = [], lists.Release.knows
    monkeypatch.setattr(lists.Release, "knows", lambda self, name: tried.append(name) or knows(self, name))
    problems = read(tmp_path, {FIVE: GOOD[FIVE] + "," * 100_000 + "\n"}).problems
    assert [problem[:3] for problem in problems] == [("malformed line", FIVE, 2)]
    assert len(tried) < 1000


def test_a_long_bad_line_is_not_shown_whole(tmp_path):
    start = time.process_time()
    long = "x" * 10_000_000 + "\n"
    problems = read(tmp_path, {file: GOOD[file] + long for file in (FIVE, CROPS, TEST1)}).problems
    message = str(ReleaseError(tmp_path, problems))
    for place in (f"{FIVE}:2", f"{CROPS}:4", f"{TEST1}:2"):
        assert f"{place}: the line has 10000000 bytes; at most 4096 are allowed" in message
    assert len(message) < 2000 and sum(len(problem.details) for problem in problems) < 1000
    assert time.process_time() - start < 1


def test_only_files_are_lists(tmp_path):
    """A pipe would be waited for without end."""
    read(tmp_path, {FIVE: None})
    before = lists.fingerprint(tmp_path)
    os.mkfifo(tmp_path / FIVE)
    (tmp_path / "folder.txt").mkdir()
    release = lists.read_release(tmp_path)
    assert FIVE not in release.entries and lists.fingerprint(tmp_path) == before


def test_names_match_in_either_unicode_form_and_lists_of_other_names_are_told(tmp_path):
    crops = "LFW>>\u00e9_1.jpg>>0 0 5 5>>\u00e9_1.jpg\nLFW>>b_1.jpg>>0 0 5 5>>b_1.jpg\n"
    release = read(tmp_path, {CROPS: crops, FIVE: "LFW/e\u0301_1.jpg,LFW/b_1.jpg\n", UNSUPERVISED: None})
    assert release.entries[FIVE] == [(1, "LFW/\u00e9_1.jpg", "LFW/b_1.jpg")]
    for name in ("ssranking_oba_test_test2.txt", "LFW_all_imgs_list (1).txt", "readme.txt"):
        (tmp_path / name).touch()
    assert lists.unread(tmp_path) == ["LFW_all_imgs_list (1).txt", "ssranking_oba_test_test2.txt"]

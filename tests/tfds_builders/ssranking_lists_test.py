import os
import time

import pytest

from tfds_builders.problems import ReleaseError
from tfds_builders.ssranking_face_blur import lists

CROPS = "LFW_all_imgs_list.txt"
WIDER = "WiderFace_train_all_imgs_list.txt"
FIVE = "SSRanking_OBA_train_supervised_5k.txt"
TEN = "SSRanking_OBA_train_supervised_10k.txt"
UNSUPERVISED = "SSRanking_OBA_train_unsupervised.txt"
TEST1 = "SSRanking_OBA_test_test1.txt"

GOOD = {
    CROPS: "LFW>>a_0001.jpg>>1 2 30 40>>a_0001.jpg\nLFW>>b_0001.jpg>>0 0 5 5>>b_0001.jpg\n"
    "LFW>>c_0001.jpg>>0 0 5 5>>c_0001.jpg\n",
    WIDER: "WIDER_train>>0--Parade/p 1.jpg>>3 4 5 6>>0--Parade/p 1_0.jpg\n",
    FIVE: "LFW/a_0001.jpg,LFW/b_0001.jpg\n",
    UNSUPERVISED: "LFW/b_0001.jpg,LFW/a_0001.jpg\n",
    TEST1: "Images_Wider_Train/0--Parade/p 1_0.jpg 2\n",
}


def read(root, changes):
    """Reads the good release with some of its files replaced (str or bytes) or left out (None)."""
    for file, text in {**GOOD, **changes}.items():
        if text is not None:
            (root / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    return lists.read_release(root)


def test_a_good_release_is_parsed(tmp_path):
    release = read(tmp_path, {})
    assert release.problems == []
    assert release.crop("LFW/a_0001.jpg") == (CROPS, 1, "a_0001.jpg", (1, 2, 30, 40))
    assert release.entries[FIVE] == [(1, "LFW/a_0001.jpg", "LFW/b_0001.jpg")]
    assert release.entries[UNSUPERVISED] == [(1, "LFW/b_0001.jpg", "LFW/a_0001.jpg")]
    # Names may hold spaces: a test line splits at the last one.
    name = "Images_Wider_Train/0--Parade/p 1_0.jpg"
    assert release.entries[TEST1] == [(1, name, 2.0)]
    assert release.picture(name) == "WIDER_train/0--Parade/p 1.jpg"


def test_byte_order_mark_crlf_and_blank_lines_are_accepted(tmp_path):
    crops = b"\xef\xbb\xbf\r\n" + GOOD[CROPS].replace("\n", "\r\n\r\n").encode()
    pairs = b"\xef\xbb\xbf\r\nLFW/a_0001.jpg,LFW/b_0001.jpg\r\n  \r\n"
    release = read(tmp_path, {CROPS: crops, FIVE: pairs})
    assert release.problems == []
    assert release.entries[FIVE] == [(2, "LFW/a_0001.jpg", "LFW/b_0001.jpg")]
    assert release.lines[FIVE] == 1


def test_commas_in_names_are_told_apart_by_the_known_names(tmp_path):
    crops = GOOD[CROPS] + "LFW>>d,e.jpg>>0 0 5 5>>d,e.jpg\n"
    release = read(tmp_path, {CROPS: crops, FIVE: "LFW/d,e.jpg,LFW/a_0001.jpg\n"})
    assert release.problems == []
    assert release.entries[FIVE] == [(1, "LFW/d,e.jpg", "LFW/a_0001.jpg")]


def test_unlabeled_pairs_may_repeat_since_no_label_contradicts(tmp_path):
    pairs = "LFW/a_0001.jpg,LFW/b_0001.jpg\nLFW/b_0001.jpg,LFW/a_0001.jpg\nLFW/a_0001.jpg,LFW/b_0001.jpg\n"
    release = read(tmp_path, {UNSUPERVISED: pairs})
    assert release.problems == []
    assert len(release.entries[UNSUPERVISED]) == 3


def test_the_small_supervised_list_may_be_part_of_the_large_one(tmp_path):
    release = read(tmp_path, {TEN: GOOD[FIVE] + "LFW/b_0001.jpg,LFW/c_0001.jpg\n"})
    assert release.problems == []
    assert (len(release.entries[TEN]), len(release.entries[FIVE])) == (2, 1)


PAIR = GOOD[FIVE]
BAD = {
    "crop list with three fields": (
        {CROPS: GOOD[CROPS] + "LFW>>x.jpg>>1 2 3 4\n"},
        "malformed line", f"{CROPS}:4: 'LFW>>x.jpg>>1 2 3 4'", "Correct or delete the line",
    ),
    "box with a fraction": (
        {CROPS: GOOD[CROPS] + "LFW>>x.jpg>>1 2 3.5 4>>x.jpg\n"},
        "malformed line", f"{CROPS}:4: box '1 2 3.5 4' is not four integers", "Correct or delete the line",
    ),
    "box with three numbers": (
        {CROPS: GOOD[CROPS] + "LFW>>x.jpg>>1 2 3>>x.jpg\n"},
        "malformed line", f"{CROPS}:4: box '1 2 3' is not four integers", "Correct or delete the line",
    ),
    "not UTF-8": (
        {FIVE: PAIR.encode() + b"LFW/\xff.jpg,LFW/a_0001.jpg\n"},
        "malformed line", f"{FIVE}:2: not UTF-8", "Correct or delete the line",
    ),
    "pair without a comma": (
        {FIVE: "\n" + PAIR + "LFW/a_0001.jpg LFW/b_0001.jpg\n"},
        "malformed line", f"{FIVE}:3: 'LFW/a_0001.jpg LFW/b_0001.jpg' is not 'left,right'", "Correct or delete",
    ),
    "pair with an empty half": (
        {FIVE: PAIR + "LFW/a_0001.jpg,\n"},
        "malformed line", f"{FIVE}:2: 'LFW/a_0001.jpg,' is not 'left,right'", "Correct or delete the line",
    ),
    "commas that fit no known names": (
        {FIVE: PAIR + "LFW/a_0001.jpg,LFW/b_0001.jpg,LFW/c_0001.jpg\n"},
        "malformed line", f"{FIVE}:2: ", "Correct or delete the line",
    ),
    "commas that fit in two ways": (
        {
            CROPS: GOOD[CROPS]
            + "".join(f"LFW>>{n}>>0 0 5 5>>{n}\n" for n in ("x", "y,LFW/z", "x,LFW/y", "z")),
            FIVE: PAIR + "LFW/x,LFW/y,LFW/z\n",
        },
        "malformed line", f"{FIVE}:2: 'LFW/x,LFW/y,LFW/z'", "Correct or delete the line",
    ),
    "rank missing": (
        {TEST1: GOOD[TEST1] + "LFW/c_0001.jpg\n"},
        "malformed line", f"{TEST1}:2: 'LFW/c_0001.jpg' is not 'name order'", "Correct or delete the line",
    ),
    "rank not a number": (
        {TEST1: GOOD[TEST1] + "LFW/c_0001.jpg nan\n"},
        "malformed line", f"{TEST1}:2: 'LFW/c_0001.jpg nan' is not 'name order'", "Correct or delete the line",
    ),
    "rank infinite": (
        {TEST1: GOOD[TEST1] + "LFW/c_0001.jpg -inf\n"},
        "malformed line", f"{TEST1}:2: 'LFW/c_0001.jpg -inf' is not 'name order'", "Correct or delete the line",
    ),
    "empty list": (
        {UNSUPERVISED: "\n\n"},
        "malformed line", f"{UNSUPERVISED}: the list is empty", "damaged download",
    ),
    "unknown name in a pair": (
        {FIVE: PAIR + "LFW/a_0001.jpg,LFW/nobody.jpg\n"},
        "unknown name", f"{FIVE}:2: 'LFW/nobody.jpg' is not in {CROPS}", "add it to the crop list, or delete",
    ),
    "unknown name in a test": (
        {TEST1: GOOD[TEST1] + "LFW/nobody.jpg 1\n"},
        "unknown name", f"{TEST1}:2: 'LFW/nobody.jpg' is not in {CROPS}", "add it to the crop list, or delete",
    ),
    "unknown folder": (
        {FIVE: PAIR + "LFW/a_0001.jpg,AFW/x.jpg\n"},
        "unknown folder", f"{FIVE}:2: 'AFW/x.jpg' does not start with one of the", "Correct the name, or delete",
    ),
    "duplicate crop": (
        {CROPS: GOOD[CROPS] + "LFW>>z.jpg>>1 1 1 1>>b_0001.jpg\n"},
        "duplicate crop", f"{CROPS}:4: 'b_0001.jpg' is already on line 2", "Delete one of the two lines",
    ),
    "pair with itself": (
        {UNSUPERVISED: "LFW/a_0001.jpg,LFW/a_0001.jpg\n"},
        "pair with itself", f"{UNSUPERVISED}:1: 'LFW/a_0001.jpg'", "Delete the line",
    ),
    "pair in both orders": (
        {FIVE: PAIR + "LFW/b_0001.jpg,LFW/a_0001.jpg\n"},
        "contradictory pair", f"{FIVE}:2: LFW/b_0001.jpg,LFW/a_0001.jpg has the opposite order in {FIVE}:1",
        "Delete the wrong line, or both",
    ),
    "pair in both orders across lists": (
        {TEN: "LFW/b_0001.jpg,LFW/a_0001.jpg\n"},
        "contradictory pair", f"{FIVE}:1: LFW/a_0001.jpg,LFW/b_0001.jpg has the opposite order in {TEN}:1",
        "Delete the wrong line, or both",
    ),
    "labeled pair twice": (
        {FIVE: PAIR + PAIR},
        "repeated line", f"{FIVE}:2: the pair is already on line 1", "Delete one of the two lines",
    ),
    "test face twice": (
        {TEST1: GOOD[TEST1] + GOOD[TEST1]},
        "repeated line", f"{TEST1}:2: 'Images_Wider_Train/0--Parade/p 1_0.jpg' is already on line 1",
        "Delete one of the two lines",
    ),
    "labeled and tested": (
        {UNSUPERVISED: "LFW/b_0001.jpg,LFW/c_0001.jpg\n", TEST1: GOOD[TEST1] + "LFW/a_0001.jpg 1\n"},
        "train and test", f"{TEST1}:2: 'LFW/a_0001.jpg' is in {FIVE}:1", "Delete the face from the training lists or",
    ),
    "unlabeled and tested": (
        {UNSUPERVISED: "LFW/b_0001.jpg,LFW/c_0001.jpg\n", TEST1: GOOD[TEST1] + "LFW/c_0001.jpg 1\n"},
        "train and test", f"{TEST1}:2: 'LFW/c_0001.jpg' is in {UNSUPERVISED}:1", "Delete the face from the training",
    ),
    "trained on under another name": (
        {
            CROPS: GOOD[CROPS] + "LFW>>a_0001.jpg>>1 2 30 40>>renamed.jpg\n",
            TEST1: GOOD[TEST1] + "LFW/renamed.jpg 1\n",
        },
        "train and test", f"{TEST1}:2: 'LFW/renamed.jpg' is in {FIVE}:1 as 'LFW/a_0001.jpg'", "Delete the face from",
    ),
    "no list of the config": (
        {FIVE: None},
        "missing list", f"{TEN} or {FIVE}: not found in ", "Put the lists into manual_dir",
    ),
    "no crop list": (
        {WIDER: None, TEST1: GOOD[TEST1] + "Images_Wider_Train/other.jpg 1\n"},
        "missing list", f"{WIDER}: not found in ", "Put the lists into manual_dir",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "kind", "found", "remedy"), BAD.values(), ids=BAD)
def test_a_bad_line_is_reported_with_place_meaning_and_remedy(tmp_path, changes, kind, found, remedy):
    release = read(tmp_path, changes)
    problems = release.problems + lists.lacking(release, "labeled")
    assert [problem.kind for problem in problems] == [kind]
    message = str(ReleaseError(tmp_path, problems))
    assert str(tmp_path) in message and f"{kind} (1): " in message
    assert found in message and remedy in message


@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg", "a\\x.jpg", "C:x.jpg", ".."])
def test_names_that_leave_the_picture_folder_are_refused(tmp_path, name):
    as_original = f"LFW>>{name}>>0 0 5 5>>x.jpg\n"
    as_cropped = f"LFW>>x.jpg>>0 0 5 5>>{name}\n"
    problems = read(tmp_path, {CROPS: GOOD[CROPS] + as_original + as_cropped}).problems
    assert [(problem.kind, problem.line) for problem in problems] == [("unsafe path", 4), ("unsafe path", 5)]
    message = str(ReleaseError(tmp_path, problems))
    assert f"{CROPS}:4: {name!r}" in message
    assert "write relative names" in message


def test_a_pair_with_an_escaping_name_is_unsafe_not_just_unknown(tmp_path):
    problems = read(tmp_path, {FIVE: GOOD[FIVE] + "LFW/../secret.jpg,LFW/a_0001.jpg\n"}).problems
    assert [problem[:3] for problem in problems] == [("unsafe path", FIVE, 2)]


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
    tried = []
    knows = lists.Release.knows
    monkeypatch.setattr(lists.Release, "knows", lambda self, name: tried.append(name) or knows(self, name))
    problems = read(tmp_path, {FIVE: PAIR + "," * 100_000 + "\n"}).problems
    assert [problem[:3] for problem in problems] == [("malformed line", FIVE, 2)]
    assert len(tried) < 1000


def test_a_long_bad_line_is_not_shown_whole(tmp_path):
    start = time.process_time()
    long = "x" * 10_000_000 + "\n"
    problems = read(tmp_path, {FIVE: PAIR + long, CROPS: GOOD[CROPS] + long, TEST1: GOOD[TEST1] + long}).problems
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

"""Whole data sets, as the command prepares them: what is rewritten, what is refused, what is found again."""

import functools
import os
import signal

import pytest

from blur_jax.data import splits
from tests.helpers import forked, releases
from tests.helpers.photos import files
from tests.helpers.releases import FIVE, LFW, TEN, TEST1, UNSUPERVISED, configured, pair, prepare_all, write
from tfds_builders import prepare as command
from tfds_builders.problems import ReleaseError


@pytest.fixture
def root(tmp_path):
    return releases.make(tmp_path)


def opened(root, kind, **fields):
    return splits.open_split(configured(root, **fields), kind, "train")


def test_changed_lists_are_prepared_beside_and_rewrite_no_picture(root):
    first = prepare_all(root)
    before = files(root)
    assert prepare_all(root) == first and files(root) == before
    # A new pair of known faces, which also changes the order in which the lists name them.
    write(root, TEN, pair("E", "C"), *(root / TEN).read_text().splitlines())
    second = prepare_all(root)
    assert second.sources != first.sources and second.folders[0] == first.folders[0]
    assert not set(second.folders[1:]) & set(first.folders)
    assert before.items() <= files(root).items()
    trained = opened(root, "labeled", sources=second.sources)
    assert len(trained) == len(opened(root, "labeled", sources=first.sources)) + 1
    assert ["LFW/E_0001.png", "LFW/C_0001.png"] in trained.names.tolist()
    gray = [releases.COLORS[name[4]] for name in trained.names.ravel()]
    assert trained.images(range(len(trained)))[..., 0, 0, 0].ravel().tolist() == gray


def leftovers(root):
    return sorted(path.name for path in (root.parent / "tfds").rglob("incomplete.*"))


def _prepare_and_be_killed(root):
    releases.SsrankingFaceBlur.row_splits = lambda self: os.kill(os.getpid(), signal.SIGKILL)
    prepare_all(root)


def test_what_a_killed_preparation_leaves_is_removed_by_the_next(root):
    killed = forked.CONTEXT.Process(target=_prepare_and_be_killed, args=(root,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL and len(leftovers(root)) == 1
    prepare_all(root)
    assert leftovers(root) == []


def test_of_two_preparations_at_once_both_succeed_and_neither_removes_the_other(root, monkeypatch):
    facts, seen = releases.SsrankingFaceBlur.facts, []

    def facts_once_another_has_prepared(self):
        monkeypatch.setattr(releases.SsrankingFaceBlur, "facts", facts)
        before, second = leftovers(root), releases.prepare(root, self.kind)
        seen.append((before, leftovers(root)))
        assert second.info.splits["faces"].num_examples == 7
        return facts(self)

    monkeypatch.setattr(releases.SsrankingFaceBlur, "facts", facts_once_another_has_prepared)
    assert releases.prepare(root, "faces").info.splits["faces"].num_examples == 7
    ((before, after),) = seen
    assert before == after and len(before) == 1 and leftovers(root) == []


def test_another_box_is_another_face(root):
    first = prepare_all(root)
    (root / LFW).write_text((root / LFW).read_text().replace("10 5 20 20>>A", "11 5 20 20>>A"))
    second = prepare_all(root)
    assert second.folders[0] != first.folders[0] and second.sources != first.sources


def test_prepared_partial_data_are_not_taken_for_whole(root):
    (root / "LFW" / "A_0001.png").unlink()
    first = prepare_all(root, allow_missing=True)
    assert prepare_all(root, allow_missing=True) == first
    with pytest.raises(ValueError, match="is already prepared from partial data"):
        prepare_all(root)
    with pytest.raises(ValueError, match=r"from partial data.*config\.data\.allow_missing=True"):
        command.prepare_configured(configured(root))
    assert command.prepare_configured(configured(root, allow_missing=True)) == first.sources


def test_pictures_that_come_later_are_taken_in(root):
    path = root / "LFW" / "A_0001.png"
    path.rename(root / "A.png")
    partial = prepare_all(root, allow_missing=True)
    (root / "A.png").rename(path)
    whole = prepare_all(root, allow_missing=True)
    assert prepare_all(root) == whole  # They are not partial, though that was accepted.
    assert whole.sources != partial.sources
    assert [len(opened(root, "unlabeled", sources=of.sources)) for of in (partial, whole)] == [1, 2]


def test_prepared_data_are_used_without_the_lists(root):
    first = prepare_all(root)
    root.rename(root.parent / "archive")
    assert command.prepare_configured(configured(root)) == first.sources
    assert len(opened(root, "unlabeled")) == 2


def test_without_lists_and_prepared_data_the_lists_are_asked_for(root):
    with pytest.raises(ValueError, match="your own files; pass their folder with --manual_dir"):
        command.prepare_configured(configured(root))


def test_sources_that_the_lists_no_longer_give_are_refused(root):
    config = configured(root, manual_dir=str(root))
    config.sources = first = command.prepare_configured(config)
    assert command.prepare_configured(config) == first
    write(root, UNSUPERVISED, pair("A", "B"))
    with pytest.raises(ValueError, match=f"no data are prepared for config.data.sources={first}, but your lists"):
        command.prepare_configured(config)


def test_problems_of_any_list_stop_before_anything_is_written(root):
    (root / TEST1).unlink()
    write(root, UNSUPERVISED, pair("A", "B"), "LFW/A_0001.png")
    with pytest.raises(ReleaseError, match=r"malformed line \(1\)"):
        prepare_all(root)
    assert not files(root)
    write(root, UNSUPERVISED, pair("A", "B"))
    with pytest.raises(ReleaseError, match=r"missing list \(1\).*\n.*SSRanking_OBA_test_test1\.txt or .*part 'ranked'"):
        prepare_all(root)
    assert not files(root)


def test_only_the_lists_that_are_used_are_required(root):
    for file in (UNSUPERVISED, TEST1):
        (root / file).unlink()
    with pytest.raises(ReleaseError, match=rf"missing list \(1\).*\n  {UNSUPERVISED}: not found"):
        prepare_all(root, required=("labeled", "unlabeled"))
    assert not files(root)
    assert len(prepare_all(root, required=("labeled",)).folders) == 2
    assert splits.split_names(configured(root), "labeled") == ["train", "train_5k", "validation"]
    assert splits.split_names(configured(root), "unlabeled") == splits.split_names(configured(root), "ranked") == []
    (root / TEN).unlink()
    (root / FIVE).unlink()
    with pytest.raises(ReleaseError, match=r"missing list \(1\).*\n  SSRanking_OBA_train_supervised_10k.txt or "):
        prepare_all(root, required=())


def test_a_split_without_lines_stops_before_any_picture_is_read(root, monkeypatch):
    monkeypatch.setattr("tfds_builders.pictures.read_image", None)
    (root / FIVE).unlink()
    write(root, TEN, pair("A", "B"))  # It is for validation, and nothing is left to train on.
    with pytest.raises(ReleaseError, match=r"empty split \(1\).*\n  train: no lines are left for it in part 'labeled'"):
        prepare_all(root)
    assert not files(root)


def test_checking_a_release_reads_its_pictures_and_writes_nothing(root):
    check = functools.partial(command.check, "ssranking_face_blur", data_dir=f"{root}/data", manual_dir=str(root))
    check()
    (root / "LFW" / "A_0001.png").write_bytes(b"damaged")
    with pytest.raises(ReleaseError, match=r"unreadable image \(1\)"):
        check()
    check(allow_missing=True)
    assert not (root / "data").exists()

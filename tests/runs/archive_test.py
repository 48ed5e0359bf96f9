import io
import os
import tarfile
import zipfile

import pytest

from blur_jax.runs import archive as run_archive


@pytest.fixture
def run(tmp_path):
    """A run directory with a checkpoint in it, as far as an archive is concerned."""
    folder = tmp_path / "mine"
    (folder / "checkpoints" / "4" / "meta").mkdir(parents=True)
    (folder / "checkpoints" / "4" / "meta" / "metadata").write_text("{}")
    (folder / "config.json").write_text("{}")
    return folder


def pack(run, path, *, above="runs/"):
    files = [file for file in run.rglob("*") if file.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, above + str(file.relative_to(run.parent)))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(run, above + run.name)
    return path


@pytest.mark.parametrize("name", ["run.zip", "run.tar.gz"])
@pytest.mark.parametrize("from_url", [False, True], ids=["path", "url"])
def test_an_archive_becomes_a_run_directory(run, tmp_path, name, from_url):
    path = pack(run, tmp_path / name)
    found = run_archive.fetch_run(f"file://{path}" if from_url else path, tmp_path / "new" / "here")
    assert os.path.dirname(found) == str(tmp_path / "new" / "here") and os.path.basename(found).startswith("mine-")
    assert os.path.exists(f"{found}/checkpoints/4/meta/metadata")
    again = run_archive.fetch_run(f"file://{path}" if from_url else path, tmp_path / "new" / "here")
    assert again == found  # Over the first.
    assert os.listdir(tmp_path / "new" / "here") == [os.path.basename(found)]


def test_an_archive_of_the_contents_alone_will_do(run, tmp_path):
    with tarfile.open(tmp_path / "run.tar", "w") as archive:
        archive.add(run / "checkpoints", "checkpoints")
    found = run_archive.fetch_run(tmp_path / "run.tar", tmp_path / "here")
    assert os.path.basename(found).startswith("run-") and os.listdir(found) == ["checkpoints"]


def test_folders_and_buckets_are_taken_as_they_are(run, tmp_path):
    for source in (str(run), str(run / "checkpoints" / "4"), "gs://bucket/run"):
        assert run_archive.fetch_run(source, tmp_path / "here") == source
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("member", ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_a_zip_cannot_write_outside_its_folder(run, tmp_path, member):
    path = pack(run, tmp_path / "run.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "evil")
    run = run_archive.fetch_run(path, tmp_path / "here")
    assert os.listdir(tmp_path / "here") == [os.path.basename(run)]
    assert not list(tmp_path.rglob("*evil*")) and not os.path.exists("/tmp/evil.txt")


@pytest.mark.parametrize("kind", ["above", "link"])
def test_a_tar_that_reaches_out_of_its_folder_is_refused(run, tmp_path, kind):
    path = tmp_path / "run.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(run, "mine")
        member = tarfile.TarInfo("../evil.txt" if kind == "above" else "mine/evil")
        if kind == "link":
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(member, io.BytesIO())
    with pytest.raises(ValueError, match="run.tar: .*evil"):
        run_archive.fetch_run(path, tmp_path / "here")
    assert not os.listdir(tmp_path / "here") and not list(tmp_path.rglob("*evil*"))


def test_what_is_no_archive_of_one_run_is_refused(run, tmp_path, monkeypatch):
    (tmp_path / "page.zip").write_text("<html>log in</html>")
    with pytest.raises(ValueError, match="page.zip: neither a zip nor a tar archive"):
        run_archive.fetch_run(tmp_path / "page.zip", tmp_path / "here")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(ValueError, match="none.zip: it contains 0 runs"):
        run_archive.fetch_run(tmp_path / "none.zip", tmp_path / "here")
    with tarfile.open(tmp_path / "two.tar", "w") as archive:
        archive.add(run, "a")
        archive.add(run, "b")
    with pytest.raises(ValueError, match="two.tar: it contains 2 runs: a, b"):
        run_archive.fetch_run(tmp_path / "two.tar", tmp_path / "here")
    monkeypatch.setattr(run_archive, "_MOST_BYTES", 3)
    with pytest.raises(ValueError, match="it would unpack to .* GiB; the limit is"):
        run_archive.fetch_run(tmp_path / "two.tar", tmp_path / "here")
    assert not os.listdir(tmp_path / "here")


def test_a_url_that_cannot_be_fetched_is_named(tmp_path):
    with pytest.raises(ValueError, match="file:///nowhere.zip: cannot be fetched"):
        run_archive.fetch_run("file:///nowhere.zip", tmp_path / "here")

import functools
import http.server
import io
import os
import tarfile
import threading
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
    with pytest.raises(ValueError, match="page.zip: it is not a zip or tar archive"):
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
    with pytest.raises(ValueError, match="file:///nowhere.zip: cannot be downloaded"):
        run_archive.fetch_run("file:///nowhere.zip", tmp_path / "here")


@pytest.mark.parametrize("name", ["run.zip", "run.tar"])
def test_names_with_backslashes_are_paths(run, tmp_path, name):
    path = tmp_path / name
    contents = {"mine\\checkpoints\\4\\meta\\metadata": b"{}", "mine\\config.json": b"{}"}
    if name == "run.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mine\\checkpoints\\", b"")
            for member, data in contents.items():
                archive.writestr(member, data)
    else:
        with tarfile.open(path, "w") as archive:
            for member, data in contents.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    found = run_archive.fetch_run(path, tmp_path / "here")
    assert os.path.basename(found).startswith("mine-") and sorted(os.listdir(found)) == ["checkpoints", "config.json"]


def changed(path, change):
    path.write_bytes(change(path.read_bytes()))
    return path


def tar_of(run, path, mode):
    (run / "noise").write_bytes(os.urandom(5000))
    with tarfile.open(path, mode, format=tarfile.USTAR_FORMAT) as archive:
        archive.add(run, "mine")
    return path


def encrypted(data):
    """Sets the flag of the first member in its own header and in the directory."""
    local, central = data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8
    for place in (local, central):
        data = data[:place] + bytes([data[place] | 1]) + data[place + 1 :]
    return data


def other_method(data):
    """States Deflate64, which Windows uses for large files."""
    for sign, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        place = data.index(sign) + offset
        data = data[:place] + b"\x09" + data[place + 1 :]
    return data


@pytest.mark.parametrize(
    ("name", "mode", "change", "message"),
    [
        ("run.zip", None, lambda data: data[:-30], "zip archive is truncated or damaged; download it again"),
        ("run.zip", None, encrypted, "zip archive is encrypted; pack the run again without a password"),
        ("run.zip", None, other_method, "cannot be unpacked .That compression method is not supported.*pack the run"),
        ("run.zip", None, lambda data: data.replace(b"{}", b"[]"), "cannot be unpacked .Bad CRC-32"),
        ("run.tar", "w", lambda data: data[:512], "tar archive is truncated or damaged"),
        ("run.tar", "w", lambda data: data[:600], "tar archive is truncated or damaged"),
        ("run.tar", "w", lambda data: data[:512] + b"?" + data[513:], "tar archive is truncated or damaged"),
        ("run.tar", "w", lambda data: data[:5500], "cannot be unpacked .unexpected end of data"),
        ("run.tar.gz", "w:gz", lambda data: data[: len(data) // 2], "cannot be unpacked .Compressed file ended before"),
        ("run.tar.gz", "w:gz", lambda data: data[:3000] + bytes(900) + data[3900:], "damaged|cannot be unpacked"),
        (
            "run.tar.gz",
            "w:gz",
            lambda data: data[:3000] + bytes([data[3000] ^ 1]) + data[3001:],
            "damaged|cannot be unpacked",
        ),
        ("run.tar.bz2", "w:bz2", lambda data: data[:90] + bytes(9) + data[99:], "damaged|cannot be unpacked"),
        ("run.tar.xz", "w:xz", lambda data: data[:-2000], "damaged|cannot be unpacked"),
        ("run.tar", "w", lambda data: b"", "the file is empty"),
        ("run.tar", "w", lambda data: b"7z\xbc\xaf\x27\x1c" + data, "it is a 7z archive; pack the run again as"),
        ("run.tar", "w", lambda data: b"\0" + data[100:], "it is not a zip or tar archive$"),
    ],
)
def test_a_damaged_archive_is_one_sentence(run, tmp_path, name, mode, change, message):
    path = tar_of(run, tmp_path / name, mode) if mode else pack(run, tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: .*({message})"):
        run_archive.fetch_run(changed(path, change), tmp_path / "here")
    assert not os.listdir(tmp_path / "here")


def test_a_member_that_needs_a_file_as_a_folder_is_one_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        archive.writestr("mine/checkpoints", "a file")
        archive.writestr("mine/checkpoints/4/meta/metadata", "{}")
    with pytest.raises(ValueError, match="run.zip: cannot be unpacked"):
        run_archive.fetch_run(tmp_path / "run.zip", tmp_path / "here")


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers /short with less than it promises, /chunks with half a chunk, and other paths with no HTTP."""

    def do_GET(self):
        answers = {
            "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nPK",
            "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nPK",
        }
        self.wfile.write(answers.get(self.path, b"220 another protocol\r\n"))

    log_message = functools.partialmethod(lambda *_: None)


def test_a_download_that_breaks_off_is_one_sentence(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        for path, message in (("short", "only 2 of 99 bytes"), ("chunks", "IncompleteRead"), ("x", "220 another")):
            with pytest.raises(ValueError, match=f"/{path}: cannot be downloaded .*{message}"):
                run_archive.fetch_run(f"http://127.0.0.1:{server.server_port}/{path}", tmp_path / "here")
        server.shutdown()
    with pytest.raises(ValueError, match="a b.zip: cannot be downloaded"):
        run_archive.fetch_run("http://127.0.0.1/a b.zip", tmp_path / "here")

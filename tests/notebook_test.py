import os
import pathlib

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from blur_jax import checkpoints, train

NOTEBOOK = pathlib.Path(__file__).resolve().parent.parent / "notebooks" / "analyze_checkpoint.ipynb"


# Jupyter's messaging warns of its own event loop on some platforms; that is not for this project to mend.
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_draws(config, tmp_path, subprocess_env, monkeypatch):
    train.train(config, str(tmp_path / "run"))
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (50, 60), (200, 100, 50)).save(tmp_path / "pictures" / "mine.png")
    for name, value in subprocess_env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BLUR_JAX_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("BLUR_JAX_PICTURES", str(tmp_path / "pictures"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=180, resources={"metadata": {"path": os.path.dirname(NOTEBOOK)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    text = "".join(output.get("text", "") for output in outputs)
    assert f"step {checkpoints.find(tmp_path / 'run').step}, backbone small" in text  # the best by validation
    assert "mine.png" in text


def test_the_notebook_is_committed_without_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None

"""The model card of an exported file: YAML front matter and Markdown, ready for Hugging Face as README.md."""

from typing import Any

import yaml

from blur_jax.metrics.interval import Interval, interval_text

# The metrics.json entries that the card quotes: name -> (Hugging Face name, description).
_METRICS = {
    "spearman": ("spearmanr", "Spearman correlation with the true rank"),
    "pairwise_accuracy": ("accuracy", "share of pairs ordered correctly"),
    "auc": ("roc_auc", "AUC, clear versus blurred"),
}
_TASK = {"type": "image-classification", "name": "ranking by blur"}  # The closest Hugging Face task.
_LIBRARIES = {"onnx": "onnx", "stablehlo": "jax", "safetensors": "jax"}

_PREPARE = """import numpy as np
from PIL import Image, ImageOps

def prepare(path, box=None):  # For 8-bit pictures without transparency; box: x, y, width, height of the face.
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    width, height = image.size
    x, y, w, h = box or (0, 0, width, height)
    side = max(1, min(round({context:g} * max(w, h)), width, height))
    left = min(max(round(x + w / 2 - side / 2), 0), width - side)
    top = min(max(round(y + h / 2 - side / 2), 0), height - side)
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize(({size}, {size}), Image.Resampling.BICUBIC))

images = np.stack([prepare(path) for path in ["a.jpg", "b.jpg"]])
"""
_RUN = {
    "onnx": """import onnxruntime

session = onnxruntime.InferenceSession("{file}")
names = [output.name for output in session.get_outputs()]
columns = dict(zip(names, session.run(names, {{"images": images}})))
""",
    "stablehlo": """import pathlib
import jax

columns = jax.export.deserialize(pathlib.Path("{file}").read_bytes()).call(images)
""",
    "safetensors": """import jax
from blur_jax.export import formats

graph, metadata = formats.load_safetensors("{file}")
columns = jax.jit(graph.columns)(images)
""",
}

_BODY = """# Blur scorer

Scores how blurred a picture of a face is (or of another kind of object, if it was trained on one). `{file}` was
exported by blur_jax {version}, an implementation of the idea in
[Semi-supervised Ranking for Object Image Blur Assessment](https://arxiv.org/abs/2207.06085), from step {step} of a run
on `{data}` (checkpoint `{fingerprint}`).

## Input and output

Input `images`: uint8 [n, {size}, {size}, 3], RGB, for any n. Scaling and calibration are built into the file. Each
score depends only on its own image.

| output, float32 [n] | range | larger is |
|---|---|---|
{outputs}

## Crop and resize

{protocol} A different crop or filter changes the scores.

## Calibration and threshold

{calibration} {threshold}

## Run it

```python
{run}```

## Intended use and limits

The scorer ranks pictures of the same kind by blur, for example to discard the most blurred ones. It was trained on the
pictures in `{data}`. With other cameras, subjects or crops, the same score may mean a different amount of blur, so look
at pictures on both sides of a threshold before relying on it. The scorer judges only blur, not pose, lighting, identity
or anything else about people. Scores from different checkpoints cannot be compared; percentiles in the same reference
set can.

## Results

{results}

## License

{license}
"""

Results = list[tuple[str, str, str, Interval]]  # (split, " with matched sizes" or "", metric, its interval)


def text(described: dict[str, Any], *, file: str, format: str, metrics: dict[str, Any] | None) -> str:
    """Returns a file's card from its metadata and the run's metrics.json (None if it is for a different checkpoint)."""
    protocol, results = described["preprocessing"], _results(metrics)
    fields = {"file": file, "size": protocol["image_size"], "context": protocol["context"]}
    body = _BODY.format(
        **fields,
        **described["checkpoint"],
        version=described["version"],
        data=described["data"],
        outputs="\n".join(
            f"| {name} | {row['range'][0]} to {row['range'][1]} | {row['larger_is']} |"
            for name, row in described["outputs"].items()
        ),
        protocol=protocol["description"],
        calibration=_calibration(described["calibration"]),
        threshold=_threshold(described["threshold"]),
        run=f"{_PREPARE}\n{_RUN[format]}".format(**fields),
        results=_table(results) if results else "This checkpoint has no test results.",
        license=described["license"]["note"],
    )
    front = yaml.safe_dump(_front(described, format, results), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{body}"


def _front(described: dict[str, Any], format: str, results: Results) -> dict[str, Any]:
    front = {
        "license": described["license"]["id"],
        "library_name": _LIBRARIES[format],
        "pipeline_tag": _TASK["type"],
        "tags": ["blur", "image-quality", "face-image-quality", "ranking", "blur_jax", format],
    }
    if not results:
        return front
    entries = [
        {
            "task": _TASK,
            "dataset": {"name": f"{described['data']}{matched}", "type": described["data"], "split": split},
            "metrics": [dict(zip(("type", "name"), _METRICS[metric])) | {"value": round(interval["value"] or 0.0, 4)}],
        }
        for split, matched, metric, interval in results
    ]
    front["metrics"] = sorted({_METRICS[metric][0] for _, _, metric, _ in results})
    front["model-index"] = [{"name": f"blur_jax {described['checkpoint']['fingerprint']}", "results": entries}]
    return front


def _results(metrics: dict[str, Any] | None) -> Results:
    """Returns the metrics that a card quotes; size-matched ones if available, because they are fairer."""
    results = []
    for split, values in (metrics or {}).get("splits", {}).items():
        matched = " with matched sizes" if "size_matched" in values else ""
        values = values["size_matched"] if matched else values
        known = [name for name in _METRICS if isinstance(values.get(name), dict)]
        results += [(split, matched, name, values[name]) for name in known if values[name]["value"] is not None]
    return results


def _table(results: Results) -> str:
    lines = [
        f"| {split}{matched} | {_METRICS[name][1]} | {interval_text(value)} |"
        for split, matched, name, value in results
    ]
    return "\n".join(["| test faces | metric | value [95% interval] |", "|---|---|---|", *lines])


def _calibration(calibration: dict[str, Any] | None) -> str:
    if calibration is None:
        return "The checkpoint is not calibrated: its scores rank pictures but have no unit."
    sentence = f"Percentiles are relative to {calibration['reference']}."
    if calibration["scale"] is None:
        return sentence
    return (
        f"{sentence} The anchor is their median (blur {calibration['quantiles'][50]:.4f}). The probability of being"
        f" called blurrier than the anchor was fitted to {calibration['pairs']} labeled pairs."
    )


def _threshold(threshold: dict[str, Any] | None) -> str:
    if threshold is None:
        return "No threshold was chosen for this checkpoint."
    return f"Keep a picture if `blur < {threshold['keep_below']:.6g}`. Threshold source: {threshold['source']}"

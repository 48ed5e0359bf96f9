"""The sections of the page: training, each split, validation pairs, calibration, data, and the run."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blur_jax.evaluate import figures
from blur_jax.evaluate.report.tables import breakdown, interval_cell
from blur_jax.metrics import labeled_pairs, ranked_split
from blur_jax.metrics.calibration import Calibration
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs.checkpoints import ENOUGH_PAIRS
from blur_jax.score.html_parts import details, escape, fields, path, row, table

_SHOWN_QUANTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
# The config fields that matter most for training.
_SHOWN_FIELDS = (
    "model.backbone", "model.pretrained", "start_from", "steps", "batch.labeled", "batch.unlabeled", "ranking.weight",
    "ranking.margin", "ranking.tie_margin", "consistency.quadruplet_weight", "consistency.pairwise_weight",
    "consistency.distillation_weight", "consistency.margin", "optimizer.learning_rate", "seed",
)  # fmt: skip


_SORTED = (
    "Read row by row, from the face scored sharpest to the face scored most blurred. Below each face are its score and"
    " true blur. The bar shows true blur (dark = sharp, light = blurred) and should brighten steadily."
)
_CLOUD = (
    "Each dot is a face. A good scorer produces a rising band; a group outside the gray band of all other faces is"
    " scored on a different scale."
)
_HISTOGRAM = "The number of faces with each score. Where the colors overlap, no threshold can separate them."
_MISTAKES = (
    "The wrongly ordered pairs that are furthest apart in true blur: the left face is truly sharper, but scored more"
    " blurred. Each face is shown at most once."
)


def split(evaluation: Evaluation) -> str:
    true, names, groups = ranked_split.rank_texts(evaluation.ranks), evaluation.names, evaluation.groups
    pairs = ranked_split.mistaken_pairs(evaluation.scores, evaluation.ranks, 8)

    def cells(face: int) -> str:
        group, score = escape(groups[face]), evaluation.scores[face]
        return f"{path(names[face])}<td class=name>{group}<td>{score:.4f}<td>{true[face]}"

    listing = _listing(("Pair", "Truly", "Name", "Group", "Score", "True blur"), pairs, cells)
    drawn = (
        figure(figures.sorted_faces(evaluation), _SORTED, shows_faces=True, heading="Faces sorted by score"),
        figure(figures.score_against_rank(evaluation), _CLOUD, heading="Score against true blur"),
        figure(figures.score_histogram(evaluation), _HISTOGRAM, heading="Scores"),
        figure(figures.worst_mistakes(evaluation), _MISTAKES, shows_faces=True, heading="Worst mistakes"),
    )
    return "".join([breakdown(evaluation.metrics), *drawn, listing])


def _listing(heads: Sequence[str], pairs: Sequence[tuple[int, int]], cells: Callable[[int], str]) -> str:
    rows = [
        f"<tr><td>{place}<td>{side}<td class=long>{cells(face)}"
        for place, pair in enumerate(pairs, start=1)
        for side, face in zip(("sharper", "blurrier"), pair)
    ]
    return details("Full names", table(heads, rows)) if rows else ""


def validation(pairs: LabeledPairs, *, show_faces: bool) -> str:
    """Returns the metrics and the mistakes of the validation pairs; `show_faces` adds a sheet of all their faces."""
    metrics = pairs.metrics
    counts = "".join(f"<td>{metrics[count]}" for count in ("pairs", "ties", "faces"))
    accuracy = f"<tr class=split><td>{interval_cell(metrics['pairwise_accuracy'])}{counts}"
    parts = [
        table(("Pairwise accuracy", "Pairs with an order", "Ties", "Faces"), [accuracy]),
        "<p>Pairwise accuracy is the share of labeled pairs that the scores put in the labeled order; 0.5 is chance."
        " Brackets contain a 95% interval, which accounts for pairs that share a face. These pairs were not used for"
        " training, but, if there are enough of them, to choose the checkpoint and fit the calibration, so results on"
        " new pictures may be slightly worse.</p>",
    ]
    if metrics["pairs"] < ENOUGH_PAIRS:
        parts.append(
            f"<p><b>There are only {metrics['pairs']} pairs:</b> with fewer than {ENOUGH_PAIRS}, they are not used to"
            " choose the checkpoint, and their accuracy is unreliable. Label more pairs.</p>"
        )
    if show_faces:
        caption = "Every face in the validation pairs, or an even sample, from scored sharpest to most blurred."
        sheet = figures.scored_faces(pairs.scores, pairs.images)
        parts.append(figure(sheet, caption, shows_faces=True, heading="Faces sorted by score"))
    caption = (
        "The pairs whose scores contradict their labels most, with the face labeled sharper on the left. Some are"
        " mistakes by the scorer, and others are wrong labels: correct the labels and train again."
    )
    parts.append(figure(figures.mistaken_labels(pairs), caption, shows_faces=True, heading="Worst mistakes"))
    heads, mistakes = ("Pair", "Labeled", "Name", "Score"), labeled_pairs.mistaken(pairs, 8)
    return "".join(parts) + _listing(heads, mistakes, lambda i: f"{path(pairs.names[i])}<td>{pairs.scores[i]:.4f}")


def calibration(meaning: Calibration, threshold: float | None, pairs: LabeledPairs | None) -> str:
    """Returns the section on what the checkpoint's scores mean and how well that fits the validation pairs."""
    shown = [(percentile, meaning.quantiles[percentile]) for percentile in _SHOWN_QUANTILES]
    rows = [row((f"{percentile}%", f"{blur:.3f}", f"{100 * (1 - blur):.1f}")) for percentile, blur in shown]
    parts = [
        f"<p>A picture's <b>percentile</b> is the share of the reference, {escape(meaning.reference)}, that is sharper."
        " It keeps its meaning when the scorer is retrained; a score may not.</p>"
    ]
    if meaning.scale is None:
        parts.append(
            "<p>There are too few labeled pairs to estimate how likely people are to call a picture blurrier.</p>"
        )
    else:
        low, high = meaning.scale_interval or (meaning.scale, meaning.scale)
        parts.append(
            "<p><b>p_blurrier_than_anchor</b> is the probability that people call the picture blurrier than the anchor,"
            f" a picture in the middle of the reference (blur {meaning.median:.3f}). It comes from a Bradley-Terry"
            f" model of the logits of both scores, with a scale of {meaning.scale:.2f} (95% interval {low:.2f} to"
            f" {high:.2f}), fitted to {meaning.pairs} labeled pairs.</p>"
        )
    caption = "What a score means: where it lies in the reference, and how it compares with the anchor."
    parts.append(figure(figures.calibration_curves(meaning, threshold), caption))
    parts.append(table(("Percentile", "Blur", "Sharpness"), rows, "Scores in the reference"))
    if meaning.scale is not None and pairs is not None and pairs.metrics["pairs"]:
        caption = (
            "How often people agree with the scores' order, against the probability that the calibration predicts. They"
            " match on the gray line; the bars are 95% intervals. The scale was fitted to these same pairs."
        )
        drawn = figures.reliability({"validation": labeled_pairs.reliability(pairs, meaning.scale)})
        parts.append(figure(drawn, caption, heading="Reliability"))
    return "".join(parts)


def data(summary: Mapping[str, Any]) -> str:
    """Returns the section with the data counts, from `summary.describe_data`."""
    rows = [
        row((f"{part['kind']}: {escape(part['split'])}", part["pairs"] or "", part["ties"] or "", part["faces"]))
        for part in summary["parts"]
    ]
    parts = [table(("Part: split", "Pairs", "Ties", "Faces"), rows)]
    if agreement := summary.get("agreement"):
        parts.append(
            f"<p>{agreement['annotators']} annotators compared {agreement['pairs']} pairs more than once;"
            f" Krippendorff's alpha is {agreement['alpha']:.2f} (1 = they always agree, 0 = chance).</p>"
        )
    if lists := summary.get("lists"):
        names = sorted({name for counts in lists.values() for name in counts} - {"lines", "resolved"})
        names = ["lines", "resolved", *(name for name in names if any(counts.get(name) for counts in lists.values()))]
        rows = [row((escape(file), *(counts.get(name, "") for name in names))) for file, counts in lists.items()]
        parts.append(table(("List", *names), rows, "Lists"))
    return "".join(parts)


def starts(started: Sequence[Mapping[str, Any]]) -> str:
    """Returns the commands that trained the run, from `provenance.read_starts`; "" if there are none."""
    heads = ("After step", "Date", "Commit", "Command")
    short = ("".join(f"<td>{escape(start[field])}" for field in ("Step", "Date", "Commit")) for start in started)
    rows = [f"<tr>{cells}<td class=long>{path(start['Command'])}" for cells, start in zip(short, started)]
    return table(heads, rows, "Training commands") if rows else ""


def run(facts: Mapping[str, Any], config: Mapping[str, Any] | None) -> str:
    parts = [fields(dict(facts))]
    if config is not None:
        shown = {name: value for name in _SHOWN_FIELDS if (value := _field(config, name)) is not None}
        text = escape(json.dumps(config, indent=2, sort_keys=True))
        parts += [f"<h3>Config of the run</h3>{fields(shown)}", details("All fields", f"<pre>{text}</pre>")]
    return "".join(parts)


def _field(config: Mapping[str, Any], name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def figure(drawn: figures.Figure, caption: str, *, shows_faces: bool = False, heading: str = "") -> str:
    """Returns the figure as an image with its caption, plain text, above it."""
    options = {"quality": 90} if shows_faces else {"lossless": True}  # A lossless sheet of faces takes a megabyte.
    data = base64.b64encode(figures.to_webp(drawn, **options)).decode()
    width, text = round(96 * drawn.get_figwidth()), escape(caption)
    title = f"<h3>{heading}</h3>" if heading else ""
    image = f'<img width={width} alt="{text}" src="data:image/webp;base64,{data}">'
    return f"{title}<figure><figcaption>{text}</figcaption>{image}</figure>"

"""What moves a score besides blur: the same faces, each changed in a known way and scored again.

    python benchmarks/sensitivity.py --run=runs/x --data_dir=DIR --workdir=runs/sensitivity

Prints tables in Markdown; writes `sensitivity.json` (everything) and `sensitivity.webp` (of the run, a panel for each
change) to the workdir. DIR holds the run's data set, prepared as for the run. Nothing is trained or chosen here.

A run reads a face as the logit of its score, clipped to [1e-6, 1 - 1e-6], so that saturation hides nothing; a rival as
minus the logarithm of its measure. Shifts of the readings are told as *shares of the gap* between the mean readings of
blurred and clear faces (above and at the lowest rank of their split), all unchanged: shifted by +1, clear faces read
like blurred ones; by -1, blurred faces like clear ones. Faces are changed as prepared crops, in the scorer's pixels.
"""

import argparse
import dataclasses
import functools
import hashlib
import io
import json
import os
import sys
import zlib
from collections.abc import Callable
from functools import partial

import jax
import ml_collections
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageEnhance, ImageFilter
from tqdm import tqdm

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.rivals import CLOSED_FORM  # noqa: E402
from blur_jax import bootstrap, data, degradations, writers  # noqa: E402
from blur_jax.preprocessing import Preprocessing, crop_and_resize  # noqa: E402
from blur_jax.scorer import Scorer, load_scorer  # noqa: E402

SLIGHT, LARGE = 0.1, 0.5  # Shares of the gap: smaller shifts hardly matter, larger ones are findings.
_RADII = (0, 0.01, 0.02, 0.04, 0.06)  # Of blur, r.m.s., in face widths.
_SHIFTS = (-10, -5, -2, 0, 2, 5, 10)  # Of crops, in percent of the side.
_TINY = 1e-6
_BATCH = 8  # Faces scored at a time: what fits a CPU's caches takes half the time of 256.

Face = np.ndarray  # uint8 [S, S, 3], RGB.
Reading = Callable[[np.ndarray], np.ndarray]  # uint8 [n, S, S, 3] -> float [n], larger is blurrier.


def jpeg(face: Face, quality: int | None) -> Face:
    """Saved by Pillow, chroma at half the side as by default, and read again; None: not saved."""
    if quality is None:
        return face
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def enhanced(face: Face, factor: float, *, what: type) -> Face:
    """sRGB values times `factor` (ImageEnhance.Brightness), or their distances from the mean gray (Contrast)."""
    return np.asarray(what(Image.fromarray(face)).enhance(factor))


def noise(face: Face, sigma: float) -> Face:
    """Gaussian noise of `sigma` gray levels, independent over pixels, channels and faces, not over calls."""
    random = np.random.default_rng(zlib.crc32(face.tobytes()))
    return _to_uint8(face + sigma * random.standard_normal(face.shape))


def sharpening(face: Face, percent: int) -> Face:
    """Unsharp mask: `percent` of the difference to a Gaussian blur of 2 pixels (Pillow's default) is added."""
    return np.asarray(Image.fromarray(face).filter(ImageFilter.UnsharpMask(radius=2, percent=percent, threshold=0)))


def upscaling(face: Face, factor: float) -> Face:
    """Reduced to 1 / `factor` of the side and enlarged again, both bicubic, as happens to a small face."""
    small = Image.fromarray(face).resize((round(len(face) / factor),) * 2, Image.Resampling.BICUBIC)
    return np.asarray(small.resize(face.shape[:2], Image.Resampling.BICUBIC))


def crop_shift(face: Face, percent: float, *, axis: int) -> Face:
    """The center, 10% cut off each side, moved by up to as much: `percent` of the side down (axis 0) or right (1)."""
    side = len(face)
    margin = -(-_SHIFTS[-1] * side // 100)
    corner = [margin, margin]
    corner[axis] += round(percent * side / 100)
    box = (corner[1], corner[0], side - 2 * margin, side - 2 * margin)
    return crop_and_resize(Image.fromarray(face), box, Preprocessing(image_size=side))


def gaussian_blur(face: Face, rms: float) -> Face:
    """Gaussian of r.m.s. radius `rms` face widths, in linear light, borders mirrored; see `degradations`."""
    return _to_uint8(255 * np.asarray(_gaussian(float(rms), len(face))(face[None] / np.float32(255))[0]))


@functools.cache
def _gaussian(rms, side):
    draw = jax.jit(degradations.from_rms, static_argnames=("image_size", "max_rms"))
    family = degradations.FAMILIES.index("gaussian")
    drawn = draw(jax.random.key(0), family, rms, image_size=side, max_rms=_RADII[-1])
    return partial(jax.jit(degradations.apply), drawn)


def _to_uint8(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Change:
    """A pure `apply(face, strength)`; `strengths` are compared with the `neutral` one; if it `blurs`, scores rise."""

    apply: Callable[[Face, float | None], Face]
    strengths: tuple
    neutral: float | None
    blurs: bool = False


CHANGES = {
    "Gaussian blur (r.m.s. radius in face widths)": Change(gaussian_blur, _RADII, 0, blurs=True),
    "down and up again (factor)": Change(upscaling, (1, 1.5, 2, 3), 1, blurs=True),
    "noise (sigma of 255)": Change(noise, (0, 2, 5, 10, 20), 0),
    "over-sharpening (unsharp mask, %)": Change(sharpening, (0, 100, 200, 400), 0),
    "JPEG (quality)": Change(jpeg, (None, 90, 70, 50, 30), None),
    "brightness (factor)": Change(partial(enhanced, what=ImageEnhance.Brightness), (0.5, 0.7, 1, 1.4, 2), 1),
    "contrast (factor)": Change(partial(enhanced, what=ImageEnhance.Contrast), (0.5, 0.7, 1, 1.4), 1),
    "crop shifted right (% of the side)": Change(partial(crop_shift, axis=1), _SHIFTS, 0),
    "crop shifted down (% of the side)": Change(partial(crop_shift, axis=0), _SHIFTS, 0),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Faces:
    """All n faces of some ranked splits: images uint8 [n, S, S, 3], ranks and sizes float [n], {split: its slice}."""

    images: np.ndarray
    ranks: np.ndarray
    sizes: np.ndarray
    splits: dict[str, slice]

    @property
    def clear(self) -> np.ndarray:
        """bool [n]: of the lowest rank of the split."""
        return np.concatenate([self.ranks[part] == self.ranks[part].min() for part in self.splits.values()])


def read_faces(config: ml_collections.ConfigDict, splits: list[str] | None = None) -> Faces:
    """The faces of `splits`, None: of test1 and test2 where there are such, else all; raises as `data.open_split`."""
    available = data.split_names(config, "ranked")
    rows, slices = [], {}
    for split in splits or bootstrap.headline_splits(available):
        examples = data.open_split(config, "ranked", split).examples
        slices[split] = slice(len(rows), len(rows) + len(examples))
        rows += [[examples[i][key] for key in ("image", "rank", "size")] for i in range(len(examples))]
    return Faces(*map(np.array, zip(*rows)), slices)


def read_by_run(scorer: Scorer, images: np.ndarray) -> np.ndarray:
    """Reads uint8 [n, S, S, 3]: logits [n] of the scores."""
    scores = scorer.score_prepared(images, batch_size=_BATCH).astype(np.float64)
    scores = np.clip(scores, _TINY, 1 - _TINY)
    return np.log(scores / (1 - scores))


def read_by_rival(sharpness: Callable[[Face], float], images: np.ndarray) -> np.ndarray:
    """Reads uint8 [n, S, S, 3] by one of `rivals.CLOSED_FORM`, which measure sharpness, from 0 on."""
    return -np.log(np.maximum([sharpness(image) for image in images], _TINY))


def measure(read: Reading, faces: Faces, *, resamples: int, label: str = "") -> dict:
    """Reads the faces under every change at every strength; `label` says who reads.

    Returns:
        {"clear", "blurred", "all": mean reading, "auc": interval, all of the unchanged faces; "changes": {change: [row
        of each strength but the neutral one]}}. A row is {"strength"; "clear", "blurred", "all": mean shift of these
        faces, "rms": r.m.s. shift of a single face, in shares of the gap; "auc": interval; "auc_change": interval of
        the paired difference to the neutral strength}. AUCs are size-matched and means over splits.

    Raises:
        ValueError: there is nothing to compare, or blurred faces do not read blurrier than clear ones.
    """
    known = {}

    def judge(images):
        """Readings [n] and AUC [1 + resamples]. Most neutral strengths give the same images: they are read once."""
        key = hashlib.sha256(images).digest()
        if key not in known:
            columns = read(images), faces.ranks, faces.sizes
            splits = {split: [column[part] for column in columns] for split, part in faces.splits.items()}
            known[key] = columns[0], bootstrap.headlines(splits, resamples=resamples)["mean"]["auc"]
        return known[key]

    unchanged, unchanged_auc = judge(faces.images)
    if np.isnan(unchanged_auc[0]):
        raise ValueError(f"one of {', '.join(faces.splits)} has no clear and blurred faces of like size; see --splits")
    groups = {"clear": faces.clear, "blurred": ~faces.clear, "all": slice(None)}
    means = {name: float(unchanged[group].mean()) for name, group in groups.items()}
    gap = means["blurred"] - means["clear"]
    if gap <= 0:
        raise ValueError(
            f"{label}: blurred faces read {means['blurred']:.3f} on average, clear ones {means['clear']:.3f}, but"
            " shifts are told in shares of this gap, which must be above 0: train for longer, or look at the data"
        )
    changes = {}
    for name, change in tqdm(CHANGES.items(), desc=label, unit="change", disable=None, leave=False):
        judged = {s: judge(np.stack([change.apply(face, s) for face in faces.images])) for s in change.strengths}
        (neutral, neutral_auc), changes[name] = judged.pop(change.neutral), []
        for strength, (changed, changed_auc) in judged.items():
            shifts = (changed - neutral) / gap
            row = {"strength": strength, **{key: float(shifts[group].mean()) for key, group in groups.items()}}
            row |= {"rms": float(np.sqrt(np.square(shifts).mean())), "auc": bootstrap.interval(changed_auc)}
            changes[name].append(row | {"auc_change": bootstrap.interval(changed_auc - neutral_auc)})
    return means | {"auc": bootstrap.interval(unchanged_auc), "changes": changes}


def verdict(rows: list[dict], *, blurs: bool) -> str:
    """What the rows of one change (of `measure`) say about a scorer; what to act on begins with FINDING.

    A change that blurs must raise the mean reading of all faces at every step. Any other can mislead in two ways:
    blurred faces come to look sharper, or clear faces blurrier.
    """
    if blurs:
        steps = [0.0, *(row["all"] for row in rows)]
        failed = [f"{row['strength']:g}" for row, before, after in zip(rows, steps, steps[1:]) if after <= before]
        if failed:
            return f"FINDING: no blurrier than one step before at {', '.join(failed)}"
        return f"blurrier at every step, {steps[1]:+.2f} to {steps[-1]:+.2f}"
    lowest, highest = min(rows, key=lambda row: row["blurred"]), max(rows, key=lambda row: row["clear"])
    mistakes = {"sharpness": -lowest["blurred"], "blur": highest["clear"]}
    taken = " and ".join(what for what, size in mistakes.items() if size > SLIGHT)
    degree = "FINDING:" if max(mistakes.values()) > LARGE else "partly"
    words = f"{degree} taken for {taken}" if taken else "hardly matters"
    found = f"blurred faces at least {lowest['blurred']:+.2f} (at {lowest['strength']:g})"
    return f"{words}; {found}, clear faces at most {highest['clear']:+.2f} (at {highest['strength']:g})"


def tables(found: dict) -> str:
    """The Markdown tables of what `measure` returns: a verdict on each change, and every strength."""
    text = bootstrap.interval_text
    brief = ["| change | verdict | AUC, worst change |", "|---|---|---|"]
    full = ["| change | strength | clear | blurred | one face, r.m.s. | AUC | AUC, change |", "|---" * 7 + "|"]
    for name, rows in found["changes"].items():
        worst = min(rows, key=lambda row: row["auc_change"]["value"])
        words = verdict(rows, blurs=CHANGES[name].blurs)
        brief.append(f"| {name} | {words} | {text(worst['auc_change'], '+')} at {worst['strength']:g} |")
        for row in rows:
            shifts = f"{row['clear']:+.2f} | {row['blurred']:+.2f} | {row['rms']:.2f}"
            aucs = f"{text(row['auc'])} | {text(row['auc_change'], '+')}"
            full.append(f"| {name} | {row['strength']:g} | {shifts} | {aucs} |")
    return "\n".join([f"AUC of the unchanged faces: {text(found['auc'])}", "", *brief, "", *full])


def draw(found: dict) -> Figure:
    """A panel for each change: strength against the mean shift of clear and of blurred faces, all on one scale."""
    figure, rows = Figure(figsize=(10, 7), layout="constrained", dpi=110), -(-len(found["changes"]) // 3)
    for index, (name, of_strengths) in enumerate(found["changes"].items()):
        change = CHANGES[name]
        shifts = {row["strength"]: row for row in of_strengths} | {change.neutral: {"clear": 0.0, "blurred": 0.0}}
        panel = figure.add_subplot(rows, 3, index + 1, sharey=figure.axes[0] if index else None)
        panel.axhline(0, color="#9aa1ab", linewidth=1)
        for group, color in (("clear", "#2563a8"), ("blurred", "#d9662b")):
            values = [shifts[strength][group] for strength in change.strengths]
            panel.plot(values, "o-", color=color, markersize=4, label=f"{group} faces")
        panel.set_xticks(range(len(values)), ["none" if s is None else f"{s:g}" for s in change.strengths])
        panel.set_title(name, fontsize=9.5, loc="left")
        panel.grid(color="#e9ecf0")
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    figure.supylabel("shift, as a share of the gap between clear and blurred faces", fontsize=9.5)
    return figure


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="a trained run, or one of its checkpoints")
    parser.add_argument("--rival", action="append", default=[], choices=CLOSED_FORM, help="to compare; repeatable")
    parser.add_argument("--data_dir", required=True, help="where the run's data set is prepared")
    parser.add_argument("--splits", type=lambda text: text.split(","), help="default: test1,test2 if there, else all")
    parser.add_argument("--workdir", default="runs/sensitivity", help="where the results go")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    options = parser.parse_args(argv)
    try:
        scorer = load_scorer(options.run)
        scorer.config.data.dir = options.data_dir
        faces = read_faces(scorer.config.data, options.splits)
        reads = {options.run: partial(read_by_run, scorer)}
        reads |= {name: partial(read_by_rival, CLOSED_FORM[name]) for name in options.rival}
        found = {name: measure(read, faces, resamples=options.resamples, label=name) for name, read in reads.items()}
        results = {"splits": list(faces.splits), "faces": len(faces.ranks), "clear": int(faces.clear.sum())}
        os.makedirs(options.workdir, exist_ok=True)
        text = json.dumps(results | {"scorers": found}, indent=1)
        writers.write_atomically(os.path.join(options.workdir, "sensitivity.json"), text + "\n")
        draw(found[options.run]).savefig(os.path.join(options.workdir, "sensitivity.webp"))
    except (ValueError, OSError) as error:
        sys.exit(f"sensitivity.py: {error}")
    print("\n\n".join(f"**{name}**\n\n{tables(each)}" for name, each in found.items()))


if __name__ == "__main__":
    main()

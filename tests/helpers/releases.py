"""A tiny release in the formats of the paper's, and what its preparation left on disk."""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from configs import default
from tests.helpers.photos import SMALL
from tfds_builders import prepare as command
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur

COLORS = {"A": 10, "B": 60, "C": 110, "D": 160, "E": 210}
LFW = "LFW_all_imgs_list.txt"
WIDER = "WiderFace_train_all_imgs_list.txt"
FIVE = "SSRanking_OBA_train_supervised_5k.txt"
TEN = "SSRanking_OBA_train_supervised_10k.txt"
UNSUPERVISED = "SSRanking_OBA_train_unsupervised.txt"
TEST1 = "SSRanking_OBA_test_test1.txt"
CROWD = "Images_Wider_Train/0--Parade/p q_7"


def make(tmp_path):
    """A tiny release: five persons of LFW, each a flat gray face on white, and a crowd of two faces in WIDER."""
    root = tmp_path / "release"
    for folder in ("LFW", "WIDER_train/0--Parade"):
        (root / folder).mkdir(parents=True)
    for person, gray in COLORS.items():
        picture = np.full((40, 60, 3), 255, np.uint8)
        picture[2:28, 7:33] = gray  # Beyond the box, so that the filter's reach does not matter.
        Image.fromarray(picture).save(root / "LFW" / f"{person}_0001.png")
    crowd = np.full((40, 60, 3), 255, np.uint8)
    crowd[:24, :24] = 30
    crowd[6:36, 28:] = 90
    Image.fromarray(crowd).save(root / "WIDER_train" / "0--Parade" / "p q_7.png")
    write(root, LFW, *[f"LFW>>{p}_0001.png>>10 5 20 20>>{p}_0001.png" for p in COLORS])
    write(
        root,
        WIDER,
        "WIDER_train>>0--Parade/p q_7.png>>0 0 20 20>>0--Parade/p q_7_0.png",
        "WIDER_train>>0--Parade/p q_7.png>>32 12 24 18>>0--Parade/p q_7_1.png",
    )
    pairs = [pair(*names) for names in ("AC", "CD", "DE", "AD", "BA", "EB")]
    write(root, TEN, *pairs)
    write(root, FIVE, *pairs[:2], pairs[4])
    write(root, UNSUPERVISED, pair("A", "B"), pair("B", "C"))
    write(root, TEST1, f"{CROWD}_0.png 0", f"{CROWD}_1.png 2.5")
    return root


def write(root, file, *lines):
    (root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def pair(left, right):
    return f"LFW/{left}_0001.png,LFW/{right}_0001.png"


def prepare(root, config, **kwargs):
    """Builds a part and returns what a reader finds on disk."""
    made = SsrankingFaceBlur(
        manual_dir=root, config=config, preprocessing=SMALL, data_dir=root.parent / "tfds", **kwargs
    )
    made.download_and_prepare()
    return tfds.builder_from_directory(made.data_path)


def prepare_all(root, **kwargs):
    """Builds all parts, as the command does."""
    folders = {"manual_dir": str(root), "data_dir": str(root.parent / "tfds")}
    return command.prepare("ssranking_face_blur", preprocessing=SMALL, **folders, **kwargs)


def configured(root, **fields):
    """`config.data` of a run on the prepared release, without the lists."""
    config = default.get_config().data
    config.update(name="ssranking_face_blur", dir=str(root.parent / "tfds"), image_size=16, **fields)
    return config


def read(dataset, split):
    return list(dataset.as_data_source(split=split))


def faces_of(root):
    """The stored faces, row by row."""
    return read(prepare(root, "faces"), "faces")


def pairs_of(examples):
    """The persons of each pair, such as {"AC", "CD"}."""
    return sorted((e["left_name"][4:5] + e["right_name"][4:5]).decode() for e in examples)

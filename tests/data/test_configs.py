from pathlib import Path

import numpy as np
import pytest

from scaseg.config import compose, run_config
from scaseg.data.build import dataset_class
from scaseg.data.transforms import training_pipeline

FOLDER = Path(__file__).resolve().parents[2] / "conf/dataset"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_dataset_file_fits_the_code(file):
    assert file.read_text().startswith("# @package _global_\n")
    config = run_config(
        compose("train", [f"dataset={file.stem}", *(["dataset.classes=[a,b]"] * (file.stem == "folder"))])
    )
    dataset, protocol = config.dataset, config.protocol
    splits = dataset_class(dataset).splits
    assert dataset.name == file.stem
    assert {dataset.train_split, dataset.val_split} <= set(splits)
    height, width = config.augment.crop_size
    sample = training_pipeline(config.augment)(image=np.zeros((60, 80, 3), np.uint8), mask=np.zeros((60, 80), np.uint8))
    assert sample["image"].shape == (height, width, 3)
    assert protocol.seen_size((60, 80))
    assert bool(protocol.windows) == bool(protocol.window) == bool(protocol.stride)


def test_all_are_there():
    assert {file.stem for file in FILES} >= {"shapes", "camvid", "voc", "ade20k", "cityscapes", "coco_stuff164k"}

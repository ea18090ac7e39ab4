"""Mean and deviation of channels: measured as NumPy does over all pixels at once, and what is said where they lack."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from scaseg.config import compose, run_config, typed
from scaseg.data.build import build_source
from scaseg.data.datasets import TrainSamples
from scaseg.data.normalisation import FILE, Moments, with_normalisation
from scaseg.data.shapes import Shapes
from scaseg.named import allowing
from scaseg.parts import DatasetPart
from scaseg.prepare import PrepareConfig, prepare
from scaseg.runs.asked import asked
from scaseg.schema import Augment, Run
from tests.data.test_folder import says

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 65536, (16 + i, 24, 4)).astype(np.uint16) for i in range(6)]


@pytest.fixture
def data(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.yaml").write_text("[ground, water]")
    (tmp_path / "train.txt").write_text("a0\na1\na2\na3\n")
    (tmp_path / "val.txt").write_text("a4\na5\n")
    for i, picture in enumerate(PICTURES):
        tifffile.imwrite(tmp_path / f"images/a{i}.tif", picture, photometric="minisblack", planarconfig="contig")
        mask = (np.arange(24) > 12).astype(np.uint8)[None].repeat(len(picture), 0)
        Image.fromarray(mask).save(tmp_path / f"masks/a{i}.png")
    return tmp_path


def prepared(data, *overrides):
    given = [
        "dataset=folder",
        f"data_dir={data}",
        "workers=0",
        "dataset.channels=4",
        "dataset.dtype=uint16",
        *overrides,
    ]
    return prepare(typed(compose("prepare", given), PrepareConfig))


def run(data, *overrides) -> Run:
    given = ["dataset=folder", f"data_dir={data}", "dataset.channels=4", "dataset.dtype=uint16", *overrides]
    return run_config(compose("train", given))


def test_measured_over_all_pixels_of_train_and_read_by_training(data, capsys):
    prepared(data, "dataset.channel_names=[red,green,blue,nir]")
    told = capsys.readouterr().out
    assert f"normalisation of 4 channels of uint16, over all pixels: {data / FILE}" in told
    assert "4 images of train" in told and "nir " in told
    pixels = np.concatenate([picture.reshape(-1, 4) for picture in PICTURES[:4]]).astype(np.float64)
    content = json.loads((data / FILE).read_text())
    np.testing.assert_allclose(content["mean"], pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(content["std"], pixels.std(0), rtol=1e-12)
    assert (content["pixels"], content["images"], content["split"]) == (len(pixels), 4, "train")
    config = asked(run(data)).config
    assert config.dataset.form.mean == tuple(content["mean"]) and config.dataset.form.std == tuple(content["std"])
    assert config.name != asked(run(data, "dataset.mean=[0,0,0,0]", "dataset.std=[1,1,1,1]")).config.name


def test_large_numbers_that_differ_little():
    """The difference of two large sums would leave no digit of this deviation."""
    values = 1e6 + RNG.normal(0, 1e-1, (5, 32, 32, 2)).astype(np.float32)
    found = Moments.of_none(2)
    for picture in values.astype(np.float32):
        found.add(picture)
    exact = values.astype(np.float32).reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(found.std, exact.std(0), rtol=1e-9)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-14)
    assert (found.least == exact.min(0)).all() and (found.most == exact.max(0)).all()


def test_a_channel_of_one_number(data, capsys):
    for i in range(4):
        picture = PICTURES[i].copy()
        picture[..., 2] = 7
        tifffile.imwrite(data / f"images/a{i}.tif", picture, photometric="minisblack", planarconfig="contig")
    prepared(data)
    content = json.loads((data / FILE).read_text())
    assert content["mean"][2] == 7 and content["std"][2] == 1
    assert "one number alone" in capsys.readouterr().out


def test_without_it_one_message_says_how_to_measure(data):
    how = f"python -m scaseg.prepare dataset=folder data_dir={data} dataset.channels=4 dataset.dtype=uint16"
    with says(str(data / FILE), how, "or give dataset.mean=[...]"):
        asked(run(data))
    asked(run(data, "dataset.mean=[1,2,3,4]", "dataset.std=[1,1,1,1]"))


def test_a_file_of_another_form_or_none_at_all(data):
    prepared(data)
    with says(
        str(data / FILE), "is of 4 channels of uint16, and the dataset of 3 channels of uint16", "measures it anew"
    ):
        with_normalisation(replace(run(data).dataset.changed(channels=3)), str(data))
    for content in ("{", "[]", '{"mean": 1}'):
        (data / FILE).write_text(content)
        with says(str(data / FILE), "measures it anew"):
            with_normalisation(run(data).dataset, str(data))


def test_other_training_images_than_were_measured_are_told(data, caplog):
    prepared(data)
    with caplog.at_level(logging.WARNING, "scaseg"):
        asked(run(data))
        assert not caplog.messages
        (data / "train.txt").write_text("a0\na1\na2\n")
        asked(run(data))
    assert "was measured on other images than train has now" in caplog.text


def test_given_numbers_are_not_measured_and_rgb_needs_none(data, capsys):
    prepared(data, "dataset.mean=[1,2,3,4]", "dataset.std=[1,1,1,1]")
    assert "nothing was measured" in capsys.readouterr().out and not (data / FILE).exists()
    rgb = DatasetPart({"_target_": "scaseg.data.image_folder.ImageFolder", "name": "folder"})
    assert with_normalisation(rgb, "nowhere") is rgb


class Made:
    """A dataset of the user's, which makes its pictures."""

    labels = Shapes.labels
    split, labelled = "train", True

    def __init__(self, data_dir=None, split="train", channels=3):
        self.channels = channels

    def __len__(self):
        return 2

    def name(self, i):
        return f"made {i}"

    def read(self, i):
        return np.full((40, 60, self.channels), 7, np.float32), np.zeros((40, 60), np.uint8)


def test_a_dataset_of_ones_own_is_told_its_channels_and_one_that_makes_others_is_named():
    part = DatasetPart({"_target_": f"{__name__}.Made", "name": "made", "channels": 5, "mean": [7] * 5, "std": [1] * 5})
    recipe = Augment(crop_size=[32, 32], photometric=False, cat_max_ratio=1.0)
    with allowing([__name__]):
        source = build_source(part, None, "train")
    samples = TrainSamples(source, recipe, 0, part.form)
    assert samples[0]["image"].shape == (32, 32, 5)
    with says("made ", "3 channels, and dataset.channels=5"):
        TrainSamples(Made(), recipe, 0, part.form)[0]

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg.benchmark import loader_steps
from scaseg.data.camvid import CamVid
from scaseg.data.datasets import TrainSamples
from tests.data.test_datasets import AUGMENT
from tests.data.test_folder import camvid


def test_shares_are_of_the_whole_and_the_cache_is_taken_off(tmp_path, monkeypatch):
    monkeypatch.setattr(loader_steps, "BLOCK", 8)
    source = CamVid(camvid(tmp_path, suffix="jpg"))
    samples = TrainSamples(source, AUGMENT, 0)
    rows = loader_steps.shares("camvid", samples, source, 2)
    assert [row.what.removeprefix("camvid: share of ") for row in rows] == [*loader_steps.STEPS, "the rest"]
    assert all(row.value.median > 0 for row in rows[:-1])
    with_cache, ratio = loader_steps.cached("camvid", samples, source, 2)
    assert with_cache.value.median > 0
    assert ratio.unit == "x"
    assert source.cache is None


def test_steps_one_by_one_give_samples_of_the_pipelines_form(tmp_path):
    source = CamVid(camvid(tmp_path, suffix="jpg"))
    samples = TrainSamples(source, AUGMENT, 0)
    spent = dict.fromkeys(loader_steps.STEPS, 0.0)
    sample = loader_steps._stepwise(samples, source, 3, spent)
    assert sample["image"].shape == samples[3]["image"].shape
    assert sample["mask"].dtype == torch.uint8
    assert sum(spent.values()) > 0
    assert loader_steps.rate(loader_steps.Spread(2.0, 1.0, 4.0, 3)).median == pytest.approx(loader_steps.BLOCK / 2)

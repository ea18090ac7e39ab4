"""Metrics besides mIoU: against scikit-learn's rules read anew, and in a training, where rows and result hold them."""

import json
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.errors import UserError
from scaseg.evaluation.boundaries import boundary_counts, boundary_width
from scaseg.evaluation.more_metrics import BOUNDARY, COLUMNS, Counted, more_metrics
from scaseg.evaluation.regions import mean_iou, region_counts
from scaseg.schema import METRICS
from tests.training.test_run import evaluated
from tests.training.tiny import QUIET, config, folder_of, rows, run

pytestmark = QUIET


def counted(masks: list[tuple[np.ndarray, np.ndarray]], classes: int) -> Counted:
    return Counted(np.stack([region_counts(prediction, truth, classes) for prediction, truth in masks]))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 9999))
def test_against_a_second_reading(classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = [tuple(generator.integers(0, classes, (2, 6, 5)).astype(np.uint8)) for _ in range(3)]
    prediction, truth = (np.concatenate([pair[i].ravel() for pair in masks]) for i in (0, 1))
    found = more_metrics(["dice", "precision", "recall"], counted(masks, classes))
    expected: dict[str, list[float]] = {"val/dice": [], "val/precision": [], "val/recall": []}
    for label in [1] if classes == 2 else sorted(set(truth)):
        right = int(((prediction == label) & (truth == label)).sum())
        wrong, missed = (
            int(((prediction == label) & (truth != label)).sum()),
            int(((prediction != label) & (truth == label)).sum()),
        )
        expected["val/dice"].append(100 * 2 * right / (2 * right + wrong + missed))
        expected["val/precision"].append(100 * right / (right + wrong) if right + wrong else 0.0)
        expected["val/recall"].append(100 * right / (right + missed))
    assert found == pytest.approx({name: np.mean(values) for name, values in expected.items()})


def test_of_nothing_is_nan() -> None:
    empty = Counted(np.zeros((2, 3, 4), np.int64), np.zeros((2, 3, 4), np.int64))
    found = more_metrics([name for name in METRICS if name != "loss"], empty)
    assert len(found) == 6
    assert all(np.isnan(value) for value in found.values())


def test_a_training_tells_them(tmp_path: Path) -> None:
    cfg = config(tmp_path, f"metrics=[{','.join(METRICS)}]", "pictures=0")
    result = run(cfg)
    assert cfg.name == config(tmp_path).name  # they change nothing that is learned
    assert list(METRICS) == list(COLUMNS)
    last = rows(folder_of(cfg))[-1]
    assert {column: float(last[column]) for column in COLUMNS.values()} == pytest.approx(result["metrics"])
    assert json.loads((folder_of(cfg) / "result.json").read_text())["metrics"].keys() == set(COLUMNS.values())
    assert result["metrics"]["val/recall"] == pytest.approx(result["mean_accuracy"])
    told = result["metrics"]
    assert told["val/worst_mIoU"] <= told["val/image_mIoU"]
    model = _model(cfg)
    regions, boundaries, losses, pixels = [], [], 0.0, 0
    for image, truth in _images(cfg):
        with torch.no_grad():
            logits = model(torch.from_numpy(image).permute(2, 0, 1)[None])
            full = torch.nn.functional.interpolate(logits, size=truth.shape, mode="bilinear")
            target = torch.from_numpy(truth).long()[None]
            losses += float(torch.nn.functional.cross_entropy(full, target, ignore_index=255, reduction="sum"))
        pixels += int((truth != 255).sum())
        prediction = full.argmax(1)[0].numpy().astype(np.uint8)
        regions.append(mean_iou(region_counts(prediction, truth, 8).astype(float)))
        boundaries.append(boundary_counts(prediction, truth, 8, [boundary_width(truth.shape, BOUNDARY)])[0])
    assert told["val/image_mIoU"] == pytest.approx(np.nanmean(regions), abs=0.2)
    assert told["val/boundary_IoU"] == pytest.approx(float(mean_iou(np.sum(boundaries, 0).astype(float))), abs=0.2)
    assert told["val/loss"] == pytest.approx(losses / pixels, rel=1e-4)


def _model(cfg) -> torch.nn.Module:  # type: ignore[no-untyped-def]
    import scaseg

    return scaseg.load(folder_of(cfg)).segmentor.eval()


def _images(cfg, split: str = "val"):  # type: ignore[no-untyped-def]
    from scaseg.data.build import build_source

    source = build_source(cfg.dataset, cfg.data_dir, split)
    return [source.read(i) for i in range(len(source))]


def test_an_evaluation_of_a_run_that_is_done_tells_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = config(tmp_path, "pictures=0")
    assert run(cfg)["metrics"] == {}
    asked = f"metrics=[{','.join(METRICS)}]"
    assert run(config(tmp_path, "pictures=0", asked))["metrics"] == {}
    folder, said = folder_of(cfg), capsys.readouterr().out
    assert f"were not asked for {', '.join(METRICS)}: python -m scaseg.evaluate ckpt={folder} {asked}" in said
    result = evaluated(folder, asked, "split=test", "pictures=0", "hardware.eval_batch_size=3")
    told = result["metrics"]
    assert result["config"]["metrics"] == list(METRICS)
    assert list(told) == list(COLUMNS.values())
    assert told == pytest.approx(read_anew(cfg, "test"), rel=2e-3)
    said = capsys.readouterr().out
    assert all(f"{column}: {told[column]:.4g}" in said for column in COLUMNS.values())
    plain = evaluated(folder, "split=test", "pictures=0")
    assert (plain["metrics"], plain["mIoU"]) == ({}, result["mIoU"])
    kept = [json.loads(path.read_text())["metrics"] for path in folder.glob("evaluation/*/result.json")]
    assert sorted(map(len, kept)) == [0, 7]  # the second evaluation left the first as it was


def test_an_evaluation_tells_what_the_run_was_asked_for(tmp_path: Path) -> None:
    cfg = config(tmp_path, "metrics=[recall,loss]", "pictures=0")
    result = run(cfg)
    assert evaluated(folder_of(cfg), "pictures=0")["metrics"] == result["metrics"]
    assert evaluated(folder_of(cfg), "pictures=0", "metrics=[]")["metrics"] == {}


def read_anew(cfg, split: str) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """The metrics of a model of eight classes, each as its paper or scikit-learn has it, from whole masks."""
    model, masks, losses = _model(cfg), [], 0.0
    for image, truth in _images(cfg, split):
        with torch.no_grad():
            logits = model(torch.from_numpy(image).permute(2, 0, 1)[None])
        full = torch.nn.functional.interpolate(logits, size=truth.shape, mode="bilinear")
        target = torch.from_numpy(truth).long()[None]
        losses += float(torch.nn.functional.cross_entropy(full, target, ignore_index=255, reduction="sum"))
        masks.append((full.argmax(1)[0].numpy().astype(np.uint8), truth))
    known = np.concatenate([truth.ravel() != 255 for _, truth in masks])
    prediction, truth = (np.concatenate([pair[i].ravel() for pair in masks])[known] for i in (0, 1))
    labels = sorted(set(truth))
    right = np.array([((prediction == label) & (truth == label)).sum() for label in labels])
    predicted = np.array([(prediction == label).sum() for label in labels])
    there = np.array([(truth == label).sum() for label in labels])
    image, worst = _of_images(masks)
    return {
        "val/image_mIoU": image,
        "val/worst_mIoU": worst,
        "val/boundary_IoU": _boundary_iou(masks, labels),
        "val/dice": float(np.mean(200 * right / (predicted + there))),
        "val/precision": float(np.mean(100 * right / np.maximum(predicted, 1))),
        "val/recall": float(np.mean(100 * right / there)),
        "val/loss": losses / len(truth),
    }


def _of_images(masks: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Wang et al. (2023): the mean of the images' mIoU, and of the lowest tenth's, of 11 images the worst 1.1."""
    values = []
    for prediction, truth in masks:
        seen = np.where(truth == 255, 255, prediction)
        pairs = [(seen == label, truth == label) for label in set(truth.flat) - {255}]
        ious = [(p & t).sum() / (p | t).sum() for p, t in pairs]
        values.append(100 * float(np.mean(ious)))
    assert len(values) == 11
    lowest, second = sorted(values)[:2]
    return float(np.mean(values)), (lowest + 0.1 * second) / 1.1


def _boundary_iou(masks: list[tuple[np.ndarray, np.ndarray]], labels: list[int]) -> float:
    """Cheng et al. (2021): what d erosions take off a class's mask, with d 2 % of the diagonal; over the whole set."""
    both, either = np.zeros(len(labels)), np.zeros(len(labels))
    for prediction, truth in masks:
        width = max(1, round(0.02 * float(np.hypot(*truth.shape))))
        for i, label in enumerate(labels):
            bands = []
            for mask in ((prediction == label) & (truth != 255), truth == label):
                padded = np.pad(mask.astype(np.uint8), 1)
                bands.append(mask & ~cv2.erode(padded, np.ones((3, 3)), iterations=width)[1:-1, 1:-1].astype(bool))
            both[i] += (bands[0] & bands[1]).sum()
            either[i] += (bands[0] | bands[1]).sum()
    return float(np.mean(100 * both / either))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics=\[miou\]: choose of image, worst, boundary, dice, "):
        config(tmp_path, "metrics=[miou]")
    with pytest.raises(UserError, match=r"metrics=\[miou\]: choose of image, worst, boundary, dice, "):
        evaluated(tmp_path, "metrics=[miou]")

"""task=binary from training to predictions: one threshold, found once, which everything after it decides by."""

from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import cv2
import numpy as np
import pytest
import torch

import scaseg
from scaseg.errors import UserError
from scaseg.evaluation.levels import STEPS
from scaseg.runs.asked import asked
from scaseg.runs.checkpoint import read_checkpoint
from scaseg.runs.counts import read_counts
from scaseg.schema import EvaluateConfig
from tests.training.test_resume import Cut, CutOffError
from tests.training.tiny import QUIET, config, folder_of, on_own, own, rows, run

pytestmark = QUIET
THINGS = "- {name: other, ids: [0, 2]}\n- {name: thing, id: 1}\n- {name: unclear, id: 9, ignore: true}\n"
BINARY = ("task=binary", "loss=[cross_entropy,dice]", "loss.dice.classes=foreground", "training.lr=1e-3")


def things(root: Path) -> Path:
    """Stripes, of which the middle one is the thing; a corner of each mask is not known."""
    own(root)
    (root / "classes.yaml").write_text(THINGS)
    for path in (root / "masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        mask[:4, :20] = 9
        cv2.imwrite(str(path), mask)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """(data, run's folder, result)."""
    root = tmp_path_factory.mktemp("binary")
    data = things(root / "data")
    cfg = config(root / "runs", *on_own(data), *BINARY, "metrics=[image]")
    return data, folder_of(cfg), run(cfg)


def plain_figures(predictions: list[np.ndarray], truths: list[np.ndarray]) -> dict[str, float]:
    p, t = (np.concatenate([one.ravel() for one in some]) for some in (predictions, truths))
    p, t = p[t != 255], t[t != 255]
    hits, wrong, missed, none = (((p == a) & (t == b)).sum() for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
    foreground, background = 100 * hits / (hits + wrong + missed), 100 * none / (none + wrong + missed)
    return {
        "IoU": foreground,
        "mIoU": (foreground + background) / 2,
        "dice": 200 * hits / (2 * hits + wrong + missed),
        "precision": 100 * hits / max(1, hits + wrong),
        "recall": 100 * hits / (hits + missed),
    }


def masks_of(data: Path, names: str) -> list[np.ndarray]:
    table = np.full(256, 255)
    table[[0, 1, 2]] = 0, 1, 0
    return [table[np.asarray(cv2.imread(str(data / f"masks/{n}.png"), cv2.IMREAD_UNCHANGED))] for n in names]


def test_figures_of_training_are_those_of_a_plain_reading_of_its_predictions(
    trained: tuple[Path, Path, dict[str, Any]],
) -> None:
    data, folder, result = trained
    model = scaseg.load(folder)
    assert model.segmentor.decoder.classifier.weight.shape[0] == 1  # type: ignore[union-attr, operator]
    threshold = result["thresholds"]["thing"]
    assert model.thresholds == (threshold,) and threshold * STEPS == int(threshold * STEPS)
    predictions = [model.predict(data / f"images/{n}.png") for n in "67"]
    found = plain_figures(predictions, masks_of(data, "67"))
    assert result["per_class"]["thing"]["iou"] == pytest.approx(found["IoU"], abs=1e-9)
    assert result["mIoU"] == pytest.approx(found["mIoU"], abs=1e-9)
    for name in ("dice", "precision", "recall"):
        assert result["metrics"][f"val/{name}"] == pytest.approx(found[name], abs=1e-9)
    last = [row for row in rows(folder) if row["val/mIoU"]][-1]
    assert float(last["val/threshold/thing"]) == threshold
    region = read_counts(folder).region
    assert region.shape == (2, 3, 2)
    hits = [((p == 1) & (t == 1)).sum() for p, t in zip(predictions, masks_of(data, "67"), strict=True)]
    assert region[:, 0, 1].tolist() == hits


def test_no_other_threshold_is_better(trained: tuple[Path, Path, dict[str, Any]]) -> None:
    data, folder, result = trained
    model, truths = scaseg.load(folder), masks_of(data, "67")
    for other in (0.1, 0.3, 0.5, 0.7, 0.9):
        model.decide_from(other)
        some = plain_figures([model.predict(data / f"images/{n}.png") for n in "67"], truths)
        assert some["IoU"] <= result["per_class"]["thing"]["iou"] + 1e-9


def test_evaluation_says_what_training_said(
    trained: tuple[Path, Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    from scaseg.training.evaluate import evaluate

    _, folder, result = trained
    again = evaluate(EvaluateConfig(str(folder / "checkpoints/last.ckpt"), metrics=["image", "boundary"]))
    same = ("mIoU", "pixel_accuracy", "per_class", "thresholds")
    assert {key: again[key] for key in same} == {key: result[key] for key in same}  # type: ignore[literal-required]
    assert again["metrics"]["val/boundary_IoU"] is not None
    assert {key: again["metrics"][key] for key in result["metrics"]} == result["metrics"]
    assert f"thing: from a probability of {result['thresholds']['thing']:.4g} on" in capsys.readouterr().out
    fixed = evaluate(EvaluateConfig(str(folder / "checkpoints/last.ckpt"), threshold=0.25))
    assert fixed["thresholds"] == {"thing": 0.25}
    best = evaluate(EvaluateConfig(str(folder / "checkpoints/best.ckpt")))
    assert best["mIoU"] == result["best"]["mIoU"]


def test_a_run_that_was_cut_off_ends_the_same(trained: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    data, folder, result = trained
    cfg = config(tmp_path / "runs", *on_own(data), *BINARY, "metrics=[image]")
    with pytest.raises(CutOffError):
        run(cfg, Cut("on_train_batch_end", 6))
    cut = read_checkpoint(folder_of(cfg) / "checkpoints/last.ckpt", "ckpt")
    assert cut.thresholds != (0.5,) or cut.step < 4
    again = run(cfg)
    assert (again["mIoU"], again["thresholds"]) == (result["mIoU"], result["thresholds"])
    ours, theirs = (read_checkpoint(one / "checkpoints/last.ckpt", "ckpt") for one in (folder_of(cfg), folder))
    assert ours.thresholds == theirs.thresholds
    assert all(torch.equal(ours.state[key], theirs.state[key]) for key in theirs.state)


def test_saved_folders_keep_the_threshold(trained: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    data, folder, _ = trained
    model = scaseg.load(folder)
    saved = scaseg.load(scaseg.save_pretrained(model, tmp_path / "saved"))
    assert saved.thresholds == model.thresholds and saved.task == "binary"
    assert np.array_equal(saved.predict(data / "images/6.png"), model.predict(data / "images/6.png"))


def test_names_of_semantic_runs_are_what_they_were(tmp_path: Path) -> None:
    data = own(tmp_path / "data")
    semantic = config(tmp_path / "runs", *on_own(data))
    assert "task" not in asked(semantic).config.identity()
    assert asked(semantic).config.name == asked(config(tmp_path / "runs", *on_own(data), "task=semantic")).config.name


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["task=binary"],
            r"task=binary tells a foreground from a background, and the dataset has 3 classes \(a, b, c\)",
        ),
        (["task=binry"], "task=binry: choose one of semantic, binary"),
        (["task=binary", "teacher=x", "distillation=[soft_labels]"], "a teacher tells the best of classes"),
    ],
)
def test_what_does_not_go_together_is_said(overrides: list[str], message: str, tmp_path: Path) -> None:
    data = own(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        run(config(tmp_path / "runs", *on_own(data), *overrides))
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_boundaries_are_for_evaluation(tmp_path: Path) -> None:
    data = things(tmp_path / "data")
    with pytest.raises(UserError, match=r"metrics=\[boundary\]: a validation of task=binary .* scaseg.evaluate"):
        run(config(tmp_path / "runs", *on_own(data), *BINARY, "metrics=[boundary]"))

"""The command on trained checkpoints: figures that training itself reports, pairs, pictures, and what it refuses."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest

from scaseg.compare.calibration import calibration_counts
from scaseg.compare.compared import Compared
from scaseg.compare.measures import Settings
from scaseg.compare.page import file_name, page, text
from scaseg.compare.pictures import most_different_box
from scaseg.compare.run import _figures, _finite
from scaseg.config import compose, run_config
from scaseg.data.labels import IGNORE
from scaseg.evaluation.boundaries import boundary_counts, object_counts, trimap_counts
from scaseg.evaluation.regions import region_counts
from tests.browser import measured
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, config, folder_of, run

pytestmark = QUIET
__all__ = ["cli"]
SHORT = ["training.max_steps=2", "training.val_every=2", "training.warmup_steps=1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    found = {}
    for name, overrides in (
        ("segformer0", ["decoder=segformer"]),
        ("segformer1", ["decoder=segformer", "seed=1"]),
        ("scaseg", ["training.lr=1e-2"]),
    ):
        cfg = config(output, *SHORT, *overrides)
        run(cfg)
        found[name] = folder_of(cfg)
    return found


@pytest.fixture
def compare(cli: Cli) -> Any:
    return partial(cli, "compare", "hardware.threads=1")


def test_figures_pairs_and_pictures(runs: dict[str, Path], compare: Any, tmp_path: Path) -> None:
    pattern = runs["segformer0"].parent / "*segformer*"
    (pattern.parent / "segformer.yaml").touch()  # a sweep leaves such files beside its runs
    status, out, _ = compare(f"ckpt=[{pattern},{runs['scaseg']}]", "pictures=2", "output=out")
    assert status == 0
    result = json.loads((tmp_path / "out/comparison.json").read_text())
    trained = {name: json.loads((path / "result.json").read_text()) for name, path in runs.items()}
    miou = result["measures"]["mIoU"]
    seeds = [trained[name]["mIoU"] for name in ("segformer0", "segformer1")]
    assert miou["models"]["a"]["value"] == pytest.approx(np.mean(seeds), abs=1e-9)
    assert miou["models"]["a"]["std_over_seeds"] == pytest.approx(np.std(seeds, ddof=1), abs=1e-9)
    assert miou["models"]["b"]["value"] == pytest.approx(trained["scaseg"]["mIoU"], abs=1e-9)
    accuracy = result["measures"]["pixel accuracy"]["models"]["b"]["value"]
    assert accuracy == pytest.approx(trained["scaseg"]["pixel_accuracy"], abs=1e-9)
    for name, entry in result["per_class_iou"].items():
        value, expected = entry["models"]["b"]["value"], trained["scaseg"]["per_class"][name]["iou"]
        assert value == (expected if expected is None else pytest.approx(expected, abs=1e-9))
    change = miou["differences"]["b - a"]
    assert change["low"] <= change["value"] <= change["high"]
    assert result["models"]["a"]["seeds"] == [0, 1]
    assert len(result["most_different"]) == 2
    shown = (tmp_path / "out/index.html").read_text()
    for place, item in enumerate(result["most_different"]):
        picture = cv2.imread(str(tmp_path / "out" / file_name(place, item["image"])))
        assert picture is not None
        assert f'src="{file_name(place, item["image"])}"' in shown
    # on images alone nothing is claimed: by no colour, no bold, no word, no key
    assert set(change) == {"value", "low", "high"}
    assert "no statement on which model is better" in shown
    assert "no statement on which model is better" in out
    assert "of the images alone" in result["intervals"]
    table = shown.partition("<table>")[2].partition("</table>")[0]
    assert not re.findall(r"<b>|<strong>|style=|better|worse|\*\*|\x1b", table)
    assert "viewport" in shown
    assert "mit_b0 + segformer" in out
    assert "boundary IoU, 1 % of the diagonal" in out
    assert "b - a" in out
    assert compare(f"ckpt=[{pattern},{runs['scaseg']}]", "output=out")[2].startswith("error: output=out holds a")


def test_a_model_does_not_differ_from_itself(runs: dict[str, Path], compare: Any, tmp_path: Path) -> None:
    folder = runs["scaseg"]
    best = folder / "checkpoints" / "best.ckpt"
    status, _, _ = compare(
        f"ckpt=[{folder},{best},{folder}/checkpoints]", "output=same", "images=[val_00003]", "split=val"
    )
    assert status == 0
    result = json.loads((tmp_path / "same/comparison.json").read_text())
    for entry in (*result["measures"].values(), *result["per_class_iou"].values()):
        for change in entry["differences"].values():
            assert change["value"] in (0, None)
            assert change["low"] in (0, None)
    assert set(result["measures"]["mIoU"]["differences"]) == {"b - a", "c - a", "c - b"}
    assert [model["label"][-3:] for model in result["models"].values()] == ["(a)", "(b)", "(c)"]


def test_what_cannot_be_compared_is_said(runs: dict[str, Path], compare: Any, tmp_path: Path) -> None:
    one, other = runs["scaseg"], runs["segformer0"]
    both = f"{one.parent}/*"
    for arguments, message in (
        ([f"ckpt=[{one}]"], "error: give at least two models: ckpt=[RUN,RUN]"),
        ([f"ckpt=[{one},nowhere]"], "error: ckpt=nowhere: no such file or folder"),
        ([f"ckpt=[{one},*nowhere*]"], "error: ckpt=*nowhere*: no such file or folder"),
        (
            [f"a={one}", f"b={one.parent}"],
            f"error: ckpt={one.parent} holds runs and is none: name one, as ckpt={one}"[:60],
        ),
        ([f"ckpt=[{one},{both}]"], "names runs that differ in more than their seed"),
        ([f"ckpt=[{one},{other}]", "images=[none]"], "error: images=none: not in the split val, whose first is"),
        ([f"ckpt=[{one},{other}]", "level=95"], "error: level=95.0: between 0 and 1"),
        ([f"ckpt=[{one},{other}]", "trimap_widths=[0]"], "error: trimap_widths=[0]: pixels, at least 1"),
        ([f"ckpt=[{one},{other}]", "object_sizes=[9,4]"], "error: object_sizes=[9, 4]: areas in pixels"),
        ([f"ckpt=[{one},{other}]", "boundary_widths=[2]"], "error: boundary_widths=[2.0]: shares"),
        ([f"ckpt=[{one},{other}]", "groups='('"], "error: groups=(: no regular expression"),
        ([f"ckpt=[{one},{other}]", "groups=^x"], "error: groups=^x finds nothing in the name val_00000"),
        ([f"ckpt=[{one},{other}]", "split=exam"], "error: shapes has no split 'exam'"),
        (
            [f"ckpt=[{one},{other}]", "hardware.accelerator=abacus"],
            "error: hardware.accelerator=abacus: choose one of",
        ),
        ([f"ckpt=[{one},{other}]", "hardware.accelerator=mps"], "error: hardware.accelerator=mps: torch has no"),
        ([f"ckpt=[{one},{other}]", "output=/proc/x"], "error: output=/proc/x: /proc cannot be written to"),
        ([f"ckpt=[{one},{other}]", f"output={one}/config.yaml"], "config.yaml is a file: name a folder"),
        ([f"ckpt=[{one},{other}]", f"output={one}/config.yaml/x"], "is a file, not a folder; name another place"),
        ([f"ckpt=[{one},{one / 'result.json'}]"], "not a checkpoint that can be read"),
    ):
        status, out, err = compare(*arguments)
        assert status == 2
        assert message in err
        assert "images, " not in err  # before the images are looked at
        assert out == ""
        assert not (tmp_path / "comparisons").exists()


def compared(truths: list[np.ndarray[Any, Any]], seeds: int) -> dict[str, Any]:
    """A comparison of two models, b wrong on one row, as compare writes it."""
    settings = Settings([0.1], [1], [4, 9], 5)
    found: dict[str, list[Any]] = {"a": [], "b": []}
    for letter, runs in found.items():
        for seed in range(seeds):
            images = []
            for truth in truths:
                prediction = np.where(truth == IGNORE, 0, truth).astype(np.uint8)
                prediction[: 1 + seed] = 0 if letter == "b" else prediction[: 1 + seed]
                images.append(
                    {
                        "region": region_counts(prediction, truth, 3),
                        "boundary": boundary_counts(prediction, truth, 3, [1]),
                        "trimap": trimap_counts(prediction, truth, 3, [1]),
                        "objects": object_counts(prediction, truth, 3, [4, 9]),
                        "calibration": calibration_counts(np.ones(truth.shape, np.float32), prediction, truth, 5),
                    }
                )
            runs.append({key: np.stack([image[key] for image in images]) for key in images[0]})
    names = [str(i) for i in range(len(truths))]
    told = {letter: {"label": f"model {letter}"} for letter in found}
    of = Compared(run_config(compose("train")), "val", names, ("x", "y", "z"), told, found)
    figures = _figures(of, settings, np.arange(len(truths)), 0.95)
    model = {"seeds": list(range(seeds)), "params": 1, "checkpoints": ["runs/a-b/last.ckpt"]}
    return {
        **_finite(figures),
        "models": {letter: {"label": f"model {letter}", **model} for letter in found},
        "dataset": "d",
        "split": "val",
        "images": len(truths),
        "groups": len(truths),
        "settings": {"level": 0.95, "groups": None},
        "most_different": [{"image": "a/b.png", "mIoU": {"a": None, "b": 1.0}}],
    }


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("images", [1, 3])
def test_what_is_not_there_is_no_number_anywhere(images: int, seeds: int) -> None:
    truths = [np.full((6, 6), IGNORE, np.uint8) for _ in range(images)]
    nothing = compared(truths, seeds)
    assert nothing["measures"]["mIoU"]["models"]["a"] == {
        "value": None, "low": None, "high": None, "std_over_seeds": None
    }  # fmt: skip
    for truth in truths[:2]:
        truth[2:] = 1  # one class of three, one size of three
    some = compared(truths, seeds)
    assert some["per_class_iou"]["y"]["models"]["a"]["value"] == 100
    assert some["per_class_iou"]["x"]["models"]["a"]["value"] is None
    for result in (nothing, some):
        shown = text(result) + page(result) + json.dumps(result)
        assert not re.findall(r"nan|inf\b|\[–|– ±|-0\.00", shown, re.I)
    change = some["measures"]["mIoU"]["differences"]["b - a"]
    assert (change["low"] is None) == (images == 1)  # of one image nothing is known of others
    assert ("[" in text(some).partition("\n\n")[0]) == (images > 1)
    assert ("One image: nothing is known" in text(some)) == (images == 1)


def test_a_class_in_one_image_alone_leaves_no_interval_and_that_is_said() -> None:
    truths = [np.zeros((6, 6), np.uint8) for _ in range(3)]
    truths[0][2:] = 1
    result = compared(truths, 2)
    change = result["measures"]["mIoU"]["differences"]["b - a"]
    assert (change["low"], change["better"], change["p_holm"]) == (None, None, None)
    assert "No [ ] where a class is in one image or group of images alone" in text(result)
    assert "none holds" in text(result)


def test_claims_are_of_seeds_and_images_together() -> None:
    rng = np.random.default_rng(0)
    truths = [rng.integers(0, 3, (6, 6)).astype(np.uint8) for _ in range(12)]
    one, two = compared(truths, 1), compared(truths, 2)
    assert set(one["measures"]["mIoU"]["differences"]["b - a"]) == {"value", "low", "high"}
    assert "no statement on which model is better" in text(one)
    change = two["measures"]["mIoU"]["differences"]["b - a"]
    assert set(change) == {"value", "low", "high", "better", "p_holm"}
    assert change["better"] < 0.5  # b is wrong on a row
    assert two["measures"]["calibration error (ECE)"]["differences"]["b - a"]["better"] < 0.5  # more is worse there
    assert "Of 1 comparison of mIoU, corrected after Holm," in text(two)
    assert change["high"] - change["low"] > 0


def test_the_page_is_as_wide_as_a_phone(tmp_path: Path) -> None:
    result = compared([np.tile(np.arange(3, dtype=np.uint8), (6, 2))] * 2, 2)
    result["models"]["a"] = {**result["models"]["a"], "label": "efficientnet_lite0 + umixformer clb_stages=[4, 3, 2]"}
    result["models"]["b"] = {**result["models"]["b"], "checkpoints": [f"runs/{'a_name_without_end' * 9}/last.ckpt"]}
    two = compared([np.tile(np.arange(3, dtype=np.uint8), (6, 2))] * 2, 1)
    for letter, decoder in (("a", "segformer"), ("b", "scaseg")):
        two["models"][letter]["label"] = f"mit_b0 + {decoder}"
    hidden = (
        "() => Math.max(...[...document.querySelectorAll('.scroll')].map((box) => box.scrollWidth - box.clientWidth))"
    )
    shown = measured(tmp_path, {"compared": page(result), "two": page(two)}, hidden)
    for (_, width), told in shown.items():
        assert told["wide"] <= width
        assert told["lines"] <= 4  # value, interval in two, P
    assert shown["two", 390]["more"] <= 15  # the difference is in sight, but for a scroll bar that phones do not have


def test_box_is_where_one_is_right_and_the_other_is_not() -> None:
    truth = np.zeros((100, 50), np.uint8)
    first, second = truth.copy(), truth.copy()
    first[70:80, 30:40] = 1
    second[0:20, 0:10] = 1
    first[0:20, 0:10] = 1  # both wrong: nothing to see
    truth[90:, 40:] = IGNORE
    first[90:, 40:] = 1
    top, left, height, width = most_different_box(truth, [first, second])
    assert (height, width) == (28, 14)
    assert top <= 70 < 80 <= top + height
    assert left <= 30 < 40 <= left + width

"""counts.npz: what each image adds, by a run, by an evaluation, and what is said of a file that is none."""

from pathlib import Path

import numpy as np
import pytest

from scaseg.config import compose, typed
from scaseg.errors import UserError
from scaseg.evaluation.regions import mean_iou, pixel_accuracy
from scaseg.runs.counts import COUNTS, ImageCounts, read_counts, write_counts
from scaseg.schema import EvaluateConfig
from tests.training.tiny import QUIET, config, folder_of, run

pytestmark = QUIET


@pytest.mark.parametrize("options", [["training.ema_decay=0.5"], ["hardware.eval_batch_size=3"]], ids=" ".join)
def test_their_sum_is_the_results(options: list[str], tmp_path: Path) -> None:
    """Of the average where there is one: the weights as they are, evaluated after it, leave no counts."""
    from scaseg.training.evaluate import evaluate

    cfg = config(tmp_path / "runs", *options)
    result = run(cfg)
    counts = read_counts(folder_of(cfg))
    assert len(set(counts.names)) == len(counts.region) == 11
    total = counts.region.sum(0).astype(float)
    assert float(mean_iou(total)) == pytest.approx(result["mIoU"])
    assert float(pixel_accuracy(total)) == pytest.approx(result["pixel_accuracy"])
    asked = [f"ckpt={folder_of(cfg)}", f"output={tmp_path}/out", "hardware.accelerator=cpu", "hardware.num_workers=0"]
    evaluate(typed(compose("evaluate", [*asked, "pictures=0"]), EvaluateConfig))
    again = read_counts(tmp_path / "out")
    assert again.names == counts.names
    assert np.array_equal(again.region, counts.region)


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"counts.npz can't be read"):
        read_counts(tmp_path)
    (tmp_path / COUNTS).write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"counts.npz can't be read"):
        read_counts(tmp_path)
    write_counts(tmp_path, ImageCounts(("a", "b"), np.zeros((1, 3, 4), np.int64)))
    with pytest.raises(UserError, match=r"of shape \(1, 3, 4\) for 2 images"):
        read_counts(tmp_path)

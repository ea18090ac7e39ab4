"""The average of the weights: its decay at each update, and that both it and the weights have their figures."""

from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg.training.average import decay_at
from tests.training.tiny import QUIET, config, folder_of, rows, run

pytestmark = QUIET


def test_decay_grows_to_what_was_asked() -> None:
    assert [decay_at(n, 0.998, True) for n in (1, 8, 90)] == [2 / 11, 0.5, 0.91]
    assert decay_at(10**6, 0.998, True) == 0.998 == decay_at(1, 0.998, False)


@pytest.mark.parametrize("warmup", [True, False])
def test_the_average_is_what_its_definition_gives(warmup: bool, tmp_path: Path) -> None:
    """From the weights of every step, in float64."""
    cfg = config(
        *(tmp_path, "training.ema_decay=0.9", f"training.ema_warmup={warmup}", "training.val_every=1"),
        *("training.max_steps=5", "training.lr=0.01", "pictures=0"),
    )
    kept: list[dict[str, torch.Tensor]] = []
    last = folder_of(cfg) / "checkpoints/last.ckpt"

    from lightning.pytorch import Callback

    class Keep(Callback):
        def on_train_batch_end(self, trainer: object, pl_module: torch.nn.Module, *_: object) -> None:
            kept.append({k: v.clone() for k, v in pl_module.state_dict().items()})

    result = run(cfg, Keep())
    saved = torch.load(last, weights_only=True)
    for key, first in kept[0].items():
        expected = first.double()
        for n, weights in enumerate(kept[1:], 1):
            decay = decay_at(n, 0.9, warmup)
            expected = decay * expected + (1 - decay) * weights[key].double()
        if first.is_floating_point():
            torch.testing.assert_close(saved["state_dict"][key].double(), expected, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(saved["state_dict"][key], kept[-1][key])
    assert result["mIoU"] == float([row for row in rows(folder_of(cfg)) if row["val/mIoU"]][-1]["val/mIoU"])
    assert 0 <= result["plain_weights"]["mIoU"] <= 100
    assert result["plain_weights"]["per_class"] != result["per_class"]


def test_plain_weights_have_the_figures_of_a_run_without_an_average(tmp_path: Path) -> None:
    plain, averaged = (run(config(tmp_path, *options)) for options in ([], ["training.ema_decay=0.9"]))
    assert averaged["plain_weights"]["per_class"] == plain["per_class"]
    assert plain["plain_weights"] is None

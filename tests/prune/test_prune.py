"""The command: an ordinary checkpoint within the budget, which answers by the trained model's best channels."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import scaseg
from scaseg.complexity import summary
from scaseg.complexity.latency import Ratio, Spread
from scaseg.errors import UserError
from scaseg.export.options import ExportConfig
from scaseg.export.run import export
from scaseg.prune.options import PruneConfig
from scaseg.prune.run import prune
from scaseg.prune.smaller import Kept
from scaseg.prune.timing import Measure, measured
from scaseg.prune.widths import widths_of
from scaseg.prune.worth import by_l2
from scaseg.rank.options import RankConfig
from scaseg.rank.run import rank
from scaseg.schema import EvaluateConfig, Hardware, Run
from scaseg.trained.model import TrainedModel, for_use
from tests.prune.test_smaller import mask
from tests.test_cli import Cli, cli
from tests.trained.conftest import write_checkpoint
from tests.training.tiny import QUIET, config, run

pytestmark = QUIET
__all__ = ["cli"]
SHAPES = ["dataset.length=4", "dataset.size=[64,64]", "augment.crop_size=[64,64]", "protocol.box=null"]
MIT = ["backbone=mit_b0", "backbone.channels=[8,16,40,32]", "backbone.depths=[2,1,1,2]", "decoder.embed_channels=64"]


def trained(folder: Path, *overrides: str, plain: list[str] | None = None) -> Path:
    write_checkpoint(folder / "checkpoints" / "last.ckpt", [*SHAPES, *overrides], plain)
    return folder


def cost(found: Run, by: str) -> int:
    parts = for_use(found.backbone), for_use(found.decoder)
    return summary.parameters(*parts, 8).total if by == "params" else summary.counts(*parts, 8, (64, 64)).macs


@pytest.mark.parametrize(("by", "importance"), [("params", "taylor"), ("macs", "l2")])
def test_it_is_within_the_budget_and_hardly_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str, importance: str
) -> None:
    source = trained(tmp_path / "run")
    options = PruneConfig(str(source), 0.7, by=by, importance=importance, round=2, samples=2)
    target = prune(options)
    assert target == source / "prune-0.7"
    before, after = scaseg.load(source), scaseg.load(target)
    share = cost(after.config, by) / cost(before.config, by)
    assert 0.66 < share <= 0.7
    out = capsys.readouterr().out
    assert f", {share:.3f}\n" in out
    assert f"weights={target}\n  backbone.ffn_channels=[[" in out
    widths = [one.channels for one in widths_of(after.segmentor)[0]]
    wide = [one.channels for one in widths_of(before.segmentor)[0]]
    assert all(now == then or now % 2 == 0 for now, then in zip(widths, wide, strict=True))
    assert sorted(path.name for path in target.rglob("*")) == ["checkpoints", "last.ckpt"]


def test_the_checkpoint_is_the_model_with_the_others_at_zero(tmp_path: Path) -> None:
    source = trained(tmp_path / "run", "lpm=coord")
    after = scaseg.load(prune(PruneConfig(str(source), 0.75, importance="l2", round=4)))
    before = scaseg.load(source).segmentor
    widths, _ = widths_of(before)
    scores = by_l2(before, widths)
    left = [Kept(width, now.channels) for width, now in zip(widths, widths_of(after.segmentor)[0], strict=True)]
    for one, score in zip(left, scores, strict=True):
        mask(before, one, score)
    image = 255 * torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(after.segmentor(image), before(image), rtol=0, atol=1e-5)


def test_blocks_may_go_and_one_of_a_stage_stays(tmp_path: Path) -> None:
    source = trained(tmp_path / "run", plain=[*MIT, "dataset=shapes", *SHAPES])
    with pytest.raises(UserError, match="with round=8 and depth=true, is 0") as error:
        prune(PruneConfig(str(source), 0.05, by="params", samples=1, depth=True))
    least = float(str(error.value).split(" is ")[1].split()[0])
    found = scaseg.load(prune(PruneConfig(str(source), least + 1e-3, by="params", samples=1, depth=True)))
    assert found.config.backbone.option("depths") == [1, 1, 1, 1]
    assert cost(found.config, "params") / cost(scaseg.load(source).config, "params") == pytest.approx(least, abs=1e-3)


def test_it_is_ranked_evaluated_and_saved(tmp_path: Path) -> None:
    source = trained(tmp_path / "run", "decoder.qk_channels=2")
    target = prune(PruneConfig(str(source), 0.8, importance="l2", round=2))
    from scaseg.training.evaluate import evaluate

    result = evaluate(EvaluateConfig(str(target), pictures=0, hardware=Hardware("cpu", num_workers=0, threads=1)))
    assert result["mIoU"] is not None
    export(ExportConfig(str(target), format="safetensors", file=str(tmp_path / "saved")), [])
    assert "the whole model's weights from `run/last.ckpt`" in (tmp_path / "saved" / "README.md").read_text()
    again = prune(PruneConfig(str(tmp_path / "saved"), 0.9, importance="l2", round=2))
    assert again == tmp_path / "prune-0.9"
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((64, 64, 3), np.uint8))
    ranked = scaseg.load(rank(RankConfig(str(again), 100, "", by="energy"), [picture]))
    image = 255 * torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = scaseg.load(again).segmentor(image)
        torch.testing.assert_close(ranked.segmentor(image), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("overrides", "arguments", "message"),
    [
        ([], ["target=2"], "error: target=2.0 must lie between 0 and 1\n"),
        ([], ["target=0.5", "by=flops"], "error: by=flops: choose one of time, macs, params\n"),
        ([], ["target=0.5", "output=run"], "error: output=run exists already: name a new folder\n"),
        ([], ["target=0.5", "depth=true", "importance=l2"], "error: depth=true goes by what the loss moves"),
        ([], ["target=0.5", "split=exam"], "error: shapes has no split 'exam': choose one of train, val, test"),
        ([], ["target=0.01", "importance=l2"], "error: target=0.01 by=macs: the least that can be reached, with"),
        (["decoder=segformer", "backbone=lvt"], ["target=0.5"], "error: ckpt=run: nothing to prune: the encoder (LVT)"),
    ],
)
def test_what_cannot_be_is_said(
    cli: Cli, tmp_path: Path, overrides: list[str], arguments: list[str], message: str
) -> None:
    trained(tmp_path / "run", plain=["dataset=shapes", *SHAPES, *overrides] if overrides else None)
    status, out, err = cli("prune", "ckpt=run", *arguments)
    assert status == 2, out
    assert message in err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]


@pytest.mark.slow
def test_its_onnx_file_agrees(tmp_path: Path) -> None:
    target = prune(PruneConfig(str(trained(tmp_path / "run")), 0.7, importance="l2", round=2))
    export(ExportConfig(str(target), sizes=[[64, 96], [97, 131]]), [])  # which raises where it does not


def test_it_is_trained_on_from_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = run(config(tmp_path, "training.max_steps=2", "training.val_every=2"))["run"]
    target = prune(PruneConfig(str(tmp_path / source), 0.8, samples=2, round=2, output=str(tmp_path / "pruned")))
    options = capsys.readouterr().out.splitlines()[-1].split()
    steps = ["training.max_steps=2", "training.val_every=2", f"weights={target}"]
    after = scaseg.load(tmp_path / run(config(tmp_path, *options, *steps, "training.lr=0"))["run"])
    before = dict(scaseg.load(target).segmentor.named_parameters())
    for name, tensor in after.segmentor.named_parameters():
        torch.testing.assert_close(tensor, before[name])
    taught = ["distillation=[soft_labels,channel_wise]", f"teacher={tmp_path / source}", "training.lr=0.003"]
    scores = run(config(tmp_path, *options, *steps, *taught))
    assert scores["status"] == "done"


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_its_time_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    told = Ratio(Spread(share, 0.4, 0.6, 3), Spread(share, 0, 1, 3), Spread(1, 0, 1, 3))
    seen: list[tuple[Ratio, Kept]] = []

    def faked(model: TrainedModel, scores: Sequence[Tensor], size: tuple[int, int], rounds: int) -> Measure:
        true = measured(model, scores, size, rounds)
        return lambda kept: (seen.append((true(kept), kept[0])), told)[1]

    monkeypatch.setattr("scaseg.prune.run.measured", faked)
    options = PruneConfig(str(trained(tmp_path / "run")), 0.505, by="time", importance="l2", round=2, rounds=1)
    if share < options.target:
        prune(options)
        expected = "time at 64 x 64: 0.5 s of 1, 0.500 (quartiles 0.400 and 0.600 of 3 rounds in turn, threads "
        assert expected in capsys.readouterr().out
    else:
        with pytest.raises(UserError, match=r"target=0.505 by=time: the least .* is 0.950 of the time"):
            prune(options)
    ((true, first),) = seen
    assert min(true.ratio.median, true.a.median, true.b.median) > 0
    assert first.channels == 2

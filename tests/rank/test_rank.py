"""The command: an ordinary checkpoint whose answers are those of the trained model with its heads lowered."""

from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import scaseg
from scaseg.errors import UserError
from scaseg.export.options import ExportConfig
from scaseg.export.run import export
from scaseg.models.layers.attention import CrossAttention
from scaseg.models.layers.ranked_attention import RankedCrossAttention
from scaseg.rank.options import RankConfig
from scaseg.rank.run import rank
from scaseg.rank.spectrum import Moments
from scaseg.rank.worth import Lowered
from scaseg.schema import EvaluateConfig, Hardware
from scaseg.trained.images import as_picture
from tests.trained.conftest import write_checkpoint
from tests.training.tiny import QUIET, config, run

pytestmark = QUIET


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = [folder / f"{n}.png" for n in range(2)]
    for path in paths:
        cv2.imwrite(str(path), cv2.resize(generator.integers(0, 255, (8, 10, 3), np.uint8), (160, 128)))
    return paths


def trained(folder: Path, *overrides: str) -> Path:
    """A run whose logits are of some size."""
    path = write_checkpoint(folder / "checkpoints" / "last.ckpt", ["protocol.box=null", *overrides])
    content = torch.load(path, weights_only=True)
    for number, (key, tensor) in enumerate(content["state_dict"].items()):
        if key.endswith(("attention.q.weight", "attention.k.weight")):
            tensor.normal_(0, 0.5, generator=torch.Generator().manual_seed(number))
    torch.save(content, path)
    return folder


def told(text: str) -> list[list[int]]:
    """Of each stage the ranks of its heads, in the trained model's order."""
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    return [[int(row[3]) for row in of_stage] for _, of_stage in groupby(rows, lambda row: row[0])]


@torch.no_grad()
def lowered(folder: Path, ranks: list[list[int]], pictures: list[Path], image: torch.Tensor) -> torch.Tensor:
    """The trained model's logits with its heads at these ranks."""
    segmentor = scaseg.load(folder).segmentor
    attentions = [module for module in segmentor.decoder.modules() if isinstance(module, CrossAttention)]
    moments = [Moments(attention) for attention in attentions]
    hooks = [one.attention.register_forward_hook(one) for one in moments]
    for path in pictures:
        segmentor(torch.from_numpy(as_picture(path)).permute(2, 0, 1)[None])
    for hook in hooks:
        hook.remove()
    for attention, of_stage, own in zip(attentions, moments, ranks, strict=True):
        for head, (spectrum, wanted) in enumerate(zip(of_stage.spectra(), own, strict=True)):
            Lowered(attention, head, spectrum, wanted).__enter__()
    logits: torch.Tensor = segmentor(image)
    return logits


@pytest.mark.parametrize("by", ["loss", "energy"])
@pytest.mark.parametrize("budget", [0, 1.5])
def test_the_checkpoint_is_the_model_with_lowered_heads(
    tmp_path: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str], by: str, budget: float
) -> None:
    source = trained(tmp_path / "run", "decoder.qk_channels=4", f"decoder.query_pool={1 + (by == 'energy')}")
    target = rank(RankConfig(str(source), budget, str(tmp_path), by=by), pictures)
    assert target == source / f"rank-{budget:g}"
    ranks = told(capsys.readouterr().out)
    flat = [one for of_stage in ranks for one in of_stage]
    assert sum(flat) <= budget * len(flat)
    model = scaseg.load(target)
    found = [m for m in model.segmentor.modules() if isinstance(m, RankedCrossAttention)]
    assert [list(one.ranks) for one in found] == [sorted(of_stage, reverse=True) for of_stage in ranks]
    assert not hasattr(found[0], "q") or sum(found[0].ranks)
    image = 255 * torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(3))
    expected = lowered(source, ranks, pictures, image)
    with torch.no_grad():
        torch.testing.assert_close(model.segmentor(image), expected, rtol=0, atol=1e-5)


def test_all_channels_are_the_model_itself(tmp_path: Path, pictures: list[Path]) -> None:
    source = trained(tmp_path / "run", "decoder.attn=ca")
    model = scaseg.load(source)
    target = rank(RankConfig(str(source), 100, "", output=str(tmp_path / "ranked")), pictures[:1])
    image = 255 * torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(scaseg.load(target).segmentor(image), model.segmentor(image), rtol=0, atol=1e-5)


def test_it_is_evaluated_and_saved(tmp_path: Path, pictures: list[Path]) -> None:
    source = trained(tmp_path / "run", "decoder.qk_channels=2", "dataset.length=4", "dataset.size=[64,64]")
    target = rank(RankConfig(str(source), 1, "", by="energy"), pictures)
    from scaseg.training.evaluate import evaluate

    result = evaluate(EvaluateConfig(str(target), pictures=0, hardware=Hardware("cpu", num_workers=0, threads=1)))
    assert result["mIoU"] is not None
    export(ExportConfig(str(target), format="safetensors", file=str(tmp_path / "saved")), [])
    assert "the whole model's weights from `run/last.ckpt`" in (tmp_path / "saved" / "README.md").read_text()


def test_it_is_trained_on_from_its_weights_and_not_resumed(tmp_path: Path, pictures: list[Path]) -> None:
    source = run(config(tmp_path, "decoder.qk_channels=2", "training.max_steps=2", "training.val_every=2"))["run"]
    target = rank(RankConfig(str(tmp_path / source), 1, "", by="energy", output=str(tmp_path / "ranked")), pictures)
    ranks = scaseg.load(target).config.decoder.option("ranks")
    options = [f"decoder.ranks={ranks}", "training.max_steps=2", "training.val_every=2", "decoder.qk_channels=2"]
    with pytest.raises(UserError, match=r"last.ckpt is of a model alone, and no training can go on in it: weights="):
        run(config(tmp_path, *options, f"ckpt_path={target}"))
    trained_on = run(config(tmp_path, *options, f"weights={target}", "training.lr=0"))
    after = scaseg.load(tmp_path / trained_on["run"])
    before = dict(scaseg.load(target).segmentor.decoder.named_parameters())
    for name, tensor in after.segmentor.decoder.named_parameters():
        torch.testing.assert_close(tensor, before[name])


@pytest.mark.slow
def test_its_onnx_file_agrees(tmp_path: Path, pictures: list[Path]) -> None:
    source = trained(tmp_path / "run", "decoder.qk_channels=2")
    for budget in (1.0, 0.0):
        target = rank(RankConfig(str(source), budget, "", by="energy"), pictures)
        export(ExportConfig(str(target), sizes=[[64, 96], [97, 131]]), [])  # which raises where it does not


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        (["decoder=segformer"], {}, "its decoder is segformer, and scaseg.rank is for decoder=scaseg"),
        (["decoder.ranks=[[1,0,0,0,0,0,0,0],[1,1,0,0],[1,1],[1]]"], {}, "its heads are ranked already"),
        ([], {"output": "."}, "output=. exists already: name a new folder"),
    ],
)
def test_what_cannot_be_ranked_is_said(
    tmp_path: Path, pictures: list[Path], overrides: list[str], changes: dict[str, str], message: str
) -> None:
    write_checkpoint(tmp_path / "checkpoints" / "last.ckpt", overrides)
    with pytest.raises(UserError) as error:
        rank(RankConfig(str(tmp_path), 1.0, "", **changes), pictures)
    assert message in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints"]

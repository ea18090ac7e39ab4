"""What the commands say to bad input: one message, an exit status that is not 0, nothing left behind."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest
import torch

from tests.commands import main_of
from tests.conftest import ROOT
from tests.training.tiny import QUIET, TINY, camvid, config, folder_of, on_camvid, run

pytestmark = QUIET
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """A command in this process, in an empty folder -> (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(module: str, *arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", [f"scaseg.{module}", *arguments])
        status: Any = 0
        try:
            main_of(module)()
        except SystemExit as stop:
            status = stop.code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["backbone=mit_b9"], "error: backbone=mit_b9: no such choice; did you mean mit_b"),
        (["decoder.attnn=sca"], "error: decoder.attnn: no such key; did you mean decoder.attn=sca?\n"),
        (["trainnig.lr=1"], "error: trainnig.lr: no such key; did you mean training.lr=1?\n"),
        (["training.max_steps=many"], "error: training.max_steps=many: must be a whole number\n"),
        (["training.decay=none"], "error: training.decay=none: choose one of published, no_norm_or_bias\n"),
        (["decoder.attn=sda"], "error: decoder.attn=sda: choose one of sa, ca, sca\n"),
        (
            ["decoder.qk_channels=0"],
            "error: decoder (scaseg.models.decoders.scaseg.SCASegDecoder): decoder.qk_channels=0",
        ),
        (["backbone=timm", "backbone.name=pvt_v9"], "error: backbone.name=pvt_v9: timm"),
        (["training.batch_size_per_device=3"], "error: training.batch_size=4 is the total and must be a multiple of"),
        (
            ["training.precision=16"],
            "error: training.precision=16: choose one of 32-true, 16-mixed, ",
        ),
        (["hardware.accelerator=abacus"], "error: hardware.accelerator=abacus: choose one of auto, cpu, gpu"),
        (["hardware.accelerator=tpu"], "error: hardware.accelerator=tpu, hardware.devices=1 or"),
        (
            ["loss.cross_entropy.class_weights=[1,2]"],
            "error: loss.cross_entropy.class_weights has 2 weights, dataset=shapes has 8",
        ),
        (["dataset=camvid", "data_dir=nowhere"], "nowhere. Set data_dir to the folder with the data, or get it: git"),
        (["dataset=voc"], "/data/VOCdevkit/VOC2012"),
        (["dataset.val_split=exam"], "error: shapes has no split 'exam': choose one of train, val, test"),
        (["dataset.sise=[1,2]"], "error: dataset.sise: no such key; did you mean dataset.size=[1,2]?\n"),
        (["ckpt_path=last"], "error: ckpt_path=last: runs/shapes-mit_b0-scaseg-sca-s0-"),
    ],
)
def test_what_was_asked_wrongly_is_named(overrides: list[str], message: str, cli: Cli, tmp_path: Path) -> None:
    groups = {option.split("=")[0] for option in overrides} & {"dataset", "backbone"}  # another has other keys
    tiny = [option for option in TINY if option.split(".")[0] not in groups]
    status, out, err = cli("train", *tiny, *overrides)
    assert message in err
    assert err.count("error") == 1
    assert status == 2
    assert out == ""
    assert not list(tmp_path.glob("runs/*"))


def test_unknown_backbone_is_told_which_there_are(cli: Cli) -> None:
    _, _, err = cli("train", "backbone=mit_b9")
    assert all(path.stem in err for path in (ROOT / "conf/backbone").glob("*.yaml"))


def wrong_id(root: Path) -> str:
    cv2.imwrite(str(root / "trainannot/b.png"), np.full((40, 64), 77, np.uint8))
    return f"error: {root}/trainannot/b.png: the mask holds id 77, which this dataset does not have"


def wrong_id_in_val(root: Path) -> str:
    cv2.imwrite(str(root / "valannot/e.png"), np.full((40, 64), 12, np.uint8))
    return f"error: {root}/valannot/e.png: the mask holds id 12, which this dataset does not have"


def wrong_size(root: Path) -> str:
    cv2.imwrite(str(root / "trainannot/b.png"), np.zeros((40, 60), np.uint8))
    return f"error: Image and mask differ in size: {root}/train/b.jpg is 64x40, {root}/trainannot/b.png is 60x40"


def truncated(root: Path) -> str:
    file = root / "train/c.jpg"
    file.write_bytes(file.read_bytes()[:-100])
    return f"error: {file}: damaged or cut short"


def colours_as_mask(root: Path) -> str:
    cv2.imwrite(str(root / "trainannot/d.png"), np.zeros((40, 64, 3), np.uint8))
    return f"error: {root}/trainannot/d.png is an RGB PNG"


def empty_split(root: Path) -> str:
    for file in (*(root / "val").iterdir(), *(root / "valannot").iterdir()):
        file.unlink()
    return "error: The val split of CamVid in camvid is empty"


def no_partner(root: Path) -> str:
    (root / "trainannot/a.png").unlink()
    return "split train: no mask for a."


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("spoil", [wrong_id, wrong_size])
def test_fault_in_the_data_is_named_with_its_file(
    spoil: Callable[[Path], str], workers: int, cli: Cli, tmp_path: Path
) -> None:
    spoiled_data_is_named(spoil, workers, cli, tmp_path)


@pytest.mark.parametrize("spoil", [truncated, colours_as_mask, empty_split, no_partner])
def test_faults_in_the_data_are_named_with_their_file(spoil: Callable[[Path], str], cli: Cli, tmp_path: Path) -> None:
    spoiled_data_is_named(spoil, 0, cli, tmp_path)


def spoiled_data_is_named(spoil: Callable[[Path], str], workers: int, cli: Cli, tmp_path: Path) -> None:
    camvid(tmp_path / "camvid")
    message = spoil(Path("camvid"))
    status, out, err = cli("train", *on_camvid(Path("camvid")), f"hardware.num_workers={workers}")
    said = [line for line in err.splitlines() if line]
    assert message in said[-1]
    assert len([line for line in said if "error" in line]) == 1
    assert (status, out) == (2, "")
    assert not list((tmp_path / "runs").glob("*"))


def test_fault_found_late_keeps_what_was_learned(cli: Cli, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    camvid(tmp_path / "camvid")
    message = wrong_id_in_val(Path("camvid"))
    status, _, err = cli("train", *on_camvid(Path("camvid")), "hardware.num_workers=1")
    assert status == 2
    assert message in err.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "checkpoints/last.ckpt").exists()  # of step 3
    assert message in (folder / "log.txt").read_text()
    cv2.imwrite("camvid/valannot/e.png", np.zeros((40, 64), np.uint8))
    mend = f"ckpt_path={folder.relative_to(tmp_path) / 'checkpoints/last.ckpt'}"
    status, out, err = cli("train", *on_camvid(Path("camvid")), mend)
    assert (status, "best mIoU" in out) == (0, True)
    assert "resuming" in caplog.text and "the validation images or masks have changed since" in caplog.text
    cli("train", *on_camvid(Path("camvid")))
    said = (
        f"was cut off, and the validation images or masks have changed since: this is a new run; {mend} starts from it"
    )
    assert said in caplog.text


def test_loss_that_is_no_number_is_an_error(cli: Cli) -> None:
    status, _, err = cli("train", *TINY, "training.lr=1e12", "training.grad_clip=null", "training.warmup_steps=0")
    assert status == 2
    assert "error: the training loss is nan at step" in err
    assert "lower training.lr" in err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cfg = config(tmp_path_factory.mktemp("runs"), "training.max_steps=1", "training.val_every=1")
    run(cfg)
    return folder_of(cfg) / "checkpoints" / "last.ckpt"


def changed(checkpoint: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = torch.load(checkpoint, weights_only=True)
    change(content)
    torch.save(content, to)
    return to


def test_checkpoint_of_another_architecture_is_refused(checkpoint: Path, cli: Cli, tmp_path: Path) -> None:
    for overrides, said in (
        (["lpm=none"], "decoder: scaseg sca se 1 [4, 3, 2, 1] 16 1 conv in the checkpoint, scaseg sca none 1"),
        (["backbone.channels=[8,16,40,64]"], "its configuration looks alike"),
        (["backbone=mscan_t", "backbone.depths=[1,1,1,1]"], "backbone: mit_b0 in the checkpoint, mscan_t now"),
    ):
        status, _, err = cli("train", *TINY, f"ckpt_path={checkpoint}", *overrides)
        assert status == 2
        assert err.startswith("error: the checkpoint is of another architecture")
        assert said in err
        assert not list(tmp_path.iterdir())

    def without_module(content: dict[str, Any]) -> None:
        content["scaseg"]["config"]["decoder"]["lpm"] = "none"

    other = changed(checkpoint, tmp_path / "other.ckpt", without_module)
    status, _, err = cli("evaluate", f"ckpt={other}", "hardware.accelerator=cpu")
    assert status == 2
    assert err.startswith("error: the checkpoint is of another architecture (its configuration looks alike): 0 tensors")
    assert [path.name for path in tmp_path.iterdir()] == ["other.ckpt"]


def test_what_is_no_checkpoint_is_refused(checkpoint: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("no")
    torch.save([1, 2], tmp_path / "list.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:-1000])
    for name, message in (
        ("none.ckpt", "no such file"),
        ("text.ckpt", "not a checkpoint that can be read"),
        ("cut.ckpt", "not a checkpoint that can be read"),
        ("list.ckpt", "not written by scaseg.train"),
        ("foreign.ckpt", "not written by scaseg.train"),
        (".", "neither a run's folder (it has no checkpoints/last.ckpt) nor one that scaseg.save_pretrained wrote"),
    ):
        for module, options in (("evaluate", [f"ckpt={name}"]), ("train", [*TINY, f"ckpt_path={name}"])):
            status, _, err = cli(module, *options)
            assert status == 2
            assert err.startswith(f"error: {options[-1]}: {message}"), err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["split=exam"], "error: shapes has no split 'exam'"),
        (["protocol.mode=slide"], "error: protocol.mode=slide needs protocol.window=[h,w]"),
        (["protocol.mod=slide"], "error: protocol.mod: no such key; did you mean protocol.mode=slide?\n"),
        (["protocol.window=5"], "error: protocol.window=5: must be a list in brackets\n"),
        (["hardware.eval_batch_size=0"], "error: hardware.eval_batch_size=0 must be at least 1"),
        (["hardware.accelerator=abacus"], "error: hardware.accelerator=abacus"),
        (["protocl.mode=slide"], "error: protocl.mode: no such key; did you mean protocol.mode=slide?\n"),
    ],
)
def test_evaluation_asked_wrongly(overrides: list[str], message: str, checkpoint: Path, cli: Cli) -> None:
    before = set(checkpoint.parents[1].rglob("*"))
    status, out, err = cli("evaluate", f"ckpt={checkpoint}", *overrides)
    assert message in err
    assert status == 2
    assert out == ""
    assert set(checkpoint.parents[1].rglob("*")) == before


def test_evaluation_without_a_checkpoint_and_into_a_used_folder(checkpoint: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("evaluate") == (2, "", "error: ckpt must be given: ckpt=...\n")
    (tmp_path / "result.json").write_text("{}")
    status, _, err = cli("evaluate", f"ckpt={checkpoint}", "output=.")
    assert status == 2
    assert "error: output=. holds a result.json already: name another folder" in err


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        ("train", ["--help"], "The same command again resumes what was cut off"),
        ("evaluate", ["--help"], "Evaluate a checkpoint on a split"),
        ("train", ["backbone=mit_b9"], "error: backbone=mit_b9: no such choice"),
        ("train", ["decoder.attn=sda"], "choose one of"),
        ("train", ["training.batch_size=5", "hardware.devices=2"], "does not divide among 2 devices"),
        ("train", ["dataset=camvid", "data_dir=nowhere"], "nowhere"),
    ],
)
def test_help_and_config_errors_come_at_once_and_without_torch(
    module: str, arguments: list[str], said: str, tmp_path: Path
) -> None:
    program = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('imported torch:', 'torch' in sys.modules))\n"
        f"sys.argv = ['scaseg.{module}', *{arguments}]\n"
        f"runpy.run_module('scaseg.{module}', run_name='__main__')"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert said in done.stdout + done.stderr
    assert "imported torch: False" in done.stdout
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) == (arguments == ["--help"])
    # processor time, as the wall clock of a busy machine says little; promised: about 2 s
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5

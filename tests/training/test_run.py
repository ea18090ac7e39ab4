"""One run: what its folder holds, and that an evaluation of its checkpoints gives the figures it logged."""

import json
import math
import os
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from omegaconf import OmegaConf

from scaseg.config import compose, run_config, typed
from scaseg.data.shapes import Shapes
from scaseg.runs.asked import Asked
from scaseg.runs.earlier import read_config
from scaseg.schema import EvaluateConfig
from tests.training.tiny import QUIET, camvid, command, config, execute, folder_of, on_camvid, rows, run

pytestmark = QUIET
NAMES = Shapes.labels.names
KEYS = {
    *(
        "status",
        "run",
        "dataset",
        "backbone",
        "decoder",
        "seed",
        "config",
        "split",
        "evaluated_images_trained_on",
        "metrics",
        "protocol",
        "mIoU",
    ),
    *(
        "plain_weights",
        "pixel_accuracy",
        "mean_accuracy",
        "per_class",
        "absent",
        "best",
        "step",
        "encoder_params",
        "decoder_params",
    ),
    *("params", "git_commit", "versions", "wall_time_s", "peak_memory_mb", "device", "threads", "world_size"),
}
FIGURES = ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "step", "params", "encoder_params")


def evaluated(ckpt: Path, *overrides: str) -> dict[str, Any]:
    from scaseg.training.evaluate import evaluate

    cfg = compose("evaluate", [f"ckpt={ckpt}", "hardware.accelerator=cpu", "hardware.num_workers=0", *overrides])
    return evaluate(typed(cfg, EvaluateConfig))


class Ruin(Callback):
    """The model sees nothing but poles before the last validation."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any) -> None:
        if trainer.global_step == 8:
            pl_module.model.decoder.classifier.bias.data[7] += 100


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run whose best checkpoint is not its last."""
    cfg = config(tmp_path_factory.mktemp("runs"), "training.lr=0.03")
    return folder_of(cfg), run(cfg, Ruin())


def test_folder_holds_what_the_run_was(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "metrics.csv", "result.json", "status.json", "log.txt", "checkpoints", "pictures"),
        "counts.npz",
    }
    said = json.loads((folder / "status.json").read_text())
    assert (said["status"], said["step"], said["max_steps"], said["attempt"]) == ("done", 8, 8, 1)
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert "starting" in (folder / "log.txt").read_text()
    assert OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")) == result["config"]
    for step in (4, 8):
        picture = cv2.imread(str(folder / "pictures" / f"step_{step:06d}.png"))
        assert picture is not None
        assert picture.shape[1] >= 640
        assert picture.std() > 10


def test_metrics_have_every_column_from_the_start(done: tuple[Path, dict[str, Any]]) -> None:
    table = rows(done[0])
    assert list(table[0]) == [
        "step",
        *(f"train/{name}" for name in ("loss", "lr", "images_per_s", "data_wait")),
        *(f"val/{name}" for name in ("mIoU", "pixel_accuracy", "mean_accuracy")),
        *(f"val/IoU/{name}" for name in NAMES),
        *(f"strip/{what}/stage_{stage}" for stage in (4, 3, 2, 1) for what in ("range", "error")),
    ]
    training = [row for row in table if row["train/loss"]]
    validation = [row for row in table if row["val/mIoU"]]
    assert [int(row["step"]) for row in training] == [2, 4, 6, 8]
    assert [int(row["step"]) for row in validation] == [4, 8]
    assert all(float(row["train/loss"]) > 0 and float(row["train/images_per_s"]) > 0 for row in training)
    assert all(0 <= float(row["train/data_wait"]) <= 1 for row in training)


def test_result_has_its_keys_and_agrees_with_the_log(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    assert json.loads((folder / "result.json").read_text()) == result
    assert set(result) == KEYS
    assert result["status"] == "done"
    assert result["run"] == folder.name
    assert (result["dataset"], result["backbone"], result["decoder"]) == ("shapes", "mit_b0", "scaseg")
    assert (result["step"], result["seed"], result["split"], result["world_size"]) == (8, 0, "val", 1)
    assert result["protocol"] == result["config"]["protocol"]
    last = [row for row in rows(folder) if row["val/mIoU"]][-1]
    for name in ("mIoU", "pixel_accuracy", "mean_accuracy"):
        assert result[name] == float(last[f"val/{name}"])
        assert 0 <= result[name] <= 100
    present = [name for name in NAMES if name not in result["absent"]]
    assert result["mIoU"] == pytest.approx(math.fsum(result["per_class"][n]["iou"] for n in present) / len(present))
    assert sum(entry["pixels"] for entry in result["per_class"].values()) == 11 * 32 * 64
    assert all((result["per_class"][n]["iou"] is None) == (n in result["absent"]) for n in NAMES)
    best, _ = [float(row["val/mIoU"]) for row in rows(folder) if row["val/mIoU"]]
    assert result["best"] == {"step": 4, "mIoU": best}
    assert best > result["mIoU"]
    assert result["params"] == result["encoder_params"] + result["decoder_params"]
    assert result["versions"]["torch"] == torch.__version__
    assert result["wall_time_s"] > 0
    assert result["peak_memory_mb"] > 100


def test_evaluation_gives_the_figures_that_training_logged(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    last = evaluated(folder / "checkpoints" / "last.ckpt")
    assert {key: last[key] for key in FIGURES} == {key: result[key] for key in FIGURES}
    best = evaluated(folder / "checkpoints" / "best.ckpt")
    assert {"step": best["step"], "mIoU": best["mIoU"]} == result["best"]
    # other images, another folder
    other = evaluated(folder / "checkpoints" / "last.ckpt", "split=test")
    assert other["mIoU"] != last["mIoU"]
    outputs = sorted(path.name for path in (folder / "evaluation").iterdir())
    assert [name.split("-")[:2] for name in outputs] == [["test", "last"], ["val", "best"], ["val", "last"]]
    assert all((folder / "evaluation" / name / "result.json").exists() for name in outputs)
    assert all(list((folder / "evaluation" / name).glob("*.png")) for name in outputs)


def test_figures_on_images_that_were_trained_on_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = camvid(tmp_path / "CamVid", 3)
    result = run(
        run_config(compose("train", [*on_camvid(data), f"output_dir={tmp_path}/runs", "dataset.train_split=trainval"]))
    )
    assert result["evaluated_images_trained_on"] == 3 and "3 of 3 images of val_split=val are trained on" in caplog.text
    last = tmp_path / "runs" / result["run"] / "checkpoints" / "last.ckpt"
    assert [evaluated(last, f"split={split}")["evaluated_images_trained_on"] for split in ("val", "test")] == [3, 0]
    assert "3 of these 3 images were trained on" in caplog.text
    (data / "train").rename(tmp_path / "elsewhere")
    again = evaluated(last, "split=test", f"output={tmp_path / 'again'}")
    assert again["evaluated_images_trained_on"] is None  # nothing there to look


def test_batch_size_of_an_evaluation_changes_no_figure(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    for batch_size in (1, 3):
        cfg = f"hardware.eval_batch_size={batch_size}"
        other = evaluated(folder / "checkpoints" / "last.ckpt", cfg, f"output={folder / f'by_{batch_size}'}")
        assert other["config"]["hardware"]["eval_batch_size"] == batch_size
        # float sums may differ in the last bit with the batch: at most a pixel or two on the fence
        assert other["pixel_accuracy"] == pytest.approx(result["pixel_accuracy"], abs=100 * 2 / (11 * 32 * 64))
        assert [c["pixels"] for c in other["per_class"].values()] == [c["pixels"] for c in result["per_class"].values()]


def test_sliding_windows_are_an_evaluation_option(done: tuple[Path, dict[str, Any]]) -> None:
    ckpt = done[0] / "checkpoints" / "best.ckpt"
    windows = ["protocol.mode=slide", "protocol.stride=[32,16]"]
    whole = evaluated(ckpt)
    one = evaluated(ckpt, *windows, "protocol.window=[32,64]")
    assert one["mIoU"] == whole["mIoU"]
    several = evaluated(ckpt, *windows, "protocol.window=[32,32]")
    assert several["protocol"] == {
        "mode": "slide",
        "box": None,
        "size_divisor": 1,
        "logits_resized": "once",
        "mean_over": "truth",
        "window": [32, 32],
        "stride": [32, 16],
        "scales": [1.0],
        "flip": False,
        "key_ratio": 1,
    }
    assert several["mIoU"] != whole["mIoU"]
    assert several["config"]["protocol"] == several["protocol"]


def test_a_run_with_windows_and_averaged_weights_is_evaluated_as_it_was(tmp_path: Path) -> None:
    cfg = config(
        tmp_path,
        "training.ema_decay=0.5",
        "training.lr=0.01",
        "protocol.mode=slide",
        "protocol.window=[32,32]",
        "protocol.stride=[32,24]",
        "protocol.box=[96,48]",
    )
    result, folder = run(cfg), folder_of(cfg)
    for name, step, value in (("last", 8, result["mIoU"]), ("best", result["best"]["step"], result["best"]["mIoU"])):
        again = evaluated(folder / "checkpoints" / f"{name}.ckpt")
        assert (again["step"], again["mIoU"]) == (step, value)
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    average, trained = saved["state_dict"], saved["current_model_state"]
    assert any(not torch.equal(average[key], trained[key]) for key in average)


def test_a_finished_run_is_not_repeated(done: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, result = done
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    from scaseg.training.run import train

    assert train(Asked(read_config(result["config"]), Shapes(), Shapes())) == result
    assert "is done" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "options",
    [
        ["training.precision=bf16-mixed"],
        ["training.deterministic=true", "training.decay=no_norm_or_bias"],
        [
            *("loss=[cross_entropy,dice]", "loss.cross_entropy.ohem=true", "loss.dice.weight=0.5"),
            *("training.grad_clip=null", "pictures=0"),
        ],
        ["training.max_steps=3"],  # validates at its end, whatever val_every
    ],
    ids=" ".join,
)
def test_options_of_the_recipe(options: list[str], tmp_path: Path) -> None:
    cfg = config(tmp_path, *options)
    result = run(cfg)
    assert result["step"] == cfg.training.max_steps
    assert torch.are_deterministic_algorithms_enabled() == cfg.training.deterministic
    torch.use_deterministic_algorithms(False)
    again = evaluated(folder_of(cfg) / "checkpoints" / "last.ckpt", "hardware.eval_batch_size=4")
    assert again["per_class"] == result["per_class"]
    assert (folder_of(cfg) / "pictures").exists() == (cfg.pictures > 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler about torch
def test_compiled_run_has_the_same_checkpoint(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    short = ["training.compile=true", "training.ema_decay=0.5", "training.max_steps=2", "training.warmup_steps=0"]
    cfg = config(tmp_path, *short)
    result = run(cfg)
    saved = torch.load(folder_of(cfg) / "checkpoints" / "last.ckpt", weights_only=True)
    plain = torch.load(done[0] / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["state_dict"].keys() == plain["state_dict"].keys()
    again = evaluated(folder_of(cfg) / "checkpoints" / "last.ckpt", "hardware.eval_batch_size=4")  # not compiled
    assert again["pixel_accuracy"] == pytest.approx(result["pixel_accuracy"], abs=0.1)


@pytest.mark.slow
def test_wandb_without_an_account_asks_nothing_and_keeps_everything(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB") and k != "NETRC"}
    environment |= {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home/config")}
    arguments = command(tmp_path / "runs", "logger=wandb", "decoder.attn=sa,sca", "training.max_steps=4", "--multirun")
    done = execute(arguments, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    folders = sorted(path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert [folder.name.split("-")[3] for folder in folders] == ["sa", "sca"]
    for folder in folders:  # a run of its own for each job of a sweep
        assert json.loads((folder / "result.json").read_text())["status"] == "done"
        (offline,) = (folder / "wandb").glob("offline-run-*")
        (log,) = offline.glob("*.wandb")
        assert folder.name in log.name
        content = log.read_bytes()
        for key in (
            b"val/mIoU",
            b"val/IoU/sky",
            b"train/loss",
            b"confusion_matrix",
            b"prediction",
            b"truth",
            b"GFLOPs",
        ):
            assert key in content, key
        media = offline / "files" / "media"
        assert len(list((media / "images").glob("*.png"))) == 2
        masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in media.rglob("*.mask.png")]
        assert len(masks) == 4
        assert all(mask.shape == (32, 64) and mask.max() < 8 for mask in masks)
        (confusion,) = (json.loads(path.read_text()) for path in media.rglob("confusion_matrix*.table.json"))
        assert sum(row[2] for row in confusion["data"]) == 11 * 32 * 64
        assert {row[0] for row in confusion["data"]} == set(NAMES)

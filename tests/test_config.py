import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from scaseg.config import compose, run_config
from scaseg.data.build import num_classes
from scaseg.errors import UserError
from scaseg.evaluation.protocol import MeanOver, Mode, Resized
from scaseg.identity import NOT_IDENTITY
from scaseg.models.build import build_segmentor
from scaseg.schema import Decay, DecayBy, Training
from scaseg.typed import to_plain
from tests.conftest import ROOT

CONF = ROOT / "conf"
SHIPPED = sorted(f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml") if path.parent.name != "hydra")


def test_every_group_is_shipped() -> None:
    groups = {choice.split("=")[0] for choice in SHIPPED}
    parts = {"backbone", "decoder", "lpm", "dataset", "loss", "optimizer", "schedule", "distillation", "logger"}
    assert groups >= {*parts, "experiment", "debug"}


@pytest.mark.parametrize("choice", SHIPPED)
def test_every_shipped_file_composes_and_its_model_builds(choice: str) -> None:
    group, name = choice.split("=")
    users = ["dataset.classes=[one,two]"] if name == "folder" else []  # classes of the user's own
    users += ["teacher=FILE"] if group == "distillation" else []
    cfg = compose("train", [choice, "backbone.drop_path=0", *users])
    if "drop_path" in cfg.decoder:
        cfg.decoder.drop_path = 0.0
    if group in ("backbone", "decoder", "dataset"):
        assert cfg[group].name == (name if name != "timm" else "pvt_v2_b0")
    run = run_config(cfg)
    classes = num_classes(run.dataset, None)
    with torch.device("meta"):
        model = build_segmentor(run.backbone, run.decoder, classes)
    assert model.decoder.classifier.out_channels == classes


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["decoder.attn=xx"], "decoder.attn=xx: choose one of sa, ca, sca"),
        (["decoder.fuse=xx"], "decoder.fuse=xx: choose one of native, literal"),
        (["logger=wandb", "logger.wandb.mode=ofline"], "logger.wandb.mode=ofline: choose one of auto, online, offline"),
        (["training.max_steps=-1"], "training.max_steps=-1 must be at least 0"),
        (["training.max_steps=0"], "training.max_steps=0 evaluates a published model as it is: give weights"),
        (["training.batch_size=-4"], "training.batch_size=-4 must be at least 1"),
        (["training.warmup_steps=-1"], "training.warmup_steps=-1 must be at least 0"),
        (["training.ema_decay=1.0"], "training.ema_decay=1.0: from 0 to below 1, or null"),
        (["training.val_every=7"], "training.val_every=7 must divide training.max_steps=600"),
        (["hardware.devices=0"], "hardware.devices=0 must be at least 1"),
        (["hardware.num_workers=-1"], "hardware.num_workers=-1 must be at least 0"),
        (["hardware.threads=0"], "hardware.threads=0 must be at least 1"),
        (["hardware.devices=3"], "training.batch_size=16 is the total and does not divide among 3 devices"),
        (
            ["training.batch_size_per_device=5"],
            r"batch_size=16 .*batch_size_per_device=5 x 1 devices",
        ),
        (["training.batch_size_per_device=0"], "training.batch_size_per_device=0"),
        (["augment.crop_size=[64]"], r"augment.crop_size=\[64\]: \(height, width\), each at least 32"),
        (["augment.crop_size=[16,64]"], r"augment.crop_size=\[16, 64\]"),
        (["augment.scale=[2,1]"], r"augment.scale=\[2.0, 1.0\]: two factors, the smaller first"),
        (["seed=-1"], "seed=-1 must lie between 0 and 4294967295"),
        (["seed=4294967296"], "seed=4294967296 must lie between"),
        (["training.lr=-1"], "training.lr=-1.0 must be at least 0"),
        (["training.lr=nan"], "training.lr=nan must be at least 0"),
        (["training.weight_decay=inf"], "training.weight_decay=inf must be at least 0"),
        (["augment.flip=2"], "augment.flip=2.0 must lie between 0 and 1"),
        (["augment.hue=-1"], "augment.hue=-1.0 must lie between 0 and 180"),
        (["augment.resize_box=[512]"], r"augment.resize_box=\[512\]: \(long side, short side\)"),
        (["protocol.box=[0,1]"], r"protocol.box=\[0, 1\]: \(long side"),
        (["optimizer.adamw.betas=[0.9]"], r"optimizer.adamw.betas=\[0.9\]: two numbers"),
        (["loss.cross_entropy.class_weights=[1,-1]"], r"class_weights=\[1, -1\]: one number a class, at least 0"),
        (["loss.cross_entropy.class_weights=[0,0]"], r"class_weights=\[0, 0\]: .* not all 0"),
        (["loss.cross_entropy.class_weights=[1e39,1]"], r"class_weights=\[1e\+39, 1\]: .* below 1e\+30"),
        (["loss.cross_entropy.class_weights=[]"], r"class_weights=\[\]: one number a class"),
        (["backbone.drop_path=1.5"], "backbone.drop_path=1.5 must lie between 0 and 0.99"),
        (["protocol.mode=slide"], r"protocol.mode=slide needs protocol.window=\[h,w\] and protocol.stride"),
        (["protocol.mode=slide", "protocol.window=[64]", "protocol.stride=[32]"], "needs protocol.window"),
        (["protocol.mode=slide", "protocol.window=[64,64]", "protocol.stride=[65,1]"], r"stride=\[65, 1\] must lie"),
        (["dataset._target_=scaseg.data.none.N"], "dataset._target_=scaseg.data.none.N: no such class"),
    ],
)
def test_values_that_cannot_work_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        num_classes(run_config(compose("train", overrides)).dataset, None)


def leaves(node: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in leaves(value, f"{path}.{key}" if path else key)]
    return [(path, node)]


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case []:
            return ["x"]
        case list():
            return [*value[:-1], other(value[-1])]
        case "whole":
            return Mode.slide
        case "stage":
            return DecayBy.layer
        case "published":
            return Decay.no_norm_or_bias
        case "once":
            return Resized.twice
        case "truth":
            return MeanOver.union
        case "labelled":
            return "all"
        case str():
            return value + "x"
    return None


CHOICES = (
    "binary",
    "ca",
    "literal",
    "exact",
    "16-mixed",
    "cpu",
    "wandb",
    "offline",
    "failed",
    "offset",
    [0.5, 0.5],
    [{"a": 1}],
    [{"data_dir": "x"}],
)  # of some


def named(cfg: DictConfig) -> str:
    return run_config(cfg).name


def test_name_of_a_run_follows_from_all_that_determines_its_result_and_from_nothing_else() -> None:
    cfg = compose("train", ["protocol.window=[64,64]", "protocol.stride=[32,32]"])
    name = named(cfg)
    seen = {name}
    for path, value in leaves(to_plain(run_config(cfg))):
        if path == "teacher":  # goes with a distillation: see tests/training/test_teacher.py
            continue
        changed = other(value)
        unlike = [0.5, 3, "x", "all", "00:01:00:00", [64, 64]]
        for guess in unlike if changed is None else [changed, 0.25, ["dice"], *CHOICES]:
            try:
                copy = cfg.copy()
                OmegaConf.update(copy, path, guess)
                now = named(copy)
            except Exception:  # the schema has another type, or another range
                continue
            if path.split(".")[0] in NOT_IDENTITY:
                assert now == name, path
            else:
                assert now not in seen, path
                seen.add(now)
            break
        else:
            pytest.fail(f"no other value for {path}")
    assert len(seen) > 60


def test_name_of_a_run_is_readable_and_a_folder_name() -> None:
    parts = named(compose("train", ["backbone=mscan_t", "dataset=voc", "seed=7"])).split("-")
    assert parts[:-1] == ["voc", "mscan_t", "scaseg", "sca", "s7"]
    assert len(parts[-1]) == 8
    assert "/" not in named(compose("train", ["backbone=timm", "backbone.name='hf_hub:timm/resnet18'"]))


def test_name_of_a_run_is_the_same_in_every_process() -> None:
    program = "from scaseg.config import *; print(run_config(compose('train', ['logger=wandb', 'seed=3'])).name)"
    names = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert names == {f"{named(compose('train', ['seed=3']))}\n".encode()}


@given(st.integers(1, 128), st.none() | st.integers(1, 64), st.integers(1, 16))
def test_total_batch_is_what_the_user_set_or_an_error(total: int, per_device: int | None, world: int) -> None:
    recipe = Training(batch_size=total, batch_size_per_device=per_device)
    divides = total % (world * (per_device or 1)) == 0
    if not divides:
        with pytest.raises(UserError, match=f"training.batch_size={total} is the total"):
            recipe.accumulation(world)
        return
    batch, steps = recipe.accumulation(world)
    assert batch * steps * world == total
    assert batch == per_device if per_device else steps == 1


def test_the_wheel_works_in_another_folder(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path]
    subprocess.run(build, check=True, stdin=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    shipped = {f"scaseg/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")}
    assert shipped <= names
    assert {name.split("/")[0] for name in names} == {"scaseg", "hydra_plugins", "scaseg-0.1.0.dist-info"}
    assert {"scaseg/pages/style.css", "scaseg/pages/sort.js"} <= names
    told = subprocess.run(
        [sys.executable, "-m", "scaseg.train", "backbone=mscan_t", "--info", "searchpath"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path / "installed" / "scaseg" / "conf") in told.stdout
    listed = subprocess.run(
        [sys.executable, "-m", "scaseg.train", "--info", "plugins"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "LocalLauncher" in listed.stdout

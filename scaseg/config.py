"""A run's configuration: composed, cross-checked, and the name of its folder. Imports nothing heavy."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.errors import UserError
from scaseg.schema import EvaluateConfig, Mode, Protocol, TrainConfig

_PACKAGED = Path(__file__).with_name("conf")
CONF_DIR = str(_PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf")

CHOICES = {
    "decoder.attn": ("sa", "ca", "sca"),
    "decoder.fuse": ("native", "literal"),
    "logger.name": ("csv", "wandb"),
    "logger.mode": ("auto", "online", "offline"),
    "retry": ("none", "failed"),
}
LEAST = {
    "training.max_steps": 0,
    "training.batch_size": 1,
    "training.warmup_steps": 0,
    "training.val_every": 1,
    "training.checkpoint_every": 1,
    "training.log_every": 1,
    "hardware.devices": 1,
    "hardware.num_nodes": 1,
    "hardware.num_workers": 0,
    "hardware.threads": 1,
    "hardware.eval_batch_size": 1,
    "hardware.window_batch_size": 1,
}
NOT_IDENTITY = ("data_dir", "output_dir", "hardware", "logger", "ckpt_path", "fresh", "retry", "pictures")


def run_name(cfg: DictConfig) -> str:
    """The run folder's name: dataset, backbone, decoder, seed and a hash of all that determines the result."""
    identity = {key: value for key, value in run_config(cfg).items() if key not in NOT_IDENTITY}
    text = json.dumps(identity, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    decoder = identity["decoder"]
    names = [identity["dataset"]["name"], identity["backbone"]["name"], decoder["name"], decoder.get("attn")]
    parts = [str(name).replace("/", "_") for name in names if name] + [f"s{identity['seed']}", digest]
    return "-".join(parts)


def run_config(cfg: DictConfig) -> dict[str, Any]:
    """All that configures a run as plain dicts, Hydra's own part left out."""
    return plain(OmegaConf.masked_copy(cfg, list(TrainConfig.__dataclass_fields__)))


def plain(node: Any) -> dict[str, Any]:
    """A config node as dicts, lists and scalars, interpolations resolved and enums by name."""
    container = OmegaConf.to_container(node, resolve=True, enum_to_str=True)
    return cast("dict[str, Any]", container)


def register() -> None:
    """Make the schema known to Hydra; harmless when repeated."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig)
    evaluate = OmegaConf.structured(EvaluateConfig)
    OmegaConf.set_struct(evaluate.protocol, False)  # protocol.KEY=... and not +protocol.KEY=...
    store.store(name="evaluate_schema", node=evaluate)


register()


def compose(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The config that `python -m scaseg.<config_name> <overrides>` would see, validated."""
    inside_command = GlobalHydra.instance().is_initialized()  # then the same configs are at hand already
    with nullcontext() if inside_command else initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = hydra_compose(config_name, overrides=list(overrides))
    if config_name == "train":
        check(cfg)
    return cfg


def image_size(cfg: DictConfig | Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) a model is counted and timed at: the key's, else the box of sliding windows, else the crop.

    So 512 x 512 for ADE20K, COCO-Stuff and VOC, 1024 x 2048 for Cityscapes, as in the paper.
    """
    protocol = cfg.get("protocol") or {"mode": Mode.whole}
    if cfg.get("image_size"):
        size = list(cfg["image_size"])
    elif protocol["mode"] in (Mode.slide, Mode.slide.value) and protocol["box"]:
        size = [min(protocol["box"]), max(protocol["box"])]
    else:
        size = list(cfg["augment"]["crop_size"])
    if len(size) != 2 or min(size) < 32:
        raise UserError(f"image_size={size}: (height, width) in pixels, each at least 32")
    return size[0], size[1]


def num_classes(cfg: DictConfig) -> int:
    """K, from the dataset's label table."""
    from scaseg.data.build import labels_of

    return labels_of(plain(cfg.dataset), cfg.data_dir).num_classes


def accumulation(batch_size: int, per_device: int | None, world_size: int) -> tuple[int, int]:
    """Total batch size -> (batch size per device, accumulation steps); UserError where it does not divide."""
    if per_device is None:
        if batch_size % world_size:
            raise UserError(
                f"training.batch_size={batch_size} is the total and does not divide among {world_size} devices"
                f" (hardware.devices x num_nodes): make it a multiple of {world_size}"
            )
        return batch_size // world_size, 1
    if per_device < 1 or batch_size % (per_device * world_size):
        raise UserError(
            f"training.batch_size={batch_size} is the total and must be a multiple of"
            f" training.batch_size_per_device={per_device} x {world_size} devices = {per_device * world_size}"
        )
    return per_device, batch_size // (per_device * world_size)


def check(cfg: DictConfig) -> None:
    """Raise UserError for values that are well typed and yet can't work together."""
    for key, allowed in CHOICES.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and value not in allowed:
            raise UserError(f"{key}={value}: choose one of {', '.join(allowed)}")
    check_least(cfg)
    training, augment = cfg.training, cfg.augment
    if training.ema_decay is not None and not 0 <= training.ema_decay < 1:
        raise UserError(f"training.ema_decay={training.ema_decay}: from 0 to below 1, or null for none")
    if len(augment.crop_size) != 2 or min(augment.crop_size) < 32:
        raise UserError(f"augment.crop_size={augment.crop_size}: (height, width), each at least 32")
    if len(augment.scale) != 2 or not 0 < augment.scale[0] <= augment.scale[1]:
        raise UserError(f"augment.scale={augment.scale}: two factors, the smaller first")
    check_protocol(cfg.protocol)
    if training.max_steps == 0 and not cfg.decoder.get("weights"):
        raise UserError(
            "training.max_steps=0 evaluates a published model as it is: give decoder.weights=FILE, or steps to train"
        )
    if training.val_every < training.max_steps and training.max_steps % training.val_every:
        raise UserError(
            f"training.val_every={training.val_every} must divide training.max_steps={training.max_steps},"
            " so that the last step is evaluated"
        )
    accumulation(training.batch_size, training.batch_size_per_device, cfg.hardware.devices * cfg.hardware.num_nodes)


def check_least(cfg: DictConfig) -> None:
    """Raise UserError for a number below the least that makes sense."""
    for key, least in LEAST.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and value < least:
            raise UserError(f"{key}={value} must be at least {least}")


def merge_protocol(saved: Mapping[str, Any], changes: Any) -> dict[str, Any]:
    """A checkpoint's protocol with changes, as plain values; UserError where they do not fit."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Protocol), saved, changes)
    except OmegaConfBaseException as error:
        raise UserError(f"protocol: {error}") from error
    check_protocol(merged)
    return plain(merged)


def check_protocol(protocol: Any) -> None:
    """Raise UserError where windows are asked for and not, or wrongly, given, or scales are none."""
    if not protocol.scales or min(protocol.scales) <= 0:
        raise UserError(f"protocol.scales={protocol.scales}: at least one factor above 0; [1.0] is the image as it is")
    if protocol.mode is Mode.slide:
        if not (protocol.window and protocol.stride and len(protocol.window) == len(protocol.stride) == 2):
            raise UserError("protocol.mode=slide needs protocol.window=[h,w] and protocol.stride=[h,w]")
        if any(s > w or s < 1 for s, w in zip(protocol.stride, protocol.window, strict=True)):
            raise UserError(f"protocol.stride={protocol.stride} must lie within window={protocol.window}")

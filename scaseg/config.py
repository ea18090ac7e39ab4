"""A run's configuration: composed, cross-checked, and the name of its folder. Imports nothing heavy."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from math import inf
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.errors import UserError
from scaseg.evaluation.protocol import Mode, Protocol
from scaseg.schema import EvaluateConfig, TrainConfig

_PACKAGED = Path(__file__).with_name("conf")
CONF_DIR = str(_PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf")

CHOICES = {
    "decoder.attn": ("sa", "ca", "sca"),
    "decoder.fuse": ("native", "literal"),
    "decoder.strip": ("auto", "exact", "spline"),
    "decoder.projection": ("linear", "conv_norm"),
    "decoder.form": ("plain", "city"),
    "training.precision": (  # Lightning's, without its short forms, of which 16 could be two
        *("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"),
        *("transformer-engine", "transformer-engine-float16"),
    ),
    "hardware.accelerator": ("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "logger.name": ("csv", "wandb"),
    "logger.mode": ("auto", "online", "offline"),
    "retry": ("none", "failed"),
}
RANGES: dict[str, tuple[float, float]] = {  # least and largest value
    "seed": (0, 2**32 - 1),
    "pictures": (0, inf),
    "backbone.drop_path": (0, 0.99),
    "decoder.drop_path": (0, 0.99),
    "augment.cat_max_ratio": (0.01, 1),
    "augment.flip": (0, 1),
    "augment.hue": (0, 180),
    "protocol.size_divisor": (1, inf),
    "training.max_steps": (0, inf),
    "training.batch_size": (1, inf),
    "training.lr": (0, inf),
    "training.decoder_lr_mult": (0, inf),
    "training.weight_decay": (0, inf),
    "training.warmup_steps": (0, inf),
    "training.warmup_ratio": (0, 1),
    "training.poly_power": (0, inf),
    "training.grad_clip": (1e-12, inf),
    "training.loss.ohem_threshold": (0, 1),
    "training.loss.ohem_min_kept": (1, inf),
    "training.loss.dice": (0, inf),
    "training.val_every": (1, inf),
    "training.checkpoint_every": (1, inf),
    "training.log_every": (1, inf),
    "hardware.devices": (1, inf),
    "hardware.num_nodes": (1, inf),
    "hardware.num_workers": (0, inf),
    "hardware.threads": (1, inf),
    "hardware.eval_batch_size": (1, inf),
    "hardware.window_batch_size": (1, inf),
}
NOT_IDENTITY = ("data_dir", "output_dir", "hardware", "logger", "ckpt_path", "fresh", "retry", "pictures")


def run_name(config: Mapping[str, Any]) -> str:
    """The run folder's name: dataset, backbone, decoder, seed and a hash of all that determines the result.

    config: as of scaseg.runs.asked, with the `fingerprints` of data and weights: these count, not where the files lie.
    """
    identity = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    for key, digest in config.get("fingerprints", {}).items():
        part, _, option = key.partition(".")
        if option:
            identity[part] = {**identity[part], option: digest}
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
    check_choices(cfg)
    check_ranges(cfg)
    training, augment = cfg.training, cfg.augment
    if training.ema_decay is not None and not 0 <= training.ema_decay < 1:
        raise UserError(f"training.ema_decay={training.ema_decay}: from 0 to below 1, or null for none")
    if len(training.betas) != 2 or not all(0 <= beta < 1 for beta in training.betas):
        raise UserError(f"training.betas={training.betas}: two numbers, each from 0 to below 1")
    weights = training.loss.class_weights
    if weights is not None and (not all(0 <= weight < inf for weight in weights) or not any(weights)):
        raise UserError(
            f"training.loss.class_weights={weights}: one number a class, at least 0 and not all 0; 0 leaves a class out"
        )
    if len(augment.crop_size) != 2 or min(augment.crop_size) < 32:
        raise UserError(f"augment.crop_size={augment.crop_size}: (height, width), each at least 32")
    if len(augment.scale) != 2 or not 0 < augment.scale[0] <= augment.scale[1] < inf:
        raise UserError(f"augment.scale={augment.scale}: two factors, the smaller first")
    _check_box("augment.resize_box", augment.resize_box)
    check_protocol(cfg.protocol)
    if training.max_steps == 0 and not cfg.decoder.get("weights"):
        raise UserError(
            "training.max_steps=0 evaluates a published model as it is: give decoder.weights=FILE, or steps to train"
        )
    if training.max_steps == 0 and cfg.ckpt_path not in ("auto", None):
        raise UserError(f"ckpt_path={cfg.ckpt_path} is to train on from, and training.max_steps=0: scaseg.evaluate")
    if training.val_every < training.max_steps and training.max_steps % training.val_every:
        raise UserError(
            f"training.val_every={training.val_every} must divide training.max_steps={training.max_steps},"
            " so that the last step is evaluated"
        )
    accumulation(training.batch_size, training.batch_size_per_device, cfg.hardware.devices * cfg.hardware.num_nodes)


def check_choices(cfg: DictConfig) -> None:
    """Raise UserError for a text that is none of its key's; a decoder of the user's own has values of its own."""
    ours = str(OmegaConf.select(cfg, "decoder._target_")).startswith("scaseg.")
    for key, allowed in CHOICES.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and value not in allowed and (ours or not key.startswith("decoder.")):
            raise UserError(f"{key}={value}: choose one of {', '.join(allowed)}")


def check_ranges(cfg: DictConfig) -> None:
    """Raise UserError for a number out of its range, or that is none."""
    for key, (least, most) in RANGES.items():
        value = OmegaConf.select(cfg, key)
        if isinstance(value, int | float) and not (least <= value <= most and value < inf):
            wanted = f"must be at least {least:g}" if most == inf else f"must lie between {least:g} and {most:.15g}"
            raise UserError(f"{key}={value} {wanted}")


def _check_box(key: str, box: Sequence[int] | None) -> None:
    if box is not None and (len(box) != 2 or min(box) < 1):
        raise UserError(f"{key}={box}: (long side, short side) in pixels, or null for the image's own size")


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
    _check_box("protocol.box", protocol.box)
    if not protocol.scales or not all(0 < scale < inf for scale in protocol.scales):
        raise UserError(f"protocol.scales={protocol.scales}: at least one factor above 0; [1.0] is the image as it is")
    if protocol.mode is Mode.slide:
        if not (protocol.window and protocol.stride and len(protocol.window) == len(protocol.stride) == 2):
            raise UserError("protocol.mode=slide needs protocol.window=[h,w] and protocol.stride=[h,w]")
        if any(s > w or s < 1 for s, w in zip(protocol.stride, protocol.window, strict=True)):
            raise UserError(f"protocol.stride={protocol.stride} must lie within window={protocol.window}")

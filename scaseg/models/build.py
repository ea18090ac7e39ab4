"""From plain configuration to modules: `_target_` names the class, the other keys are its arguments."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from scaseg.errors import UserError
from scaseg.models.segmentor import MEAN, STD, Segmentor
from scaseg.named import MODELS, named_class

NOT_ARGUMENTS = ("name", "weights", "weights_sha256", "mean", "std")


def build_module(cfg: Mapping[str, Any], where: str, **extra: Any) -> nn.Module:
    """Instantiate `cfg["_target_"]`, an nn.Module of ours or one that was allowed, with the other keys and `extra`.

    Keys of NOT_ARGUMENTS and those that start with an underscore are not arguments. Raises UserError where the class
    is not allowed (see scaseg.named), is missing or refuses a value.
    """
    target = str(cfg["_target_"])
    cls = named_class(target, f"{where}._target_", MODELS, nn.Module, "an nn.Module")
    arguments = {k: v for k, v in cfg.items() if k not in NOT_ARGUMENTS and not k.startswith("_")}
    known = inspect.signature(cls).parameters
    if unknown := [key for key in arguments if key not in known]:
        raise UserError(f"{where}: {target} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    try:
        built: nn.Module = cls(**arguments, **extra)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where} ({target}): {error}") from error
    return built


def build_segmentor(cfg: Mapping[str, Any], num_classes: int) -> Segmentor:
    """Encoder and decoder from `cfg["backbone"]` and `cfg["decoder"]`, plain dicts; no weights are loaded.

    `backbone.mean` and `backbone.std` are the normalisation that its weights expect; ImageNet's where not given.
    """
    encoder = build_module(cfg["backbone"], "backbone")
    channels: tuple[int, ...] = encoder.channels  # type: ignore[assignment]
    decoder = build_module(cfg["decoder"], "decoder", in_channels=channels, num_classes=num_classes)
    mean, std = cfg["backbone"].get("mean") or MEAN, cfg["backbone"].get("std") or STD
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise UserError(
            f"backbone.mean={list(mean)} and backbone.std={list(std)}: three numbers each, on the 0..255 scale"
        )
    return Segmentor(encoder, decoder, mean, std)

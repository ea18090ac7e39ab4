"""mmsegmentation beside mmcv-lite, as a peer for benchmarks; `make peers` installs it."""

import sys
import types
import warnings
from importlib import resources
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from torch import nn


class _Extension(types.ModuleType):
    """mmcv-lite lacks the compiled operators that mmcv's modules import; none is called here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError(f"mmcv._ext.{name} is not in mmcv-lite")

        return missing


def mmseg_transforms() -> Any | None:
    """mmseg.datasets.transforms, or None where mmsegmentation is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import mmcv  # noqa: F401

            sys.modules.setdefault("mmcv._ext", _Extension("mmcv._ext"))
            from mmseg.datasets import transforms
        except ImportError:
            return None
    return transforms


def mmseg_model(config: str, classes: int) -> nn.Module | None:
    """A model of mmsegmentation in eval mode: images -> logits at its head's stride; None where it is not installed.

    config: file under the wheel's configs. Its own normalisation of images is left out.
    """
    if mmseg_transforms() is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mmengine.config import Config
        from mmengine.registry import init_default_scope
        from mmseg import models  # noqa: F401, fills the registry
        from mmseg.registry import MODELS

        init_default_scope("mmseg")
        loaded = Config.fromfile(str(resources.files("mmseg").joinpath(".mim", "configs", config))).model
        loaded.pretrained = loaded.backbone.init_cfg = None
        loaded.decode_head.num_classes = classes
        model: nn.Module = MODELS.build(loaded).eval()
    return model

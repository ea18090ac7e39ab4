"""Peers for benchmarks: mmsegmentation beside mmcv-lite, segmentation-models-pytorch; `make peers` installs them."""

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


def smp_segformer(encoder: str, classes: int) -> nn.Module | None:
    """segmentation-models-pytorch's SegFormer in eval mode: images -> logits at their size, random weights.

    None where the package is not installed, and for encoders other than mit_b0..mit_b5.
    """
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        return None
    if encoder not in smp.encoders.get_encoder_names() or not encoder.startswith("mit_b"):
        return None
    model: nn.Module = smp.Segformer(encoder, encoder_weights=None, classes=classes).eval()
    return model

"""Public implementations that the encoders are compared with; a test skips where one is not installed."""

import sys
import types
import warnings
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch
from torch import nn


class _Ext(types.ModuleType):
    """mmcv-lite has no compiled operators; none of them is needed here, and using one must fail."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> None:
            raise NotImplementedError(f"mmcv._ext.{name} is not in mmcv-lite")

        return missing


def mmseg() -> Any:
    """mmseg.models, with its backbones and decode_heads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mmcv")
        sys.modules.setdefault("mmcv._ext", _Ext("mmcv._ext"))
        return pytest.importorskip("mmseg.models")


def mmseg_backbone(name: str) -> Any:
    """A class out of mmseg.models.backbones."""
    return getattr(mmseg().backbones, name)


def transformers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers")


def randomise(model: nn.Module) -> nn.Module:
    """Move every tensor away from its initial value, so that no norm, scale or statistic hides a mistake."""
    generator = torch.Generator().manual_seed(5)

    def noise(tensor: torch.Tensor, scale: float) -> torch.Tensor:
        return scale * torch.randn(tensor.shape, generator=generator)

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_scale" in name:
                parameter.copy_(1 + noise(parameter, 0.3))
            elif parameter.ndim == 1:
                parameter.add_(noise(parameter, 0.2))
            else:
                parameter.add_(noise(parameter, 0.5 * float(parameter.std()) or 0.1))  # 0.1: of one that starts at zero
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.add_(noise(module.running_mean, 0.2))
                module.running_var.mul_(torch.exp(noise(module.running_var, 0.3)))
    return model.eval()

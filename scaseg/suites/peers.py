"""mmsegmentation beside mmcv-lite, as a peer for benchmarks; `make peers` installs it."""

import sys
import types
import warnings
from typing import Any

import scaseg.torchvision_fix  # noqa: F401


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

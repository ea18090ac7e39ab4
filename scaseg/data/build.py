"""From a dataset's configuration to its class, its labels and its images."""

import importlib
from collections.abc import Mapping
from typing import Any

from scaseg.errors import UserError

_NOT_OPTIONS = ("name", "train_split", "val_split", "query_pool")


def dataset_class(cfg: Mapping[str, Any]) -> Any:
    """The class that `dataset._target_` names; UserError where there is none."""
    module, _, attribute = str(cfg["_target_"]).rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"dataset._target_={cfg['_target_']}: no such class ({error})") from error


def build_source(cfg: Mapping[str, Any], data_dir: str | None, split: str) -> Any:
    """The dataset's images and masks of one split; UserError where they are not there or not right."""
    options = {k: v for k, v in cfg.items() if k not in _NOT_OPTIONS and not k.startswith("_")}
    try:
        return dataset_class(cfg)(data_dir=data_dir, split=split, **options)
    except TypeError as error:
        raise UserError(f"dataset={cfg['name']}: {error}") from error

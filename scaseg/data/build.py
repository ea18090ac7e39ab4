"""From a dataset's configuration to its class, its labels and its images."""

import inspect
from collections.abc import Mapping
from typing import Any

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.named import DATASETS, named_class

_NOT_OPTIONS = ("name", "train_split", "val_split", "query_pool")


def dataset_class(cfg: Mapping[str, Any]) -> Any:
    """The class that `dataset._target_` names; UserError where there is none, or it is not allowed (scaseg.named)."""
    kind = named_class(str(cfg["_target_"]), "dataset._target_", DATASETS, object, "a dataset")
    if not callable(getattr(kind, "read", None)):
        raise UserError(f"dataset._target_={cfg['_target_']} is not a dataset: it has no `read`")
    return kind


def labels_of(cfg: Mapping[str, Any], data_dir: str | None) -> LabelTable:
    """The dataset's classes; those of dataset=folder are the user's, so UserError where they are not right."""
    kind = dataset_class(cfg)
    labels: LabelTable = kind.table(data_dir, cfg) if hasattr(kind, "table") else kind.labels
    return labels


def build_source(cfg: Mapping[str, Any], data_dir: str | None, split: str) -> Any:
    """The dataset's images and masks of one split; UserError where they are not there or not right."""
    options = {k: v for k, v in cfg.items() if k not in _NOT_OPTIONS and not k.startswith("_")}
    kind = dataset_class(cfg)
    try:
        return kind(data_dir=data_dir, split=split, **options)
    except TypeError as error:
        known = [key for key in inspect.signature(kind).parameters if key not in ("data_dir", "split")]
        unknown = [key for key in options if key not in known]
        wrong = f"no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}" if unknown else error
        raise UserError(f"dataset={cfg['name']}: {wrong}") from error

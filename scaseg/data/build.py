"""From a dataset's configuration to its class, its labels and its images."""

import inspect
from typing import Any

from scaseg.data.folder import FolderDataset
from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.named import DATASETS, named_class
from scaseg.parts import DatasetPart

OF_FORM = ("channels", "dtype", "channel_names", "show_channels", "mean", "std")
OURS = ("train_split", "val_split", "query_pool", "groups", *OF_FORM)  # of the part's keys those that no class takes


def dataset_class(dataset: DatasetPart) -> Any:
    """The class that `dataset._target_` names; UserError where there is none, or it is not allowed (scaseg.named)."""
    kind = named_class(dataset.target, "dataset._target_", DATASETS, object, "a dataset")
    if not callable(getattr(kind, "read", None)):
        raise UserError(f"dataset._target_={dataset.target} is not a dataset: it has no `read`")
    return kind


def labels_of(dataset: DatasetPart, data_dir: str | None) -> LabelTable:
    """The dataset's classes; those of dataset=folder are the user's, so UserError where they are not right."""
    kind = dataset_class(dataset)
    labels: LabelTable = kind.table(data_dir, dataset.values) if hasattr(kind, "table") else kind.labels
    return labels


def num_classes(dataset: DatasetPart, data_dir: str | None) -> int:
    """K, from the dataset's label table."""
    return labels_of(dataset, data_dir).num_classes


def build_source(dataset: DatasetPart, data_dir: str | None, split: str) -> Any:
    """The dataset's images and masks of one split; UserError where they are not there or not right."""
    kind = dataset_class(dataset)
    asked = inspect.signature(kind).parameters  # a class of the user's may make pictures of the form that is asked for
    options = dataset.arguments(*(key for key in OURS if key not in OF_FORM or key not in asked))
    try:
        source = kind(data_dir=data_dir, split=split, **options)
    except TypeError as error:
        known = [key for key in inspect.signature(kind).parameters if key not in ("data_dir", "split")]
        unknown = [key for key in options if key not in known]
        wrong = f"no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}" if unknown else error
        raise UserError(f"dataset={dataset.name}: {wrong}") from error
    if isinstance(source, FolderDataset):
        source.form = dataset.form
    return source


def groups_of(dataset: DatasetPart) -> str | None:
    """`dataset.groups`, or what the dataset says of itself; None: no image depends on another."""
    own: str | None = getattr(dataset_class(dataset), "groups", None)
    return dataset.groups or own

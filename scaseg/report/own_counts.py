"""Our own counts for the rows of the paper's tables, in the paper's convention."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from scaseg.choices import CONF_DIR
from scaseg.config import compose, run_config
from scaseg.parts import Backbone, Decoder
from scaseg.report.published import Row

# dataset -> (height, width), classes (None: the row's own), query pooling of the paper's block
CITYSCAPES = ((1024, 2048), 19, 2)
OTHERS = ((512, 512), None, 1)
ANY = "voc"  # stands for every 512 x 512 dataset where the paper has no such row


@dataclass(frozen=True)
class Counted:
    """M parameters: of the model, and as published; G multiply-adds by dataset, as the paper counts.

    modules: those of ADE20K's size by a counter that sees modules alone, 0 without such a count.
    """

    params_m: float
    published_m: float
    gflops: dict[str, float]
    modules: float = 0.0


def missing_part(row: Row) -> str | None:
    """What this framework lacks to build the row's model: `backbone segman_t`; None where it can be built."""
    if row.overrides is None:
        return "not part of this framework"
    for group in ("backbone", "decoder"):
        name = row.overrides[group]
        if not (Path(CONF_DIR) / group / f"{name}.yaml").is_file():
            return f"no {group} {name} yet"
    return None


def count_row(row: Row) -> Counted:
    """Counts of a row without missing parts; a second or less, equal models are counted once."""
    from scaseg.complexity.summary import parameters, published_counts

    if row.overrides is None or row.counted_as is None:
        raise ValueError(f"row {row.row} of table {row.table} can't be built")
    backbone, decoder = _model(_overrides(row.overrides), OTHERS[2])
    params = parameters(backbone, decoder, row.counted_as["params"])
    gflops, modules = {}, 0.0
    for dataset in row.gflops or (ANY,):
        size, classes, query_pool = CITYSCAPES if dataset == "cityscapes" else OTHERS
        backbone, decoder = _model(_overrides(row.overrides), query_pool)
        counts = published_counts(backbone, decoder, classes or row.counted_as["gflops"], size)
        if counts.unknown:
            raise ValueError(f"operators without a rule: {', '.join(counts.unknown)}")
        gflops[dataset] = counts.macs_paper / 1e9
        modules = counts.macs_modules / 1e9 if dataset == "ade20k" else modules
    return Counted(params.total / 1e6, params.published / 1e6, gflops, modules)


def _overrides(made: Mapping[str, Any]) -> tuple[str, ...]:
    def text(value: Any) -> str:
        return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)

    return tuple(f"{key}={text(value)}" for key, value in made.items())


def _model(overrides: tuple[str, ...], query_pool: int) -> tuple[Backbone, Decoder]:
    """Backbone and decoder; the dataset is any, as classes, size and block are the paper's."""
    cfg = _composed(overrides)
    cfg.dataset.query_pool = query_pool
    run = run_config(cfg)
    return run.backbone, run.decoder


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return compose("train", overrides)

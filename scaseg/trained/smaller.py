"""A smaller model that was made of a trained one: where it lies, and what its checkpoint says it is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from scaseg.errors import UserError
from scaseg.files import check_writable, new_folder
from scaseg.runs.checkpoint import write_model
from scaseg.runs.folder import CHECKPOINTS, run_of
from scaseg.schema import Run
from scaseg.trained.model import TrainedModel
from scaseg.typed import Part


def place_for(output: str | None, source: Path, name: str) -> Path:
    """The new folder: `output`, else one of this name in the source's run, or beside a saved folder.

    Raises UserError where there is something already, or nothing can be written.
    """
    beside = source.parent if source.is_dir() else run_of(source)
    target = Path(output) if output else beside / name
    if target.exists():
        raise UserError(f"output={target} exists already: name a new folder")
    check_writable("output", target)
    return target


def write_smaller(target: Path, model: TrainedModel, config: Run, tensors: Mapping[str, Tensor], source: Path) -> None:
    """An ordinary checkpoint of a run of no steps, whose weights are from `source`."""
    training = replace(config.training, max_steps=0, max_epochs=None)
    config = replace(config, weights=str(source), training=training)
    with new_folder(target) as beside:
        (beside / CHECKPOINTS).mkdir()
        path, step = beside / CHECKPOINTS / "last.ckpt", model.about.get("step", 0)
        write_model(path, config, model.labels, tensors, step, model.thresholds)


def told(target: Path, model: TrainedModel, config: Run) -> str:
    """Where it was written, and what a training needs to go on from it: the options in which it is another model."""
    pairs: tuple[tuple[str, Part, Part], ...] = (
        ("backbone", model.config.backbone, config.backbone),
        ("decoder", model.config.decoder, config.decoder),
    )
    options = [
        f"{part}.{key}={_listed(value)}"
        for part, before, after in pairs
        for key, value in after.values.items()
        if value != before.option(key)
    ]
    return (
        f"written: {target}, which evaluate, predict and export take as ckpt=; to train it on: weights={target}\n"
        f"  {' '.join(options)}"
    )


def _listed(value: object) -> str:
    """As the command line takes it."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_listed, value)) + "]"
    return str(value)

"""What makes a folder of predictions one that a training takes beside true masks: see `confidence` in the options."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from scaseg.data.classes import Entry, written
from scaseg.data.image_folder import CLASSES_FILE
from scaseg.data.labels import LabelTable
from scaseg.files import write_text
from scaseg.predict.outputs import Outputs
from scaseg.trained.inputs import Input


def write_classes(folder: Path, labels: LabelTable) -> None:
    """The class table of the masks in `folder`, as dataset=folder reads it."""
    rows = [
        Entry(name, (i,), colour) for i, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True))
    ]
    write_text(folder / CLASSES_FILE, written(rows, "of the masks here, by python -m scaseg.predict"), durable=False)


def as_training_data(outputs: Outputs, inputs: Sequence[Input], confidence: float) -> Iterator[str]:
    """How much was kept of the pixels of all inputs whose masks are there, and the key by which training takes them."""
    noted = [outputs.made[str(one.name)] for one in inputs if str(one.name) in outputs.made]
    labelled, pixels = (sum(one[key] for one in noted) for key in ("labelled", "pixels"))
    if not pixels:
        return
    empty = sum(not one["labelled"] for one in noted)
    yield (
        f"kept:    {100 * labelled / pixels:.1f} % of {pixels:,} pixels, whose class has a probability of"
        f" {confidence:g} or more; the others are 255, ignored"
        + (f"; {empty} of {len(noted)} images have none" if empty else "")
    )
    roots = {one.path.absolute().parents[len(one.name.parts) - 1] for one in inputs}
    if len(roots) == len({one.is_map for one in inputs}) == 1:
        entry = f"data_dir: {_typed(outputs.folder.absolute())}, images: {_typed(roots.pop())}"
        entry += ", mask_suffix: .tif" if inputs[0].is_map else ""
        yield f"python -m scaseg.train ... {shlex.quote(f'more_data=[{{{entry}, weight: 0.5}}]')} trains on them too"


def _typed(path: Path) -> str:
    """In quotes where Hydra's grammar would read something else."""
    return str(path) if re.fullmatch(r"[\w/.-]+", str(path), re.ASCII) else json.dumps(str(path), ensure_ascii=False)

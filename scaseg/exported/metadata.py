"""What an exported file says of itself beside its graph, by name and as JSON: written and read here alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.form import Form, form_of
from scaseg.schema import SEMANTIC
from scaseg.typed import Json, from_plain, to_plain

INPUT = "images"  # the graph's one input, (batch, channels, height, width)


@dataclass(frozen=True)
class Metadata:
    """Of one exported model.

    classes: names by id; colours: [red, green, blue] of each, 0..255. form: of the images, which the graph normalises
    by mean and std. least_side: of the images in pixels. output: `logits` or `labels`. strip: how strip attention is
    computed. quantised: what the numbers of an int8 file are and why, by `weights`, `activations`, `reason`. task: of
    scaseg.tasks; thresholds: of its probabilities, the sigmoids of logits, where it has some.
    """

    classes: tuple[str, ...]
    colours: list[list[int]]
    form: Form
    mean: list[float]
    std: list[float]
    least_side: int
    output: str
    protocol: Protocol
    strip: str
    trained_on: str
    quantised: Mapping[str, str] | None = None
    task: str = SEMANTIC
    thresholds: tuple[float, ...] = ()

    def texts(self) -> dict[str, str]:
        """Every value as JSON, by the name under which files hold it."""
        form = self.form
        about: Json = {
            "classes": list(self.classes),
            "colours": self.colours,
            "input": {
                "name": INPUT,
                "layout": f"batch, {form.channels}, height, width",
                "type": "float32",
                "range": "RGB on the 0..255 scale" if form.is_rgb else f"{form.dtype} as files store them",
                "channels": form.called if not form.is_rgb else ["red", "green", "blue"],
                "dtype": form.dtype,
                "shown": list(form.shown),
                "least_side": self.least_side,
            },
            "normalisation": {"mean": self.mean, "std": self.std, "applied": "inside"},
            "output": self.output,
            "protocol": to_plain(self.protocol),
            "strip": self.strip,
            "trained_on": self.trained_on,
        }
        if self.quantised is not None:
            about["int8"] = dict(self.quantised)
        if self.task != SEMANTIC:
            about |= {"task": self.task, "thresholds": list(self.thresholds)}
        return {name: json.dumps(value) for name, value in about.items()}


def read_metadata(texts: Mapping[str, str], path: object) -> Metadata:
    """Of the texts that a file holds; UserError where they are not those of an exported model.

    path: of the file, for messages.
    """
    try:
        about = {name: json.loads(texts[name]) for name in texts if name in NAMES}
        images, normalisation = about["input"], about["normalisation"]
        rgb = images["dtype"] == "uint8" and len(images["channels"]) == 3
        form = form_of(
            {
                "channels": len(images["channels"]),
                "dtype": images["dtype"],
                "channel_names": None if rgb else images["channels"],
                "show_channels": images["shown"],
                "mean": None if rgb else normalisation["mean"],
                "std": None if rgb else normalisation["std"],
            }
        )
        found = Metadata(
            tuple(about["classes"]),
            about["colours"],
            form,
            normalisation["mean"],
            normalisation["std"],
            int(images["least_side"]),
            about["output"],
            from_plain(Protocol, about["protocol"]),
            about["strip"],
            about["trained_on"],
            about.get("int8"),
            about.get("task", SEMANTIC),
            tuple(about.get("thresholds", ())),
        )
        shape = np.shape(found.colours)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its metadata is not that of scaseg.export in this version ({type(error).__name__}: {error});"
            " export the checkpoint again"
        ) from error
    if found.output not in ("logits", "labels") or shape != (len(found.classes), 3):
        raise UserError(
            f"{path}: its metadata has {len(found.classes)} classes, colours of shape {shape}, output {found.output}"
        )
    return found


NAMES = frozenset(
    (
        *("classes", "colours", "input", "normalisation", "output", "protocol", "strip", "trained_on", "int8"),
        *("task", "thresholds"),
    )
)

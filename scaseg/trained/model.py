"""A trained model in use: its weights, classes, colours, normalisation and protocol, from one file or folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.overrides import TorchFunctionMode

from scaseg.data.labels import LabelTable, Mask
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.evaluation.inference import predict_labels, scores
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.row_bands import Rows
from scaseg.evaluation.views import batched
from scaseg.form import Form
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from scaseg.runs.checkpoint import differences
from scaseg.schema import Run
from scaseg.trained.images import Picture, as_picture
from scaseg.trained.stored import About, Stored, read_stored
from scaseg.typed import Part

WINDOWS_AT_ONCE = 4
Choice = TypeVar("Choice", bound=Part)


@dataclass
class TrainedModel:
    """What `scaseg.load` gives.

    classes: names in the order of the ids that `predict` returns; colours (K, 3) uint8, so that `colours[labels]` is
    a picture. protocol: the size and windows at which the model was evaluated, and at which it predicts. about: what
    is known of its training (dataset, step, figures), for model cards.
    """

    segmentor: Segmentor
    classes: tuple[str, ...]
    colours: npt.NDArray[np.uint8]
    protocol: Protocol
    config: Run
    about: About = field(default_factory=lambda: About())
    path: Path | None = None  # what it was loaded from; for people, and written nowhere

    def __repr__(self) -> str:
        parts = f"{self.config.backbone.name} + {self.config.decoder.name}"
        more = f", ... {self.classes[-1]}" if len(self.classes) > 3 else ""
        classes = f"{len(self.classes)} classes ({', '.join(self.classes[:3])}{more})"
        millions = sum(p.numel() for p in self.segmentor.parameters()) / 1e6
        step = f", step {self.about['step']}" if "step" in self.about else ""
        return (
            f"<TrainedModel {parts}: {classes}, {millions:.2f} M parameters, on {self.device}, from {self.path}{step}>"
        )

    @property
    def labels(self) -> LabelTable:
        """Names and colours as the drawing functions take them."""
        colours = tuple((int(r), int(g), int(b)) for r, g, b in self.colours)
        return LabelTable(self.classes, colours, {i: i for i in range(len(self.classes))})

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.segmentor.mean.device

    def to(self, device: str | torch.device) -> "TrainedModel":
        """Move it; returns itself. UserError where the device is not there."""
        try:
            self.segmentor.to(device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"device={device}: {str(error).splitlines()[0]}; `cpu` is always there") from error
        return self

    def predict(self, image: str | Path | Image.Image | npt.NDArray[Any]) -> Mask:
        """Class ids (H, W), uint8, of a file, a PIL image or an RGB array (H, W, 3) uint8, at the image's own size.

        Files and PIL images are turned upright by their EXIF orientation first. The labels are those that
        `python -m scaseg.evaluate` counts. A model of another `form` takes files and arrays (H, W, C) of that.
        Raises UserError for what is no image, or of another form.
        """
        return self.predict_batch([as_picture(image, self.form)])[0]

    def predict_batch(self, images: Sequence[Picture]) -> list[Mask]:
        """The same of several arrays (H, W, C) of one size, RGB uint8 or of the model's form, as it reads files."""
        size = images[0].shape[0], images[0].shape[1]
        return list(self._labels(batched(images, self.protocol, self.device), size).cpu().numpy())

    @property
    def form(self) -> Form:
        """Of the images that it takes."""
        return self.config.dataset.form

    def seen_size(self, size: Size, scale: float = 1.0) -> Size:
        """Size (H, W) at which the protocol shows the model an image of this size."""
        return self.protocol.seen_size(size, scale)

    @torch.inference_mode()
    def scores(
        self, image: Picture, protocol: Protocol, kept: Callable[[Tensor], Tensor] = lambda logits: logits
    ) -> Rows:
        """What decides about each pixel of one image of its form, seen as a protocol says: (1, K, H, W), by rows.

        kept: what is kept for it of the model's logits.
        """
        size = image.shape[0], image.shape[1]
        seen = batched([image], protocol, self.device)
        return scores(lambda images: kept(self.segmentor(images)), seen, size, protocol, WINDOWS_AT_ONCE)

    @torch.inference_mode()
    def _labels(self, views: list[Tensor], size: Size) -> Tensor:
        return predict_labels(self.segmentor, views, size, self.protocol, WINDOWS_AT_ONCE)


def load_model(path: Path, device: str | torch.device = "cpu") -> TrainedModel:
    """See scaseg.load."""
    stored = read_stored(path)
    segmentor = _build(stored, path)
    segmentor.eval().requires_grad_(False)
    colours = np.array(stored.colours, np.uint8).reshape(-1, 3)
    model = TrainedModel(
        segmentor, tuple(stored.classes), colours, stored.config.protocol, stored.config, stored.about, path
    )
    return model if str(device) == "cpu" else model.to(device)


def _build(stored: Stored, path: Path) -> Segmentor:
    """The module with its weights, for inference alone."""
    with NoDrawing():
        segmentor = build_segmentor(
            _for_use(stored.config.backbone),
            _for_use(stored.config.decoder),
            len(stored.classes),
            stored.config.dataset.form,
        )
    if differ := differences(segmentor.state_dict(), stored.tensors):
        raise UserError(
            f"{path}: its weights are not those of its configuration: {differ}. It was written by another version of"
            " the code or is damaged"
        )
    segmentor.load_state_dict(stored.tensors, assign=True)
    return segmentor


def _for_use(part: Choice) -> Choice:
    """Stochastic depth would cost timm's import, pretrained weights a download; neither is used."""
    unused = {"drop_path": 0.0, "pretrained": False}
    return part.changed(**{key: value for key, value in unused.items() if key in part.values})


class NoDrawing(TorchFunctionMode):
    """Within it random initialisation gives zeros: the weights are about to be replaced.

    Not building on the meta device, where drawing imports torch's compiler, a second or more.
    """

    DRAWING = frozenset((Tensor.normal_, Tensor.uniform_, Tensor.erfinv_))

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function in self.DRAWING:
            return args[0].zero_()
        return function(*args, **(kwargs or {}))

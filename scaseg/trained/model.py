"""A trained model in use: its weights, classes, colours, normalisation and protocol, from one file or folder."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from scaseg.data.labels import Mask
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.evaluation.inference import Model, scores
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.row_bands import Held, Resized, Rows, Views, best_class
from scaseg.evaluation.views import batched
from scaseg.form import Form
from scaseg.models.build import build_segmentor
from scaseg.models.layers.pooled_keys import pool_keys
from scaseg.models.segmentor import Segmentor
from scaseg.runs.checkpoint import differences
from scaseg.schema import SEMANTIC, Run
from scaseg.tasks.build import build_task
from scaseg.tasks.task import Task
from scaseg.trained.images import Picture
from scaseg.trained.predictor import Predictor
from scaseg.trained.stored import About, read_stored
from scaseg.typed import Part

WINDOWS_AT_ONCE = 4
Choice = TypeVar("Choice", bound=Part)


@dataclass
class TrainedModel(Predictor):
    """What `scaseg.load` gives of a checkpoint: the module, and what Predictor tells.

    about: what is known of its training (dataset, step, figures), for model cards.
    """

    segmentor: Segmentor
    classes: tuple[str, ...]
    colours: npt.NDArray[np.uint8]
    protocol: Protocol
    config: Run
    about: About = field(default_factory=lambda: About())
    path: Path | None = None  # what it was loaded from; for people, and written nowhere
    thresholds: tuple[float, ...] = ()

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

    def predict_batch(self, images: Sequence[Picture]) -> list[Mask]:
        """See Predictor."""
        size = images[0].shape[0], images[0].shape[1]
        return list(self._labels(self.views(images, self.protocol), size).cpu().numpy())

    def views(self, images: Sequence[Picture], protocol: Protocol) -> list[Tensor]:
        """Images of one size as a protocol shows them: a tensor (B, C, h, w) a scale, where the model is."""
        return [torch.from_numpy(view).to(self.device) for view in batched(images, protocol)]

    @property
    def form(self) -> Form:
        """Of the images that it takes."""
        return self.config.dataset.form

    @property
    def task(self) -> str:
        """See Predictor."""
        return self.config.task

    def require_best_class(self, command: str) -> None:
        """Raise UserError for a model whose labels are not the classes of the highest scores."""
        if self.task != SEMANTIC:
            raise UserError(
                f"{self.path} is of task={self.task}, and {command} judges by the best of all classes' scores: it"
                " takes models of task=semantic"
            )

    @cached_property
    def asked(self) -> Task:
        """What is asked of each pixel."""
        return build_task(self.config.task, self.classes)

    def digest(self) -> str:
        """Of the weights."""
        found = hashlib.sha256()
        for name, tensor in sorted(self.segmentor.state_dict().items()):
            found.update(name.encode())
            found.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()[:16]

    @torch.inference_mode()
    def scores(
        self, image: Picture, protocol: Protocol, kept: Callable[[Tensor], Tensor] = lambda logits: logits
    ) -> Rows:
        """What decides about each pixel of one image of its form, seen as a protocol says: (1, logits, H, W), by rows.

        kept: what is kept for it of the model's logits.
        """
        size = image.shape[0], image.shape[1]
        pool_keys(self.segmentor, protocol.key_ratio)
        seen = self.views([image], protocol)
        return self._scores(lambda images: kept(self.segmentor(images)), seen, size, protocol)

    @torch.inference_mode()
    def labels_by(self, scores: Rows) -> Tensor:
        """Labels (B, H, W) of such scores."""
        if self.confidence is not None:
            return best_class(scores, self.confidence)
        return self.asked.labels(self.asked.seen(scores), self.thresholds)

    @torch.inference_mode()
    def _labels(self, views: list[Tensor], size: Size) -> Tensor:
        pool_keys(self.segmentor, self.protocol.key_ratio)
        return self.labels_by(self._scores(self.segmentor, views, size, self.protocol))

    @torch.inference_mode()
    def labels_at(self, logits: Tensor, size: Size) -> Tensor:
        """Labels (B, *size) of one view's logits."""
        seen = Resized(Held(logits), size)
        return self.labels_by(seen if (of := self.asked.probabilities) is None else Views([(seen, False)], of))

    def _scores(self, model: Model, views: list[Tensor], size: Size, protocol: Protocol) -> Rows:
        return scores(model, views, size, protocol, WINDOWS_AT_ONCE, self.asked.probabilities)


def load_model(path: Path, device: str | torch.device = "cpu") -> TrainedModel:
    """See scaseg.load."""
    stored = read_stored(path)
    segmentor = build_trained(stored.config, stored.classes, stored.tensors, path)
    pool_keys(segmentor, stored.config.protocol.key_ratio)
    colours = np.array(stored.colours, np.uint8).reshape(-1, 3)
    model = TrainedModel(
        segmentor,
        tuple(stored.classes),
        colours,
        stored.config.protocol,
        stored.config,
        stored.about,
        path,
        stored.thresholds,
    )
    return model if str(device) == "cpu" else model.to(device)


def build_trained(config: Run, classes: Sequence[str], tensors: Mapping[str, Tensor], where: Path) -> Segmentor:
    """The module with its weights, for inference alone: in float32 after `training.precision=bf16-true` too.

    Raises UserError where the tensors are not of this configuration; where: they are from, for the message.
    """
    with NoDrawing():
        logits = build_task(config.task, classes).logits
        segmentor = build_segmentor(for_use(config.backbone), for_use(config.decoder), logits, config.dataset.form)
    if differ := differences(segmentor.state_dict(), tensors):
        raise UserError(
            f"{where}: its weights are not those of its configuration: {differ}. It was written by another version of"
            " the code or is damaged"
        )
    segmentor.load_state_dict(tensors, assign=True)
    return segmentor.float().eval().requires_grad_(False)


def for_use(part: Choice) -> Choice:
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

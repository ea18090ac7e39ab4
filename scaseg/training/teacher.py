"""A trained model that a training learns from besides its masks: its maps of the same crops, and what they cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.data.labels import LabelTable
from scaseg.distillation.term import LOGITS, MAPS, DistillationTerm
from scaseg.errors import UserError
from scaseg.models.segmentor import Segmentor
from scaseg.named import DISTILLATION, built
from scaseg.parts import DistillationPart
from scaseg.runs.folder import model_of
from scaseg.trained.model import TrainedModel, load_model


class Distillation(nn.Module):
    """sum_i weight_i term_i over the maps of student and teacher.

    The teacher is no part of the module: it is not trained, not averaged and in no checkpoint. Of the module's own are
    the projections between maps of other widths, which learn with the student and are dropped after it.
    """

    def __init__(self, parts: Mapping[str, DistillationPart], teacher: TrainedModel, student: Segmentor) -> None:
        super().__init__()
        if teacher.segmentor.in_channels != student.in_channels:
            raise UserError(
                f"the teacher takes pictures of {teacher.segmentor.in_channels} channels and the student of"
                f" {student.in_channels}: they must see the same"
            )
        self._teacher = _Untouched(teacher.segmentor)
        classes = len(teacher.classes)
        channels = {LOGITS: (classes, classes)}
        pairs = zip(_widths(student), _widths(teacher.segmentor), strict=True)
        channels |= dict(zip(MAPS[1:], pairs, strict=True))
        what = "a term of a distillation"
        self.terms = nn.ModuleDict(
            {
                name: built(
                    part, f"distillation.{name}", DISTILLATION, DistillationTerm, what, channels, without=("weight",)
                )
                for name, part in parts.items()
            }
        )
        self.weights = {name: part.weight for name, part in parts.items()}

    def forward(self, images: Tensor, logits: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Of crops (B, 3, H, W), the student's logits of them, and its encoder's four maps -> a scalar."""
        features: list[Tensor] = []
        with torch.no_grad():
            its = [self._teacher.on(images.device)(images, features), *features]  # in this order: it fills them
        own = dict(zip(MAPS, (logits, *maps), strict=True))
        needed = {name for term in self.terms.values() for name in _needs(term)}
        student = {name: own[name].float() for name in needed}
        known = {name: _resized(y.float(), own[name]) for name, y in zip(MAPS, its, strict=True) if name in needed}
        losses = [self.weights[name] * term(student, known) for name, term in self.terms.items()]
        return torch.stack(losses).sum()


class _Untouched:
    """A model without gradients in evaluation mode, which copies of what holds it share."""

    def __init__(self, model: Segmentor) -> None:
        self._model = model.eval().requires_grad_(False)

    def on(self, device: torch.device) -> Segmentor:
        return self._model if self._model.mean.device == device else self._model.to(device)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def load_teacher(given: str, labels: LabelTable) -> TrainedModel:
    """Of a run's folder, a checkpoint or a saved folder; UserError where it does not tell these classes."""
    teacher = load_model(Path(model_of(given, "teacher")))
    teacher.require_best_class("distillation")
    if teacher.classes != labels.names:
        raise UserError(
            f"teacher={given} tells {len(teacher.classes)} classes ({', '.join(teacher.classes)}) and the dataset has"
            f" {labels.num_classes} ({', '.join(labels.names)}): a teacher must tell the same in the same order"
        )
    return teacher


def _widths(model: Segmentor) -> Sequence[int]:
    widths: Sequence[int] = model.encoder.channels  # type: ignore[assignment]
    return widths


def _needs(term: nn.Module) -> Sequence[str]:
    assert isinstance(term, DistillationTerm)
    return term.needs


def _resized(y: Tensor, like: Tensor) -> Tensor:
    size = like.shape[2:]
    return y if y.shape[2:] == size else F.interpolate(y, size=size, mode="bilinear")

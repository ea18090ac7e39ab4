"""Soft labels (Hinton et al., Distilling the knowledge in a neural network, 2015), at each pixel of the logits."""

from collections.abc import Mapping

from torch import Tensor

from scaseg.distillation.term import LOGITS, Channels, DistillationTerm, divergence


def soft_label_loss(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) over classes, the mean over pixels.

    Logits (B, K, h, w) -> a scalar, at least 0. All pixels count, unlabelled ones too: of these the teacher knows more
    than the mask.
    """
    return divergence(student, teacher, temperature, 1).mean()


class SoftLabels(DistillationTerm):
    """See `soft_label_loss`."""

    def __init__(self, channels: Channels, temperature: float = 1.0) -> None:
        super().__init__(channels)
        self.temperature = temperature

    def forward(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        return soft_label_loss(student[LOGITS], teacher[LOGITS], self.temperature)

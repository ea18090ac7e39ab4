"""What a term of a distillation is: an nn.Module of one file here, and one YAML in conf/distillation."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

LOGITS = "logits"
MAPS = (LOGITS, "stage1", "stage2", "stage3", "stage4")  # the decoder's, and the encoder's four
Channels = Mapping[str, tuple[int, int]]  # of each map: the student's and the teacher's


def divergence(student: Tensor, teacher: Tensor, temperature: float, dim: int) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) over `dim`, which is gone then; at least 0.

    T^2 keeps the gradient's size where T changes (Hinton et al., 2015, section 2.1).
    """
    own, its = ((x / temperature).log_softmax(dim) for x in (student, teacher))
    return temperature**2 * (its.exp() * (its - own)).sum(dim)


class DistillationTerm(nn.Module, ABC):
    """A loss between a student's maps and its teacher's of the same crops.

    Its first argument is the channels of the maps, the others are what its YAML has, but for `weight`. `needs` names
    the maps that it compares.
    """

    needs: tuple[str, ...] = (LOGITS,)

    def __init__(self, channels: Channels) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        """Maps by name, each (B, C, h, w), float32 and of the student's size -> a scalar."""

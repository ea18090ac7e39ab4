"""What a term of a distillation is: an nn.Module of one file here, and one YAML in conf/distillation."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

LOGITS = "logits"
MAPS = (LOGITS, "stage1", "stage2", "stage3", "stage4")  # the decoder's, and the encoder's four
Channels = Mapping[str, tuple[int, int]]  # of each map: the student's and the teacher's


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

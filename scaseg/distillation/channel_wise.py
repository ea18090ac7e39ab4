"""Channel-wise distillation (CWD; Shu et al., Channel-wise knowledge distillation for dense prediction, ICCV 2021)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from scaseg.distillation.term import LOGITS, MAPS, Channels, DistillationTerm, divergence


def channel_wise_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T^2 / C sum over channels of KL(softmax(teacher / T) || softmax(student / T)) over pixels, mean over images.

    Maps (B, C, h, w) -> a scalar, at least 0 (equations 4 and 5): what counts is where a channel is largest.
    """
    return divergence(student.flatten(2), teacher.flatten(2), temperature, 2).mean()


class ChannelWise(DistillationTerm):
    """See `channel_wise_loss`; the sum over `maps`, of which there are `logits` and the encoder's `stage1` to `stage4`.

    Where the student's map has other channels than the teacher's, a 1 x 1 convolution that learns with the student
    takes it to these (section 3.2). Raises ValueError for other maps.
    """

    def __init__(self, channels: Channels, maps: Sequence[str] = (LOGITS,), temperature: float = 4.0) -> None:
        super().__init__(channels)
        if not maps or any(name not in MAPS for name in maps):
            raise ValueError(f"maps={list(maps)}: one or more of {', '.join(MAPS)}")
        self.needs = tuple(maps)
        self.temperature = temperature
        unequal = {name: channels[name] for name in maps if channels[name][0] != channels[name][1]}
        self.projections = nn.ModuleDict({name: nn.Conv2d(own, its, 1) for name, (own, its) in unequal.items()})

    def forward(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([self._of(name, student[name], teacher[name]) for name in self.needs]).sum()

    def _of(self, name: str, student: Tensor, teacher: Tensor) -> Tensor:
        own = self.projections[name](student) if name in self.projections else student
        return channel_wise_loss(own.float(), teacher, self.temperature)

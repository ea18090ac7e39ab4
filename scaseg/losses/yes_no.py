"""The losses of two classes, for questions of yes and no with one logit each."""

import torch
from torch import Tensor, nn

from scaseg.losses.segmentation import SegmentationLoss


class YesNoLoss(nn.Module):
    """The mean over Q questions of a loss whose two classes, no and yes, have the logits (0, x).

    Their softmax is (1 - s, s), s the sigmoid of x: cross-entropy is binary cross-entropy, Dice that of sigmoids.
    """

    def __init__(self, loss: SegmentationLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, answers: Tensor) -> Tensor:
        return self.weighed(logits, answers)[0]

    def weighed(self, logits: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and weight, as of SegmentationLoss, of logits (B, Q, h, w) and answers (B, Q, H, W): 0, 1 or IGNORE."""
        nothing = torch.zeros_like(logits[:, :1])
        found = [
            self.loss.weighed(torch.cat([nothing, logits[:, q : q + 1]], 1), answers[:, q])
            for q in range(logits.shape[1])
        ]
        losses, weights = zip(*found, strict=True)
        return torch.stack(losses).mean(), torch.stack(weights).double().mean()

"""The Tversky loss (Salehi et al., MLMI 2017), and the focal one (Abraham & Khan, ISBI 2019), over the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.losses.term import Term

_LEAST_LOSS = 1e-7  # of a class: below it a root has no finite slope, and a chord to 0 takes its place


def tversky_loss(
    logits: Tensor, target: Tensor, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0, smooth: float = 1.0
) -> Tensor:
    """Mean over classes of (1 - TI)^(1 / gamma), TI = (TP + s) / (TP + alpha FP + beta FN + s), over labelled pixels.

    logits (B, K, H, W), target (B, H, W) int64 -> scalar. TP, FP, FN: sums of softmax probabilities, in pixels, as s,
    `smooth`; alpha weighs what is found and not there, beta what is missed, as in Salehi's Tversky index (Abraham &
    Khan have them the other way round). gamma: Abraham & Khan's, from 1, the plain loss, to 3: more weight on classes
    that are nearly right. alpha = beta = 0.5 is the Dice loss with twice the `smooth`.
    """
    labelled = (target != IGNORE_INDEX).unsqueeze(1)
    probability = logits.softmax(1) * labelled
    truth = F.one_hot(target.where(labelled.squeeze(1), 0), logits.shape[1]).permute(0, 3, 1, 2) * labelled
    found = (probability * truth).sum((0, 2, 3))
    wrong = (probability * (1 - truth)).sum((0, 2, 3))
    missed = ((1 - probability) * truth).sum((0, 2, 3))
    lost = alpha * wrong + beta * missed
    loss = lost / (found + lost + smooth)  # 1 - TI, without the difference of two numbers near 1
    power = 1 / gamma
    chord = loss * _LEAST_LOSS ** (power - 1)
    return torch.where(loss > _LEAST_LOSS, loss.clamp(min=_LEAST_LOSS) ** power, chord).mean()


class Tversky(Term):
    """See `tversky_loss`; of a batch in parts it is each part's own, for it is no mean over pixels.

    Raises ValueError where alpha and beta are both 0.
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0, smooth: float = 1.0) -> None:
        super().__init__()
        if not alpha and not beta:
            raise ValueError("alpha=0 and beta=0: no mistake would cost anything")
        self.alpha, self.beta, self.gamma, self.smooth = alpha, beta, gamma, smooth

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        loss = tversky_loss(logits, target, self.alpha, self.beta, self.gamma, self.smooth)
        return loss, (target != IGNORE_INDEX).sum()

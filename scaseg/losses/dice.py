"""The Dice loss (Milletari et al., V-Net, 3DV 2016), over classes and the batch's labelled pixels."""

import torch.nn.functional as F
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.losses.term import Term

CLASSES = ("all", "foreground")


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0, classes: str = "all") -> Tensor:
    """1 - mean over classes of (2 |P T| + s) / (|P| + |T| + s) over the batch's labelled pixels (V-Net, 2016).

    classes: over `all`, or over the `foreground`, all but the first.
    """
    if classes == "foreground" and logits.shape[1] == 1:
        raise ValueError("loss.dice.classes=foreground: of one class there is no other")
    labelled = (target != IGNORE_INDEX).unsqueeze(1)
    probability = logits.float().softmax(1) * labelled
    truth = F.one_hot(target.where(labelled.squeeze(1), 0), logits.shape[1]).permute(0, 3, 1, 2) * labelled
    overlap = (probability * truth).sum((0, 2, 3))
    size = probability.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    of_class = (2 * overlap + smooth) / (size + smooth)
    return 1 - (of_class if classes == "all" else of_class[1:]).mean()


class Dice(Term):
    """See `dice_loss`; of a batch in parts it is each part's own, for it is no mean over pixels."""

    def __init__(self, smooth: float = 1.0, classes: str = "all") -> None:
        super().__init__()
        if classes not in CLASSES:
            raise ValueError(f"classes={classes}: choose one of {', '.join(CLASSES)}")
        self.smooth, self.classes = smooth, classes

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return dice_loss(logits, target, self.smooth, self.classes), (target != IGNORE_INDEX).sum()

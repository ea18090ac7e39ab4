"""From probabilities of yes to yes and no: which of their levels were right how often, and from which on yes is best.

Figures at every threshold follow from counts of levels (scaseg.evaluation.levels), of one pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from scaseg.data.labels import IGNORE
from scaseg.evaluation.levels import EVEN, STEPS, step_of


def levels_of(probabilities: Tensor) -> Tensor:
    """Of 0..1, of any shape -> uint8."""
    return (probabilities * STEPS).clamp(max=STEPS - 1).to(torch.uint8)


def level_counts(levels: Tensor, answers: Tensor) -> Tensor:
    """(Q, 2, STEPS) int64: pixels of each of Q questions, by true answer (no, yes) and level.

    levels (B, Q, H, W) uint8; answers of that shape: 0 no, 1 yes, IGNORE counts nowhere.
    """
    questions = levels.shape[1]
    kind = torch.where(answers == IGNORE, 2, answers.to(torch.int32))  # the third kind takes what is ignored
    kind = kind + 3 * torch.arange(questions, device=levels.device, dtype=torch.int32).view(-1, 1, 1)
    bins = torch.add(levels.to(torch.int32), kind, alpha=STEPS).flatten()
    return torch.bincount(bins, minlength=questions * 3 * STEPS).view(questions, 3, STEPS)[:, :2]


def best_thresholds(counts: Tensor) -> tuple[float, ...]:
    """Of each question, by (Q, 2, STEPS), the threshold of the highest IoU of yes, which has the highest F1 too.

    Of several the one nearest to EVEN, which it is where no pixel is yes.
    """
    found = []
    for no, yes in counts.double():
        hits, wrong = (one.flip(0).cumsum(0).flip(0)[1:] for one in (yes, no))  # of the levels from k on, k = 1, ...
        iou = hits / (yes.sum() + wrong).clamp(min=1)
        even = STEPS // 2
        steps = [k for k, value in enumerate(iou.tolist(), 1) if value == iou.max()]
        found.append(min(steps, key=lambda k: (abs(k - even), k)) / STEPS if yes.sum() else EVEN)
    return tuple(found)


def tables(counts: Tensor, thresholds: Sequence[float]) -> Tensor:
    """(..., Q, 2, STEPS) -> (..., Q, 2, 2): of each question pixels by true answer and given one, no before yes."""
    given = []
    for question, threshold in enumerate(thresholds):
        one, step = counts[..., question, :, :], step_of(threshold)
        given.append(torch.stack([one[..., :step].sum(-1), one[..., step:].sum(-1)], -1))
    return torch.stack(given, -3)

"""Labels of a picture that is never in memory as a whole, nor are its logits: windows in rows, bands of labels out."""

from collections.abc import Callable, Iterator
from mmap import mmap

import numpy as np
import torch
from torch import Tensor

from scaseg.data.labels import IGNORE, Mask
from scaseg.data.regions import Regions
from scaseg.evaluation.blend import Blended, Span, spans
from scaseg.evaluation.row_bands import Rows
from scaseg.trained.model import TrainedModel
from scaseg.trained.tiling import Tiling


def label_bands(
    model: TrainedModel, regions: Regions, tiling: Tiling, window_done: Callable[[], None]
) -> Iterator[Mask]:
    """Labels (h, W) of full-width bands from top to bottom; IGNORE where the file says that there is no data.

    In memory are the logits of one row of windows, and of those before it that reach into it. Regions are asked for
    from top to bottom. Raises UserError where the file cannot be read.
    """
    down, across = spans(tiling.size[0], tiling.down), spans(tiling.size[1], tiling.across)
    protocol = tiling.seen_by(model.protocol)
    rows: list[tuple[Span, list[Rows]]] = []
    for one, until in zip(down, [*(after.start for after in down[1:]), tiling.size[0]], strict=True):
        rows = [row for row in rows if row[0].stop > one.start]
        nothing = np.zeros((one.stop - one.start, tiling.size[1]), np.bool_)
        scores = []
        for beside in across:
            picture, empty = regions.measured(one.start, one.stop, beside.start, beside.stop)
            if empty is not None:
                nothing[:, beside.start : beside.stop] = empty
            scores.append(model.scores(picture, protocol, _apart))
            window_done()
        rows.append((one, scores))
        seen = Blended(one.start, until, [span for span, _ in rows], across, [found for _, found in rows])
        labels: Mask = model.labels_by(seen)[0].cpu().numpy()
        labels[nothing[: until - one.start]] = IGNORE
        yield labels


def _apart(logits: Tensor) -> Tensor:
    """A copy in memory that is mapped for it alone, on a CPU.

    Logits stay while a row of windows is seen. Among what comes and goes with each window they would leave holes that
    fit nothing, and the process would grow by several times their size.
    """
    if logits.device.type != "cpu":
        return logits
    strides = torch.empty_like(logits, device="meta").stride()
    mapped = torch.frombuffer(mmap(-1, logits.nbytes), dtype=logits.dtype)
    return mapped.as_strided(logits.shape, strides).copy_(logits)

"""The pictures on which int8 is calibrated and compared, as the model sees them."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import torch

from scaseg.data.images import read_image, size_and_turn
from scaseg.errors import UserError
from scaseg.evaluation.views import view
from scaseg.exported.graph import least_side
from scaseg.exported.sessions import Run
from scaseg.trained.model import TrainedModel

Image = npt.NDArray[np.float32]


class Pictures(Sequence[Image]):
    """Images (1, C, H, W) float32 at the protocol's size, each read when it is asked for."""

    def __init__(self, model: TrainedModel, paths: Sequence[Path]) -> None:
        self.model, self.paths = model, paths

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Image: ...
    @overload
    def __getitem__(self, place: slice) -> "Pictures": ...
    def __getitem__(self, place: int | slice) -> "Image | Pictures":
        if isinstance(place, slice):
            return Pictures(self.model, self.paths[place])
        image = view(read_image(str(self.paths[place]), form=self.model.form), self.model.protocol)
        return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)


def large_enough(model: TrainedModel, pictures: Sequence[Path]) -> Pictures:
    """The pictures that an exported model takes, told by their headers; UserError where there is none."""
    least = least_side(model.config.decoder)
    kept = [path for path in pictures if min(model.seen_size(size_and_turn(str(path), model.form)[0])) >= least]
    if not kept:
        raise UserError(
            f"calibration: none of {len(pictures)} pictures has {least} pixels a side as the model sees it, which an"
            " exported model needs at least"
        )
    if small := [path for path in pictures if path not in kept]:
        more = f" and {len(small) - 1} more" if len(small) > 1 else ""
        print(f"left out of the calibration, with less than {least} pixels a side: {small[0]}{more}")
    return Pictures(model, kept)


def equal_labels(run: Run, output: str, pictures: Pictures) -> float:
    """Share of labels, at the size that the model sees, in which a file and PyTorch agree on real pictures."""
    shares = []
    for pixels in pictures:
        size = (pixels.shape[2], pixels.shape[3])
        with torch.inference_mode():
            ours = pictures.model.labels_at(pictures.model.segmentor(torch.from_numpy(pixels)), size)
        theirs = torch.from_numpy(np.asarray(run(pixels)))
        if output == "logits":
            theirs = pictures.model.labels_at(theirs, size)
        shares.append((theirs == ours).double().mean().item())
    return sum(shares) / len(shares)

"""What a decoder's blocks make of their maps, as pictures: Figs. 6 and 7 of the paper."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from scaseg.compare.contenders import predicted
from scaseg.data import draw
from scaseg.data.datasets import EvalItem
from scaseg.data.labels import LabelTable, Mask
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Mode
from scaseg.trained.model import TrainedModel

STAGES = ("4", "3", "2", "1")


@contextmanager
def _watched(decoder: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Stage -> the map (1, C, h, w) that went into its block and the one that came out, once the model has run."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def note(stage: str) -> Any:
        def hook(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[stage] = inputs[0], output

        return hook

    blocks = decoder.get_submodule("blocks")
    handles = [block.register_forward_hook(note(stage)) for stage, block in blocks.named_children()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def block_maps(run: TrainedModel, sample: EvalItem) -> tuple[Mask, dict[str, tuple[Tensor, Tensor]]]:
    """The prediction (H, W) for an EvalSamples item, and the maps of `_watched`, of several views the last one's.

    Raises UserError for a decoder without blocks, and for a protocol of windows, of which each has maps of its own.
    """
    if not hasattr(run.segmentor.decoder, "blocks"):
        raise UserError(f"{run.path}: decoder={run.config.decoder.name} has no blocks whose maps could be shown")
    if run.protocol.mode is not Mode.whole:
        raise UserError(f"{run.path} is evaluated by windows; maps are shown of models that see the whole image")
    with _watched(run.segmentor.decoder) as seen:
        labels, _ = predicted(run, sample)
    return labels.cpu().numpy().astype(np.uint8), seen


def heat(feature: Tensor, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(1, C, h, w) -> RGB (H, W, 3): mean magnitude over the channels, from its 1st to its 99th percentile."""
    strength = feature[0].float().abs().mean(0).cpu().numpy()
    low, high = np.percentile(strength, [1, 99])
    grey = (255 * np.clip((strength - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)
    coloured = cv2.applyColorMap(cv2.resize(grey, size[::-1], interpolation=cv2.INTER_NEAREST), cv2.COLORMAP_VIRIDIS)
    rgb: npt.NDArray[np.uint8] = cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB).astype(np.uint8)
    return rgb


def stages_sheet(run: TrainedModel, sample: EvalItem, picture: npt.NDArray[np.uint8]) -> draw.Picture:
    """Fig. 6: a column a stage, from the coarsest on; above the map before its block, below the map after it.

    sample: of EvalSamples; picture: (H, W, 3), which begins both rows.
    """
    size = picture.shape[:2]
    _, seen = block_maps(run, sample)
    stages = [stage for stage in STAGES if stage in seen]
    rows = []
    for at, name in enumerate(("before", "after")):
        drawn = [heat(seen[stage][at], (size[0], size[1])) for stage in stages]
        rows.append(titled([picture, *drawn], ["image", *(f"stage {stage}, {name} its block" for stage in stages)]))
    return np.vstack(rows)


def module_row(
    runs: tuple[TrainedModel, TrainedModel],
    names: tuple[str, str],
    samples: tuple[EvalItem, EvalItem],
    picture: npt.NDArray[np.uint8],
    truth: Mask,
    labels: LabelTable,
    stage: str,
) -> draw.Picture:
    """Fig. 7: image and truth, then of each model the map after a stage's block and its prediction."""
    size = truth.shape
    shown = [picture, draw.overlay(picture, truth, labels)]
    titles = ["image", "truth"]
    for run, name, sample in zip(runs, names, samples, strict=True):
        prediction, seen = block_maps(run, sample)
        if stage not in seen:
            raise UserError(f"stage={stage}: {run.path} has blocks for the stages {', '.join(seen)}")
        shown += [heat(seen[stage][1], (size[0], size[1])), draw.overlay(picture, prediction, labels)]
        titles += [f"{name}: stage {stage}", f"{name}: prediction"]
    return titled(shown, titles)


def titled(pictures: list[npt.NDArray[np.uint8]], titles: list[str], width: int = 320) -> draw.Picture:
    """Pictures beside each other, each `width` pixels wide, under their titles."""
    columns = []
    for picture, title in zip(pictures, titles, strict=True):
        height = round(picture.shape[0] * width / picture.shape[1])
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        head = np.full((22, width, 3), 255, np.uint8)
        draw.write(head, draw.shortened(title, width - 4, draw.LARGE), 2, 15, draw.LARGE)
        columns += [np.vstack([head, small]), np.full((22 + height, draw.MARGIN, 3), 255, np.uint8)]
    joined: draw.Picture = np.hstack(columns[:-1]).astype(np.uint8)
    return joined

"""Predictions for maps and for what is too large to be seen at once: read, seen and written in parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scaseg.data.by_pillow import MOST_PIXELS
from scaseg.data.draw import write_jpeg
from scaseg.data.georeference import georeference
from scaseg.data.labels import IGNORE, Mask
from scaseg.data.regions import Regions, opened
from scaseg.data.sizes import GRID, Size
from scaseg.errors import UserError
from scaseg.exported.model import ExportedModel
from scaseg.files import put
from scaseg.predict.label_tiff import write_labels
from scaseg.predict.options import WINDOW
from scaseg.predict.outputs import Outputs, write_mask
from scaseg.predict.overview import Overview
from scaseg.progress import ProgressLine
from scaseg.trained.inputs import Input
from scaseg.trained.predictor import Predictor
from scaseg.trained.tiling import Tiling
from scaseg.typed import Json


@dataclass(frozen=True)
class Cut:
    """Which images are seen in windows, and in which; see PredictConfig."""

    max_pixels: int = 2**25
    window: int | None = None
    overlap: int | None = None

    @property
    def asked(self) -> Json:
        """What was asked for, on which results depend; nothing where windows are those of large images alone."""
        given = {"window": self.window, "overlap": self.overlap}
        return {key: value for key, value in given.items() if value is not None}

    def tiling(self, model: Predictor, size: Size) -> Tiling | None:
        """Windows for a picture (H, W); None where it is seen as the protocol says. UserError where neither can be."""
        found = self._tiling(model, size)
        if found is not None and isinstance(model, ExportedModel):
            height, width = model.seen_size(size)
            raise UserError(
                f"{width} x {height} pixels in windows, which an exported file does not take: ckpt=RUN, whose"
                " checkpoint does, or a larger max_pixels"
            )
        return found

    def _tiling(self, model: Predictor, size: Size) -> Tiling | None:
        height, width = model.seen_size(size)
        protocol = model.protocol
        if self.window is None:
            if size[0] * size[1] > MOST_PIXELS and protocol.box is not None:
                raise UserError(
                    f"{size[1]} x {size[0]} pixels, which cannot be read whole to be seen in"
                    f" protocol.box={protocol.box}; window={WINDOW} sees it at its own size, in windows"
                )
            if height * width <= self.max_pixels:
                return None
            if protocol.box is not None:
                raise UserError(
                    f"{width} x {height} pixels at once, and max_pixels={self.max_pixels}; window={WINDOW} sees it at"
                    " its own size, in windows"
                )
        if self.window is None and protocol.windows is not None:
            window, stride = protocol.windows
            return Tiling(size, _on_grid(window), _on_grid((window[0] - stride[0], window[1] - stride[1])))
        side = self.window or WINDOW
        overlap = side // 4 // GRID * GRID if self.overlap is None else self.overlap
        return Tiling(size, (side, side), (overlap, overlap))


def predict_large(model: Predictor, one: Input, outputs: Outputs, cut: Cut, progress: ProgressLine) -> None:
    """Predict one image, band by band; results get their names when they are whole. Raises UserError."""
    path, targets = str(one.path), outputs.files(one)
    with opened(path, model.form) as found:
        try:
            tiling = cut.tiling(model, found.size) or Tiling(found.size, found.size, (0, 0), whole=True)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        if not tiling.whole:
            progress.say(f"{path}: {_announced(found, tiling, model)}")
        regions = found.from_top_to_bottom()
        overview = Overview(found.size, model.form) if "overlays" in targets else None
        empty = 0

        def labels() -> Iterator[Mask]:
            nonlocal empty
            top = 0
            with progress.within(path, tiling.count, "windows") as window_done:
                for band in _bands(model, regions, tiling, window_done):
                    empty += int((band == IGNORE).sum())
                    if overview is not None:
                        overview.add(regions, top, band)
                    top += len(band)
                    yield band

        with outputs.beside() as beside:
            parts = {kind: beside / f"{kind}{target.suffix}" for kind, target in targets.items()}
            if one.is_map and "masks" in parts:
                nodata = found.nodata is not None
                write_labels(parts["masks"], found.size, labels(), outputs.labels, georeference(path), nodata)
            else:
                bands = list(labels())
                if "masks" in parts:
                    write_mask(parts["masks"], np.concatenate(bands), outputs.labels)
            if overview is not None:
                write_jpeg(parts["overlays"], overview.picture(outputs.labels))
            for kind, part in parts.items():
                targets[kind].parent.mkdir(parents=True, exist_ok=True)
                put(part, targets[kind], durable=False)
            pixels = found.size[0] * found.size[1]
            outputs.note(one, labelled=(pixels - empty, pixels))
    if empty and found.nodata is not None:
        unsure = "" if model.confidence is None else " or unsure"
        share = 100 * empty / pixels
        progress.say(f"{path}: {share:.1f} % of it are nodata ({found.nodata:g}){unsure}, and {IGNORE} in its labels")


def _bands(model: Predictor, regions: Regions, tiling: Tiling, window_done: Callable[[], None]) -> Iterator[Mask]:
    """Labels from top to bottom; an exported file, which takes no windows, gives all of them."""
    if isinstance(model, ExportedModel):
        picture, empty = regions.measured(0, tiling.size[0], 0, tiling.size[1])
        labels = model.predict_batch([picture])[0]
        labels[slice(0, 0) if empty is None else empty] = IGNORE
        window_done()
        yield labels
        return
    from scaseg.trained.model import TrainedModel
    from scaseg.trained.windowed import label_bands

    assert isinstance(model, TrainedModel)
    yield from label_bands(model, regions, tiling, window_done)


def _announced(regions: Regions, tiling: Tiling, model: Predictor) -> str:
    (height, width), box = tiling.size, model.protocol.box
    text = f"{width} x {height} pixels in {tiling.count} windows of {tiling.window[1]} x {tiling.window[0]}"
    text += f", which share {min(tiling.overlap)} pixels or more"
    if box is not None:
        text += f"; at its own size, without protocol.box={box}"
    if regions.held:
        numbers = height * width * model.form.channels / 1e6
        text += f"; all of it, {numbers:.0f} million numbers, is in memory: of a TIFF in tiles what a window takes is"
    return text


def _on_grid(size: Size) -> Size:
    return size[0] // GRID * GRID, size[1] // GRID * GRID

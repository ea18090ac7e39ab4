"""The paper's figures from checkpoints and images of their dataset."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.compare import maps, pictures
from scaseg.compare.collect import collect
from scaseg.compare.contenders import Contender, found_in
from scaseg.compare.measures import Settings
from scaseg.compare.options import FiguresConfig
from scaseg.data import draw
from scaseg.data.datasets import EvalItem, EvalSamples
from scaseg.data.labels import Mask
from scaseg.data.source import Chosen, Source
from scaseg.errors import UserError
from scaseg.files import check_writable, output_file
from scaseg.trained.model import TrainedModel

Picture = npt.NDArray[np.uint8]


def figure(options: FiguresConfig) -> Path:
    """Draw what `options` asks for; returns the picture's path."""
    output = Path(options.output)
    if output.suffix != ".png":
        raise UserError(f"output={output}: the name must end in .png")
    check_writable("output", output)
    models, source = found_in(options)
    names = [source.name(i) for i in range(len(source))]
    wanted = [names.index(name) for name in options.images]
    drawn = {6: _stages, 7: _module, 8: _side_by_side}[options.figure](models, source, wanted, options)
    with output_file("output", output) as beside:
        beside.write_bytes(draw.png(drawn))
    return output


def _stages(models: Sequence[Contender], source: Source, wanted: list[int], options: FiguresConfig) -> Picture:
    rows = []
    for i in wanted or [0]:
        seen, picture, _ = _sample(models[0].runs[0], source, i)
        rows.append(maps.stages_sheet(models[0].runs[0], seen, picture))
    return np.vstack(rows)


def _module(models: Sequence[Contender], source: Source, wanted: list[int], options: FiguresConfig) -> Picture:
    without, with_it = (model.runs[0] for model in models[:2])
    lpms = tuple(f"lpm={run.config.decoder.option('lpm')}" for run in (without, with_it))
    rows = []
    for i in wanted or [0]:
        first, picture, truth = _sample(without, source, i)
        second, _, _ = _sample(with_it, source, i)
        stage = str(options.stage)
        names = (lpms[0], lpms[1])
        rows.append(maps.module_row((without, with_it), names, (first, second), picture, truth, source.labels, stage))
    return np.vstack(rows)


def _side_by_side(models: Sequence[Contender], source: Source, wanted: list[int], options: FiguresConfig) -> Picture:
    some: Source = Chosen(source, wanted) if wanted else source
    nothing_else = Settings((), (), (), 1)
    names = [some.name(i) for i in range(len(some))] if wanted else []
    _, shown = collect(models, some, nothing_else, options.pictures, names)
    return pictures.sheet(shown, source.labels, [model.label for model in models])


def _sample(run: TrainedModel, source: Source, i: int) -> tuple[EvalItem, Picture, Mask]:
    """The item as the model's protocol has it, the image at the truth's size (H, W, 3), and the truth."""
    image, truth = source.read(i)
    picture = draw.as_shown(image, run.form)
    if picture.shape[:2] != truth.shape:
        picture = cv2.resize(picture, truth.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)
    return EvalSamples(source, run.protocol)[i], picture, truth

"""Static int8 quantisation of an ONNX file by onnxruntime: weights a channel, activations from pictures."""

import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scaseg.data.images import read_image, size_and_turn
from scaseg.errors import UserError
from scaseg.evaluation.inference import labels_at
from scaseg.evaluation.views import view
from scaseg.export.agreement import Run
from scaseg.export.graph import least_side
from scaseg.export.onnx_file import AXES
from scaseg.progress import ProgressLine
from scaseg.trained.model import TrainedModel

# Convolutions and matrix products hold nearly all of the work; the rest stays in float32.
OPERATORS = ("Conv", "MatMul", "Gemm")
# A range up to the extremes of an activation leaves few of the 256 steps to the rest of it.
PERCENTILE = 99.9


def quantise(source: Path, target: Path, model: TrainedModel, pictures: Sequence[Path]) -> None:
    """Write `target`, the int8 form of the float32 file `source`, calibrated on pictures as the model sees them.

    Raises UserError where there is no picture or one cannot be read.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not pictures:
        raise UserError("int8 needs pictures to calibrate on: calibration=FOLDER")
    prepared = target.with_name(target.name + ".prepared")
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # advice for those who write the quantiser
    try:
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        with ProgressLine(len(pictures), "pictures calibrated") as progress, redirect_stdout(io.StringIO()):
            quantize_static(
                str(prepared),
                str(target),
                _reader(model, pictures, progress),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "MatMulConstBOnly": True,  # products of two activations are attention
                    "CalibPercentile": PERCENTILE,
                    "CalibStridedMinMax": 1,  # of every method, despite its name: one picture's activations at a time
                },
            )
    finally:
        logger.setLevel(level)
        prepared.unlink(missing_ok=True)


def large_enough(model: TrainedModel, pictures: Sequence[Path]) -> list[Path]:
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
    return kept


def equal_labels(run: Run, model: TrainedModel, output: str, pictures: Sequence[Path]) -> float:
    """Share of labels, at the size that the model sees, in which a file and PyTorch agree on real pictures."""
    shares = []
    for path in pictures:
        pixels = _seen(model, path)
        size = (pixels.shape[2], pixels.shape[3])
        with torch.inference_mode():
            ours = labels_at(model.segmentor(torch.from_numpy(pixels)), size)
        theirs = torch.from_numpy(np.asarray(run(pixels)))
        if output == "logits":
            theirs = labels_at(theirs, size)
        shares.append((theirs == ours).double().mean().item())
    return sum(shares) / len(shares)


def _seen(model: TrainedModel, path: Path) -> npt.NDArray[np.float32]:
    image = view(read_image(str(path), form=model.form), model.protocol)
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)


def _reader(model: TrainedModel, pictures: Sequence[Path], progress: ProgressLine) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: list[Path] = []

        def __len__(self) -> int:
            return len(pictures)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = list(pictures[start_index:end_index])

        def get_next(self) -> dict[str, Any] | None:
            (name,) = AXES
            if not self.left:
                return None
            progress.advance()
            return {name: _seen(model, self.left.pop(0))}

    return Reader()

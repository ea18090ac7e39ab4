"""Static int8 quantisation of an ONNX file by onnxruntime: weights a channel, activations from pictures."""

import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.errors import UserError
from scaseg.exported.metadata import INPUT
from scaseg.progress import ProgressLine

# Convolutions and matrix products hold nearly all of the work; the rest stays in float32. Bounds behind them become
# those of the 8 bits: else each takes two conversions, and steps are spent on what it cuts off.
OPERATORS = ("Conv", "MatMul", "Gemm", "Relu", "Clip")
# A range up to the extremes of an activation leaves few of the 256 steps to the rest of it.
PERCENTILE = 99.9
# Processors without VNNI add two products of 8 bits in 16, which saturates where both have all their bits
# (onnxruntime's issue 6004); those with VNNI add in 32. With weights of 7 bits two products fit.
SAFE = {
    "weights": "int8 within -64..64, a scale a channel",
    "activations": "uint8",
    "reason": "the sum of two products of 8 bits saturates in the 16 of processors without VNNI; with 7 bits it fits",
}


def quantise(
    source: Path, target: Path, pictures: Sequence[npt.NDArray[np.float32]], about: Mapping[str, str] | None = None
) -> None:
    """Write `target`, the int8 form of the float32 file `source`, calibrated on images (1, C, H, W).

    about: its metadata.
    Its labels do not depend on the processor's instruction set: see SAFE. Raises UserError where there is no picture
    or one cannot be read.
    """
    import onnx
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
                _reader(pictures, progress),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "MatMulConstBOnly": True,  # products of two activations are attention
                    "CalibPercentile": PERCENTILE,
                    "CalibStridedMinMax": 1,  # of every method, despite its name: one picture's activations at a time
                },
            )
        made = onnx.load(target)
        onnx.helper.set_model_props(made, dict(about or {}))
        onnx.save(made, target)
    finally:
        logger.setLevel(level)
        prepared.unlink(missing_ok=True)


def made_by() -> dict[str, str]:
    """What the file's metadata says of its numbers."""
    return {"by": f"onnxruntime {version('onnxruntime')}", **SAFE}


def _reader(pictures: Sequence[npt.NDArray[np.float32]], progress: ProgressLine) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = range(0)

        def __len__(self) -> int:
            return len(pictures)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = range(len(pictures))[start_index:end_index]

        def get_next(self) -> dict[str, Any] | None:
            if not self.left:
                return None
            progress.advance()
            first, self.left = self.left[0], self.left[1:]
            return {INPUT: pictures[first]}

    return Reader()

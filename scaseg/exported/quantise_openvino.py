"""int8 of an OpenVINO graph by NNCF: calibrated on pictures, and back to float where too many labels would change."""

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.errors import UserError
from scaseg.exported.graph import quiet
from scaseg.exported.openvino_file import read_graph
from scaseg.exported.quantise import SAFE
from scaseg.progress import stage

DECODER = "segmentor.decoder"
RANKED_ON = 8  # pictures, to find the operators that change most labels


def quantise_openvino(source: Path, pictures: Sequence[npt.NDArray[np.float32]], most_changed: float) -> Any:
    """The int8 form, an openvino.Model, of a float32 ONNX file, calibrated on images (1, C, H, W).

    Of the encoder alone: OpenVINO 2026.4 does not compile the decoder's products over maps with channels last, of free
    sizes, in int8. Weights have 7 bits, so that labels do not depend on the processor's instruction set.
    most_changed: the share of labels of the pictures that may differ from the float graph's; operators go back to
    float32 until they do not.
    Raises UserError where there is no picture or one cannot be read.
    """
    if not pictures:
        raise UserError("int8 needs pictures to calibrate on: calibration=FOLDER")
    os.environ.setdefault("NNCF_CI", "1")  # else it tells its makers of each use
    with quiet():
        import nncf
        import openvino
        from nncf.quantization.advanced_parameters import (
            AdvancedAccuracyRestorerParameters,
            AdvancedQuantizationParameters,
            OverflowFix,
        )
    nncf.set_log_level(logging.ERROR)
    model = read_graph(source)
    ours = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    wanted = [_labels(ours(images)[0]) for images in pictures]

    def share_kept(compiled: Any, places: Iterable[int]) -> tuple[float, list[float]]:
        shares = [float((_labels(compiled(pictures[i])[0]) == wanted[i]).mean()) for i in places]
        return sum(shares) / len(shares), shares

    places = list(range(len(pictures)))
    with stage(f"int8 by NNCF on {len(pictures)} pictures"), quiet(), redirect_stdout(StringIO()):
        return nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(places, lambda i: pictures[i]),
            nncf.Dataset(places),
            share_kept,
            max_drop=most_changed,
            subset_size=len(places),
            ignored_scope=nncf.IgnoredScope(names=_decoder(source, model), validate=False),
            advanced_quantization_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
            advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(ranking_subset_size=RANKED_ON),
        )


def made_by(most_changed: float) -> dict[str, str]:
    """What the folder's metadata says of its numbers."""
    return {
        "by": f"nncf {version('nncf')}, at most {100 * most_changed:g} % of labels changed on its pictures",
        **SAFE,
    }


def _decoder(source: Path, model: Any) -> list[str]:
    """Operators of the decoder by name, as the exporter of ONNX noted whose they are."""
    import onnx

    there = {operator.get_friendly_name() for operator in model.get_ops()}
    nodes = onnx.load(source, load_external_data=False).graph.node
    kept = (node.name for node in nodes if any(DECODER in prop.value for prop in node.metadata_props))
    return [name for name in kept if name in there]


def _labels(out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return out.argmax(1) if out.ndim == 4 else out

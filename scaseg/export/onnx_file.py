"""ONNX files: written from the graph, described by their metadata, run by onnxruntime, quantised to int8."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.export import ExportedProgram

from scaseg.errors import UserError
from scaseg.export.agreement import Run
from scaseg.export.graph import FREE, example, least_side, quiet
from scaseg.models.build import normalisation
from scaseg.trained.model import TrainedModel
from scaseg.typed import to_plain

AXES = {"images": {0: "batch", 2: "height", 3: "width"}}


def require_onnx() -> None:
    """Raise UserError where the optional packages are not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"format=onnx needs {error.name}: pip install 'scaseg[onnx]'") from error


def write_onnx(program: ExportedProgram, path: Path, output: str, about: dict[str, str], channels: int = 3) -> None:
    """Write the graph with input `images` and one output called `output`; about: the file's metadata."""
    with quiet(), _hushed():
        made = torch.onnx.export(
            program.run_decompositions({torch.ops.aten.linear.default: _flat_linear}),
            (example(channels),),
            dynamic_shapes=FREE,
            input_names=["images"],
            output_names=[output],
            dynamo=True,
            verbose=False,
        )
    assert made is not None
    model = made.model
    for name, value in about.items():
        model.metadata_props[name] = value
    model.graph.inputs[0].shape = _named(model.graph.inputs[0].shape)
    made.save(str(path), external_data=False)


def _flat_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear over maps as one Gemm with its bias; onnxruntime would add the bias to a MatMul in a pass of its own."""
    rows = x.reshape(-1, x.shape[-1])
    out = rows @ weight.t() if bias is None else torch.addmm(bias, rows, weight.t())
    return out.view(*x.shape[:-1], weight.shape[0])


def _named(shape: Any) -> Any:
    from onnx_ir import Shape

    return Shape([AXES["images"].get(i, side) for i, side in enumerate(shape)])


def metadata(model: TrainedModel, output: str, strip: str) -> dict[str, str]:
    """What a reader needs beside the graph, every value as JSON."""
    mean, std = normalisation(model.config.backbone, model.form)
    form = model.form
    about = {
        "classes": list(model.classes),
        "colours": model.colours.tolist(),
        "input": {
            "name": "images",
            "layout": f"batch, {form.channels}, height, width",
            "type": "float32",
            "range": "RGB on the 0..255 scale" if form.is_rgb else f"{form.dtype} as files store them",
            **({} if form.is_rgb else {"channels": form.called}),
            "least_side": least_side(model.config.decoder),
        },
        "normalisation": {"mean": mean, "std": std, "applied": "inside"},
        "output": output,
        "protocol": to_plain(model.protocol),
        "strip": strip,
        "trained_on": model.config.dataset.name,
    }
    return {name: json.dumps(value) for name, value in about.items()}


def onnx_runner(path: Path, threads: int | None = None) -> Run:
    """A function that runs the file on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
        out: npt.NDArray[np.generic] = session.run(None, {"images": images})[0]
        return out

    return run


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the exporters' own lines, which they print and log whatever `verbose` says."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

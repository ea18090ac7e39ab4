"""ONNX files: written from the graph, with their metadata."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from scaseg.errors import UserError
from scaseg.exported.graph import FREE, example, quiet
from scaseg.exported.metadata import INPUT

AXES = {0: "batch", 2: "height", 3: "width"}


def require_onnx(form: str = "onnx") -> None:
    """Raise UserError where the optional packages are not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        extra = "openvino" if form == "openvino" else "onnx"
        raise UserError(f"format={form} needs {error.name}: pip install 'scaseg[{extra}]'") from error


def write_onnx(program: ExportedProgram, path: Path, output: str, about: dict[str, str], channels: int = 3) -> None:
    """Write the graph with input `images` and one output called `output`; about: the file's metadata."""
    with quiet(), _hushed():
        made = torch.onnx.export(
            program.run_decompositions({torch.ops.aten.linear.default: _flat_linear}),
            (example(channels),),
            dynamic_shapes=FREE,
            input_names=[INPUT],
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

    return Shape([AXES.get(i, side) for i, side in enumerate(shape)])


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

"""Exported files run on the CPU, each by its runtime, without torch where that is not the runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.errors import UserError
from scaseg.exported.metadata import INPUT, NAMES

Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
ONNX, OPENVINO, TORCH = "onnxruntime", "openvino", "torch"
RUNTIMES = (TORCH, ONNX, OPENVINO)
XML, BIN = "model.xml", "model.bin"  # of a folder for OpenVINO
RT_INFO = "scaseg"  # where its XML holds the metadata
SIZES_COMPILED = 4  # by OpenVINO, each for itself: a graph of free sizes takes 1.4 times eager PyTorch's time


@dataclass(frozen=True)
class Session:
    """run: images (B, C, H, W) float32 -> logits (B, K, h, w) float32 or labels (B, H, W) int64, as the file has it."""

    run: Run
    texts: Mapping[str, str]  # the file's metadata
    runtime: str


def exported_file(path: Path) -> Path | None:
    """The file that a path means where it is an exported model's: of a folder for OpenVINO its XML; else None."""
    if path.is_dir():
        path = path / XML
    return path if path.suffix in BY_SUFFIX and path.is_file() else None


def open_session(file: Path, runtime: str | None, threads: int | None) -> Session:
    """runtime: None for the file's own; OpenVINO also reads ONNX. Raises UserError."""
    first, *others = BY_SUFFIX[file.suffix]
    chosen = runtime or first
    if chosen not in (first, *others):
        raise UserError(f"runtime={chosen} does not read {file}: {' or '.join((first, *others))} does")
    try:
        return _OPENED[chosen](file, threads)
    except ImportError as error:
        extra = "onnx" if chosen == ONNX else chosen
        raise UserError(f"{file} needs {error.name}: pip install 'scaseg[{extra}]'") from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # each runtime's own
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{file}: {chosen} cannot read it ({first_line})") from error


def onnx_session(file: Path, threads: int | None = None) -> Session:
    """By onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        out: npt.NDArray[Any] = session.run(None, {INPUT: images})[0]
        return out

    return Session(run, dict(session.get_modelmeta().custom_metadata_map), ONNX)


def openvino_session(file: Path, threads: int | None = None) -> Session:
    """By OpenVINO, in float32 where the CPU would by itself choose bfloat16 for it.

    The first sizes are compiled each for itself, which takes seconds and makes them fast; further ones together.
    """
    import openvino

    core = openvino.Core()
    options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(str(file))
    compiled: dict[tuple[int, ...] | None, Any] = {}

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        shape: tuple[int, ...] | None = images.shape
        if shape not in compiled and len(compiled) >= SIZES_COMPILED:
            shape = None
        if shape not in compiled:
            of_one_size = model.clone()
            if shape is not None:
                of_one_size.reshape(list(shape))
            compiled[shape] = core.compile_model(of_one_size, "CPU", options).create_infer_request()
        out: npt.NDArray[Any] = compiled[shape].infer({0: images}, share_inputs=True)[0]
        return out

    return Session(run, _texts_of(model), OPENVINO)


def _texts_of(model: Any) -> dict[str, str]:
    """The metadata; of ONNX it lies where OpenVINO's reader puts it."""
    place = RT_INFO if model.has_rt_info([RT_INFO]) else "framework"
    there = (name for name in sorted(NAMES) if model.has_rt_info([place, name]))
    return {name: model.get_rt_info([place, name]).astype(str) for name in there}


def torch_session(file: Path, threads: int | None = None) -> Session:
    """A file of torch.export, by torch. threads: torch's own, which are set for the whole process."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    texts = dict.fromkeys(NAMES, "")
    module = torch.export.load(file, extra_files=texts).module()

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        with torch.inference_mode():
            out: npt.NDArray[Any] = module(torch.from_numpy(images)).numpy()
            return out

    return Session(run, {name: text for name, text in texts.items() if text}, TORCH)


BY_SUFFIX = {".onnx": (ONNX, OPENVINO), ".xml": (OPENVINO,), ".pt2": (TORCH,)}  # the file's own runtime first
_OPENED = {ONNX: onnx_session, OPENVINO: openvino_session, TORCH: torch_session}

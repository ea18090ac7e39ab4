"""Folders for OpenVINO: made from the ONNX file, with the same metadata."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scaseg.errors import UserError
from scaseg.exported.sessions import RT_INFO, XML


def require_openvino(int8: bool = False) -> None:
    """Raise UserError where the optional packages are not installed."""
    for package in ("openvino", "nncf") if int8 else ("openvino",):
        if find_spec(package) is None:  # importing nncf takes seconds
            raise UserError(f"format=openvino needs {package}: pip install 'scaseg[openvino]'")


def read_graph(path: Path) -> Any:
    """An openvino.Model of an ONNX file or of a folder's XML."""
    import openvino

    return openvino.Core().read_model(str(path))


def write_folder(model: Any, folder: Path, about: Mapping[str, str]) -> Path:
    """Write an openvino.Model, float32 as it is, with its metadata; returns its XML."""
    import openvino

    for name, text in about.items():
        model.set_rt_info(text, [RT_INFO, name])
    openvino.save_model(model, str(folder / XML), compress_to_fp16=False)
    return folder / XML

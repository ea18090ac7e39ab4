"""From a trained model to a file for production, checked against PyTorch before it gets its name."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.export.agreement import compare, require
from scaseg.export.graph import capture, quiet
from scaseg.export.onnx_file import metadata, onnx_runner, require_onnx, write_onnx
from scaseg.export.options import ExportConfig
from scaseg.files import output_file
from scaseg.progress import stage
from scaseg.runs.folder import run_of
from scaseg.schema import Device
from scaseg.trained.device import chosen_device
from scaseg.trained.model import TrainedModel, load_model
from scaseg.trained.pretrained import save

SHOWN = 16  # pictures on which int8 is compared
SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ""}


def export(options: ExportConfig, calibration: Sequence[Path]) -> Path:
    """Export `options.ckpt`; prints how the file agrees with PyTorch, returns its path. Raises UserError."""
    chosen_device(Device("cpu", options.hardware.threads))
    sizes = [(size[0], size[1]) for size in options.sizes]
    with stage("loading the model"):
        model = load_model(Path(options.ckpt))
    target = Path(options.file) if options.file else default_target(Path(options.ckpt), options.format, options.int8)
    if target.exists() and not (options.overwrite and target.is_file()):
        raise UserError(f"file={target} exists already; name another" + (", or overwrite=true" * target.is_file()))
    if options.format == "safetensors":
        print(f"written: {save(model, target)}")
        return target
    if options.int8:
        from scaseg.export.quantise import large_enough

        calibration = large_enough(model, calibration)
    with output_file("file", target) as part:
        found = _write(model, part, options, sizes)
        if options.int8:
            found += _quantised(model, part, options, calibration)
    print(*found, sep="\n")
    print(f"written: {target} ({target.stat().st_size / 2**20:.1f} MB)")
    return target


def default_target(ckpt: Path, form: str, int8: bool) -> Path:
    """Beside the run's checkpoints folder, named after the checkpoint: NAME.onnx."""
    folder = ckpt if ckpt.is_dir() else run_of(ckpt)
    stem = "model" if ckpt.is_dir() else ckpt.stem
    return folder / "export" / (stem + ("-int8" if int8 else "") + SUFFIXES[form])


def _write(model: TrainedModel, part: Path, options: ExportConfig, sizes: Sequence[Size]) -> list[str]:
    with stage("following the model (torch.export)"):
        program = capture(model.segmentor, options.output, options.strip)
    about = metadata(model, options.output, options.strip)
    if options.format == "onnx":
        require_onnx()
        with stage("writing ONNX"):
            write_onnx(program, part, options.output, about, model.form.channels)
            run = onnx_runner(part)
    else:
        with stage("writing the graph"), quiet():
            torch.export.save(program, part, extra_files=about)
            run = _torch_runner(part)
    with stage(f"checking against PyTorch at {len(sizes)} sizes"):
        found = compare(run, model.segmentor, options.output, sizes, model.form)
    require(found, f"the {options.format} file")
    return [str(one) for one in found]


def _torch_runner(path: Path) -> Any:
    loaded = torch.export.load(path).module()

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
        with torch.inference_mode():
            out: npt.NDArray[np.generic] = loaded(torch.from_numpy(images)).numpy()
            return out

    return run


def _quantised(model: TrainedModel, part: Path, options: ExportConfig, calibration: Sequence[Path]) -> list[str]:
    """Turn the checked float32 file into int8 in place; how far it is from PyTorch is told, not judged."""
    from scaseg.export.quantise import equal_labels, quantise

    whole = part.with_name(f"float32-{part.name}")
    shutil.move(part, whole)
    try:
        quantise(whole, part, model, calibration)
    finally:
        whole.unlink()
    with stage(f"comparing labels on {len(calibration[:SHOWN])} pictures"):
        equal = equal_labels(onnx_runner(part), model, options.output, calibration[:SHOWN])
    return [f"int8: {100 * equal:.2f} % of labels equal to PyTorch's on {len(calibration[:SHOWN])} of its pictures"]

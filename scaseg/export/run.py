"""From a trained model to a file for production, checked against PyTorch before it gets its name."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.export.agreement import compare, require
from scaseg.export.options import ExportConfig
from scaseg.export.web import MODEL, PACKAGE, VERSION, runtime_files, write_page
from scaseg.exported.calibration import Pictures, equal_labels, large_enough
from scaseg.exported.graph import capture, least_side, quiet
from scaseg.exported.metadata import Metadata
from scaseg.exported.onnx_file import require_onnx, write_onnx
from scaseg.exported.sessions import Run, onnx_session, openvino_session, torch_session
from scaseg.files import new_folder, output_file
from scaseg.models.build import normalisation
from scaseg.models.layers.pooled_keys import pool_keys
from scaseg.progress import stage
from scaseg.runs.folder import run_of
from scaseg.schema import Device
from scaseg.trained.device import chosen_device
from scaseg.trained.model import TrainedModel, load_model
from scaseg.trained.pretrained import save

SHOWN = 16  # pictures on which int8 is compared
ENDS = {"onnx": ".onnx", "openvino": "-openvino", "web": "-web", "torch_export": ".pt2", "safetensors": ""}
FOLDERS = ("openvino", "web")


def export(options: ExportConfig, calibration: Sequence[Path]) -> Path:
    """Export `options.ckpt`; prints how the file agrees with PyTorch, returns its path. Raises UserError."""
    chosen_device(Device("cpu", options.hardware.threads))
    target = Path(options.file) if options.file else default_target(Path(options.ckpt), options.format, options.int8)
    if options.format == "web":
        options = replace(options, output="labels")
    _require_packages(options)
    if target.exists() and not (options.overwrite and target.is_file()):
        raise UserError(f"file={target} exists already; name another" + (", or overwrite=true" * target.is_file()))
    with stage("loading the model"):
        model = load_model(Path(options.ckpt))
    if options.key_ratio is not None:
        model.protocol = replace(model.protocol, key_ratio=options.key_ratio)
        pool_keys(model.segmentor, options.key_ratio)
    model.decide_from(options.threshold)
    if options.int8 and options.format == "openvino" and options.output == "logits" and model.thresholds:
        raise UserError(
            f"format=openvino int8=true counts the labels that it changes, and logits of task={model.task} tell none:"
            " output=labels, or format=onnx"
        )
    if options.format == "safetensors":
        print(f"written: {save(model, target)}")
        return target
    pictures = large_enough(model, calibration) if options.int8 else None
    with new_folder(target) if options.format in FOLDERS else output_file("file", target) as part:
        print(*_write(model, part, options, pictures), sep="\n")
    files = [target] if target.is_file() else [file for file in target.rglob("*") if file.is_file()]
    print(f"written: {target} ({sum(file.stat().st_size for file in files) / 2**20:.1f} MB)")
    return target


def default_target(ckpt: Path, form: str, int8: bool) -> Path:
    """Beside the run's checkpoints folder, named after the checkpoint: NAME.onnx."""
    folder = ckpt if ckpt.is_dir() else run_of(ckpt)
    stem = "model" if ckpt.is_dir() else ckpt.stem
    return folder / "export" / (stem + ("-int8" if int8 else "") + ENDS[form])


def metadata_of(model: TrainedModel, output: str, strip: str) -> Metadata:
    """What the file of a model says of itself."""
    mean, std = normalisation(model.config.backbone, model.form)
    return Metadata(
        model.classes,
        model.colours.tolist(),
        model.form,
        mean,
        std,
        least_side(model.config.decoder),
        output,
        model.protocol,
        strip,
        model.config.dataset.name,
        task=model.task,
        thresholds=model.thresholds,
    )


def _require_packages(options: ExportConfig) -> None:
    if options.format in ("onnx", "openvino", "web"):
        require_onnx(options.format)
    if options.format == "openvino":
        from scaseg.exported.openvino_file import require_openvino

        require_openvino(options.int8)


def _write(model: TrainedModel, part: Path, options: ExportConfig, pictures: Pictures | None) -> list[str]:
    """Write `part`, a file or a folder that is there; returns how it agrees with PyTorch."""
    about = metadata_of(model, options.output, options.strip)
    with stage("following the model (torch.export)"):
        program = capture(
            model.segmentor, options.output, options.strip, partial(model.asked.of_logits, thresholds=model.thresholds)
        )
    if options.format == "torch_export":
        with stage("writing the graph"), quiet():
            torch.export.save(program, part, extra_files=about.texts())
        return _checked(torch_session(part).run, model, options)
    with tempfile.TemporaryDirectory(prefix="scaseg-export-") as folder:
        whole = Path(folder, "float32.onnx")
        with stage("writing ONNX"):
            write_onnx(program, whole, options.output, about.texts(), model.form.channels)
        if options.format == "openvino":
            return _write_openvino(model, whole, part, options, pictures)
        found = _checked(onnx_session(whole).run, model, options)
        if options.format == "web":
            found += _write_page(model, part, about, options)
            part = part / MODEL
        if pictures is None:
            shutil.move(whole, part)
            return found
        from scaseg.exported.quantise import made_by, quantise

        quantise(whole, part, pictures, replace(about, quantised=made_by()).texts())
        return [*found, _compared(onnx_session(part).run, options, pictures)]


def _write_openvino(
    model: TrainedModel, whole: Path, part: Path, options: ExportConfig, pictures: Pictures | None
) -> list[str]:
    from scaseg.exported.openvino_file import read_graph, write_folder

    about = metadata_of(model, options.output, options.strip)
    xml = write_folder(read_graph(whole), part, about.texts())
    found = _checked(openvino_session(xml).run, model, options)
    if pictures is None:
        return found
    from scaseg.exported.quantise_openvino import made_by, quantise_openvino

    graph = quantise_openvino(whole, pictures, options.int8_changed)
    about = replace(about, quantised=made_by(options.int8_changed))
    return [*found, _compared(openvino_session(write_folder(graph, part, about.texts())).run, options, pictures)]


def _write_page(model: TrainedModel, part: Path, about: Metadata, options: ExportConfig) -> list[str]:
    if not model.form.is_rgb:
        raise UserError(f"format=web: browsers give RGB of 8 bits, and this model takes {model.form.in_words}")
    with stage(f"{PACKAGE} {VERSION}"):
        write_page(part, about.texts(), runtime_files(options.onnxruntime_web))
    protocol = model.protocol
    several = protocol.windows is not None or protocol.flip or len(protocol.scales) > 1
    return [f"the page shows the model whole images, not as the protocol has it ({protocol.in_words})"] * several


def _checked(run: Run, model: TrainedModel, options: ExportConfig) -> list[str]:
    sizes: list[Size] = [(size[0], size[1]) for size in options.sizes]
    with stage(f"checking against PyTorch at {len(sizes)} sizes"):
        found = compare(run, model.segmentor, options.output, sizes, model.form, model.labels_at)
    require(found, f"the {options.format} file")
    return [str(one) for one in found]


def _compared(run: Run, options: ExportConfig, pictures: Pictures) -> str:
    """How far an int8 file is from PyTorch: told, not judged."""
    shown = pictures[:SHOWN]
    with stage(f"comparing labels on {len(shown)} pictures"):
        equal = equal_labels(run, options.output, shown)
    return f"int8: {100 * equal:.2f} % of labels equal to PyTorch's on {len(shown)} of its pictures"

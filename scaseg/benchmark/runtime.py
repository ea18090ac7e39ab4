"""One model in eager PyTorch, compiled, and by the runtimes of its exported files, float and int8; SegFormer-B0 too."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor, nn

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.benchmark.train import segformer_b0
from scaseg.complexity.latency import Call, Spread, interleaved, latency
from scaseg.config import image_size
from scaseg.data.build import num_classes
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.exported.graph import capture, quiet
from scaseg.exported.onnx_file import require_onnx, write_onnx
from scaseg.exported.sessions import ONNX, OPENVINO, Run, open_session
from scaseg.models.build import build_segmentor
from scaseg.progress import stage
from scaseg.schema import Run as Asked

CPU = torch.device("cpu")
BATCH = 4  # images at once, for images/s
CALIBRATED_ON = 4  # made-up images: enough for time, not for labels
STRIP = {ONNX: "exact", OPENVINO: "exact"}  # the form in which each is fastest
FLOAT_GOAL, INT8_GOAL, PEER_GOAL = "best at most 0.75", "0.65 with VNNI, 0.85 without", "at most 0.6"


class Peer(nn.Module):
    """Transformers' SegFormer-B0 as this project's models are called: images (B, 3, H, W) -> logits."""

    in_channels = 3

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.model = segformer_b0(classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


@dataclass(frozen=True)
class Way:
    """One model by one runtime: file is what `python -m scaseg.benchmark.first_result` is given."""

    name: str
    file: Path
    size: int  # bytes
    run: Callable[[Tensor], object]


def rows(cfg: BenchmarkConfig, run: Asked) -> list[Row]:
    """Times of logits, batch 1, beside eager PyTorch's and the peer's; images/s, first result, memory, file size."""
    threads = run.hardware.threads or 1
    torch.set_num_threads(threads)
    require_onnx()
    size = image_size(run.protocol, run.augment, cfg.image_size)
    classes = num_classes(run.dataset, run.data_dir)
    torch.manual_seed(0)
    ours: nn.Module = build_segmentor(run.backbone, run.decoder, classes).eval().requires_grad_(False)
    table: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="scaseg-runtime-") as folder:
        mine = ways(ours, Path(folder, "ours"), size, threads)
        theirs = {}
        if find_spec("transformers") is not None:
            peer = Peer(classes).eval().requires_grad_(False)
            theirs = ways(peer, Path(folder, "peer"), size, threads)
        where = f"{run.backbone.name} at {size[0]} x {size[1]}, {classes} classes"
        image, batch = (torch.rand(count, 3, *size).mul_(255) for count in (1, BATCH))
        for name, way in mine.items():
            table += _rows(f"{where}, {name}", way, mine, theirs, image, batch, cfg.rounds)
            table += _first(f"{where}, {name}", way, size, threads, min(cfg.rounds, 5))
    return table


def ways(model: nn.Module, folder: Path, size: Size, threads: int) -> dict[str, Way]:
    """By name, all that is installed here. Raises UserError where torch.export cannot follow the model."""
    folder.mkdir()
    found = {}
    eager = folder / "module.pt"
    torch.save(model, eager)
    found["eager PyTorch"] = Way("eager", eager, eager.stat().st_size, torch.inference_mode()(model))
    found["torch.compile"] = Way("compile", eager, eager.stat().st_size, compiled(model))
    graph = folder / "float.onnx"
    with stage("exporting"):
        write_onnx(capture(model, "logits", STRIP[ONNX]), graph, "logits", {})  # type: ignore[arg-type]
    pictures = [torch.rand(1, 3, *size).mul_(255).numpy() for _ in range(CALIBRATED_ON)]
    from scaseg.exported.quantise import quantise

    int8 = folder / "int8.onnx"
    quantise(graph, int8, pictures)
    files = {"onnxruntime": (ONNX, graph), "onnxruntime int8": (ONNX, int8)}
    if find_spec("openvino") is not None:
        files |= _openvino(graph, folder, pictures)
    for name, (runtime, file) in files.items():
        session = open_session(file, runtime, threads)
        parts = file.parent.iterdir() if runtime == OPENVINO else (file,)
        found[name] = Way(runtime, file, sum(part.stat().st_size for part in parts), _on_tensors(session.run))
    return found


def compiled(model: nn.Module) -> Callable[[Tensor], object]:
    """By inductor, weights frozen into the code; compiled for each size at its first call."""
    import torch._inductor.config

    fast = torch.compile(model, dynamic=False)

    def run(images: Tensor) -> object:
        with torch.no_grad(), quiet(), torch._inductor.config.patch(freezing=True):
            return fast(images)

    return run


def _openvino(graph: Path, folder: Path, pictures: list[Any]) -> dict[str, tuple[str, Path]]:
    from scaseg.exported.openvino_file import read_graph, write_folder

    (folder / "openvino").mkdir()
    files = {"OpenVINO": (OPENVINO, write_folder(read_graph(graph), folder / "openvino", {}))}
    if find_spec("nncf") is not None:
        from scaseg.exported.quantise_openvino import quantise_openvino

        (folder / "openvino-int8").mkdir()
        smaller = quantise_openvino(graph, pictures, most_changed=1.0)
        files["OpenVINO int8"] = (OPENVINO, write_folder(smaller, folder / "openvino-int8", {}))
    return files


def _on_tensors(run: Run) -> Callable[[Tensor], object]:
    return lambda images: run(images.numpy())


def _rows(
    what: str, way: Way, mine: dict[str, Way], theirs: dict[str, Way], image: Tensor, batch: Tensor, rounds: int
) -> list[Row]:
    name = next(key for key, one in mine.items() if one is way)
    eager = mine["eager PyTorch"]
    table = []

    def pair(a: Way, b: Way) -> Any:
        return interleaved(_call(a, image), _call(b, image), CPU, 2, rounds)

    if way is eager:
        table.append(Row(f"{what}: latency", "s", latency(_call(way, image), CPU, 2, rounds)))
    else:
        against = pair(way, eager)
        goal = FLOAT_GOAL if "int8" not in name else ""
        table += [Row(f"{what}: latency / eager's", "x", against.ratio, goal), Row(f"{what}: latency", "s", against.a)]
    if (whole := mine.get(name.removesuffix(" int8"))) is not None and whole is not way:
        table.append(Row(f"{what}: latency / float's", "x", pair(way, whole).ratio, INT8_GOAL))
    if name in theirs:
        against = pair(way, theirs[name])
        table.append(Row(f"{what}: latency / SegFormer-B0's in the same runtime", "x", against.ratio, PEER_GOAL))
    taken = latency(_call(way, batch), CPU, 1, rounds)
    rate = Spread(BATCH / taken.median, BATCH / taken.upper, BATCH / taken.lower, taken.rounds)
    table += [Row(f"{what}: throughput, {BATCH} at once", "images/s", rate)]
    table.append(Row(f"{what}: file", "MB", Spread.of([way.size / 2**20])))
    return table


def _call(way: Way, images: Tensor) -> Call:
    return lambda: way.run(images)


def _first(what: str, way: Way, size: Size, threads: int, rounds: int) -> list[Row]:
    """Of fresh processes: seconds from their start to the first result, and the most memory that they held."""
    command = [sys.executable, "-m", "scaseg.benchmark.first_result", way.name, str(way.file)]
    told = []
    for _ in range(rounds):
        done = subprocess.run([*command, *map(str, (*size, threads))], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"suite=runtime: {way.name} fails in a process of its own: {done.stderr.strip()[-500:]}")
        told.append(json.loads(done.stdout.splitlines()[-1]))
    return [
        Row(f"{what}: first result", "s", Spread.of([one["seconds"] for one in told])),
        Row(f"{what}: most memory", "MiB", Spread.of([one["mebibytes"] for one in told])),
    ]

"""What one model costs: parameters, multiply-adds, memory and, where asked for, time; and these as tables."""

from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity import summary
from scaseg.complexity.latency import latency
from scaseg.complexity.memory import peak_memory
from scaseg.config import image_size
from scaseg.data.build import num_classes
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from scaseg.progress import stage
from scaseg.schema import Run
from scaseg.trained.device import chosen_device
from scaseg.typed import Json


def benchmark(cfg: BenchmarkConfig, run: Run) -> Json:
    """Everything that was asked for, as plain values; multiply-adds and parameters are numbers, not millions.

    `macs` is of the model as configured; `macs_paper` is of the published form (fuse and strip attention
    written out) by the paper's counter.
    """
    size = image_size(run.protocol, run.augment, cfg.image_size)
    classes = num_classes(run.dataset, run.data_dir)
    backbone, decoder, form = run.backbone, run.decoder, run.dataset.form.unscaled
    with stage("counting parameters and multiply-adds"):
        parameters = summary.parameters(backbone, decoder, classes, form.channels)
        counts = summary.counts(backbone, decoder, classes, size, form.channels)
        published = summary.published_counts(backbone, decoder, classes, size, form.channels)
    with torch.device("meta"):
        segmentor = build_segmentor(backbone, decoder, classes, form)
    with stage("deriving peak memory"):
        peak = _memory(segmentor, size, cfg.backward)
    memory = {"how": "derived: float32, batch 1, CPU kernels, without scratch space"}
    return {
        "backbone": backbone.name,
        "decoder": decoder.name,
        "dataset": run.dataset.name,
        "num_classes": classes,
        "image_size": list(size),
        "encoder_params": parameters.encoder,
        "decoder_params": parameters.decoder,
        "params": parameters.total,
        "params_published": parameters.published,
        "macs": counts.macs,
        "macs_paper": published.macs_paper,
        "parts": {
            part: {
                "macs": counts.parts.get(part, (0, 0))[0],
                "macs_paper": published.parts.get(part, (0, 0))[1],
            }
            for part in dict.fromkeys([*published.parts, *counts.parts])
        },
        "not_counted": {**counts.unknown, **published.unknown},
        "peak_memory": memory | peak,
        "latency": latency_of(cfg, run, classes, size) if cfg.latency else None,
    }


def _memory(segmentor: Segmentor, size: tuple[int, int], backward: bool) -> dict[str, int]:
    forward = peak_memory(segmentor, size)
    memory = {"parameters_bytes": forward.parameters, "forward_bytes": forward.total}
    if backward:
        memory["forward_backward_bytes"] = peak_memory(segmentor, size, backward=True).total
    return memory


def latency_of(cfg: BenchmarkConfig, run: Run, classes: int, size: tuple[int, int]) -> Json:
    """Of a forward pass to the model's own logits, with device, threads and precision."""
    device, dtype = chosen_device(cfg.hardware), getattr(torch, cfg.dtype.value)
    segmentor = build_segmentor(run.backbone, run.decoder, classes, run.dataset.form.unscaled).eval().to(device, dtype)
    if cfg.compile:
        segmentor.compile()
    image = torch.rand(cfg.batch_size, segmentor.in_channels, *size).mul_(255).to(device, dtype)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with stage(f"timing {cfg.warmup} + {cfg.rounds} forward passes"), torch.inference_mode():
        spread = latency(lambda: segmentor(image), device, cfg.warmup, cfg.rounds)
    return {
        "seconds": spread.median,
        "lower_quartile": spread.lower,
        "upper_quartile": spread.upper,
        "fps": cfg.batch_size / spread.median,
        "rounds": spread.rounds,
        "warmup": cfg.warmup,
        "batch_size": cfg.batch_size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "dtype": cfg.dtype.value,
        "compiled": cfg.compile,
        "torch": torch.__version__,
        "measured_peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }


def show(result: Mapping[str, Any]) -> None:
    """Print the result as tables."""
    console = Console()
    height, width = result["image_size"]
    title = f"{result['backbone']} + {result['decoder']}, {result['dataset']}: {result['num_classes']} classes"
    parameters = Table(title=f"{title}, {height} x {width}", title_justify="left")
    for heading in ("parameters", "M"):
        parameters.add_column(heading, justify="left" if heading == "parameters" else "right")
    for name, key in (
        ("encoder", "encoder_params"),
        ("decoder", "decoder_params"),
        ("model", "params"),
        ("as published, unused tensors counted", "params_published"),
    ):
        parameters.add_row(name, f"{result[key] / 1e6:.6f}")
    console.print(parameters)
    macs = Table(title="multiply-adds of one image", title_justify="left")
    macs.add_column("part")
    macs.add_column("G, as configured", justify="right")
    macs.add_column("G, published form, the paper's counter", justify="right")
    for part, cost in result["parts"].items():
        macs.add_row(part, f"{cost['macs'] / 1e9:.4f}", f"{cost['macs_paper'] / 1e9:.4f}")
    macs.add_section()
    macs.add_row("whole", f"{result['macs'] / 1e9:.4f}", f"{result['macs_paper'] / 1e9:.4f}")
    console.print(macs)
    for operator, calls in result["not_counted"].items():
        console.print(f"[bold]not counted[/]: {operator}, {calls} calls: no rule for its cost")
    memory = result["peak_memory"]
    for key in ("forward_bytes", "forward_backward_bytes"):
        if key in memory:
            name = key.removesuffix("_bytes").replace("_", " and ")
            console.print(f"peak memory, {name}: {memory[key] / 2**20:.1f} MiB ({memory['how']})")
    if (time := result["latency"]) is not None:
        quartiles = f"{time['lower_quartile'] * 1e3:.2f} - {time['upper_quartile'] * 1e3:.2f}"
        console.print(
            f"forward: {time['seconds'] * 1e3:.2f} ms (quartiles {quartiles}, {time['rounds']} rounds),"
            f" {time['fps']:.2f} images/s; batch {time['batch_size']}, {time['device']},"
            f" {time['threads']} threads, {time['dtype']}, {'compiled' if time['compiled'] else 'eager'}"
        )

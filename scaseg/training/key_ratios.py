"""One checkpoint at several protocol.key_ratio: what each gives and what it takes, as a table and a figure."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from scaseg.aligned import aligned
from scaseg.complexity.latency import Ratio, interleaved
from scaseg.config import merge_protocol
from scaseg.data.build import build_source
from scaseg.data.sizes import Size
from scaseg.files import check_writable, output_file, write_json
from scaseg.machine import processor_name
from scaseg.models.layers.pooled_keys import pool_keys
from scaseg.progress import stage
from scaseg.runs.folder import checkpoint_of, run_of
from scaseg.schema import Device, EvaluateConfig
from scaseg.trained.device import chosen_device
from scaseg.trained.model import TrainedModel, load_model
from scaseg.training.evaluate import evaluate

ROUNDS = 5
TABLE, FIGURE = "key_ratios.json", "key_ratios.png"


@dataclass(frozen=True)
class Row:
    """miou: on the split, percent. share: of the first ratio's time, median and quartiles; seconds: a pass's median."""

    key_ratio: int
    miou: float | None
    share: tuple[float, float, float]
    seconds: float


def compare(options: EvaluateConfig) -> list[Row]:
    """Evaluate and time each ratio; prints, and writes OUTPUT/key_ratios.json and .png with the evaluations beside.

    Times are of the model alone, of one image, in rounds by turns with the first ratio's.
    """
    path = checkpoint_of(options.ckpt, "ckpt")
    folder = Path(options.output) if options.output else _folder(path, options)
    check_writable("output", folder)
    mious: list[float | None] = []
    for ratio in options.key_ratios:
        print(f"key_ratio {ratio}")
        protocol = {**options.protocol, "key_ratio": ratio}
        output = str(folder / f"{ratio}") if options.output else None
        result = evaluate(replace(options, key_ratios=[], protocol=protocol, output=output))
        mious.append(result["mIoU"])
    device = Device(options.hardware.accelerator, options.hardware.threads)
    model = load_model(path, chosen_device(device))
    size = _size(model, options)
    found = times(model, options.key_ratios, size)
    rows = [
        Row(ratio, miou, (time.ratio.median, time.ratio.lower, time.ratio.upper), time.a.median)
        for ratio, miou, time in zip(options.key_ratios, mious, found, strict=True)
    ]
    where = f"{size[0]} x {size[1]}, {model.device}, {torch.get_num_threads()} threads, {processor_name()}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / TABLE, {"timed_at": where, "rows": [asdict(row) for row in rows]})
    _draw(rows, where, folder / FIGURE)
    print(_table(rows))
    print(f"time:    of one image's pass, as a share of the first's; {where}")
    print(f"written: {folder / TABLE}, {folder / FIGURE}")
    return rows


def times(model: TrainedModel, ratios: Sequence[int], size: Size) -> list[Ratio]:
    """Of a pass over one image of `size` at each ratio, in rounds by turns with the first ratio's."""
    images = torch.rand(1, model.form.channels, *size, device=model.device) * 255

    def passed(ratio: int) -> None:
        pool_keys(model.segmentor, ratio)
        with torch.inference_mode():
            model.segmentor(images)

    calls: list[Callable[[], None]] = [partial(passed, ratio) for ratio in ratios]
    with stage(f"timing {len(calls)} ratios at {size[0]} x {size[1]}"):
        return [interleaved(call, calls[0], model.device, 1, ROUNDS) for call in calls]


def _size(model: TrainedModel, options: EvaluateConfig) -> Size:
    if options.image_size:
        return options.image_size[0], options.image_size[1]
    run = model.config
    source = build_source(run.dataset, options.data_dir or run.data_dir, options.split or run.dataset.val_split)
    height, width = source.truth(0).shape
    return merge_protocol(run.protocol, options.protocol).seen_size((height, width))


def _folder(path: Path, options: EvaluateConfig) -> Path:
    told = f"{options.split} {sorted(options.protocol.items())} {options.key_ratios} {options.image_size}".encode()
    digest = hashlib.sha256(path.read_bytes() + told).hexdigest()[:8]
    return run_of(path) / "evaluation" / f"key_ratios-{path.stem}-{digest}"


def _table(rows: Sequence[Row]) -> str:
    cells = [["key_ratio", "mIoU", "difference", "share of time", "quartiles", "seconds"]]
    first = rows[0].miou
    for row in rows:
        miou = "-" if row.miou is None else f"{row.miou:.2f}"
        change = "-" if row.miou is None or first is None else f"{row.miou - first:+.2f}"
        share, *quartiles = (f"{one:.2f}" for one in row.share)
        cells.append([f"{row.key_ratio}", miou, change, share, ", ".join(quartiles), f"{row.seconds:.2f}"])
    return aligned(cells)


def _draw(rows: Sequence[Row], where: str, file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    shown = [(row.share, row.miou, row.key_ratio) for row in rows if row.miou is not None]
    for (share, lower, upper), miou, ratio in shown:
        axes.errorbar(share, miou, xerr=[[share - lower], [upper - share]], fmt="o", color="C0", capsize=3)
        axes.annotate(f"{ratio}", (share, miou), xytext=(4, 6), textcoords="offset points")
    axes.plot([share[0] for share, *_ in shown], [miou for _, miou, _ in shown], color="C0", alpha=0.5)
    axes.set(xlabel="share of the time of the first", ylabel="mIoU, %", title="by key_ratio")
    axes.grid(alpha=0.3)
    figure.supxlabel(where, fontsize=7)
    with output_file("output", file) as beside:
        figure.savefig(beside, dpi=120)

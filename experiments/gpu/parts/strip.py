"""(2) Strip attention by its spline beside the plain form, torch's kernels and pykeops; where `auto` turns to it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from experiments.gpu.goals import LARGE, large
from experiments.gpu.section import Section, Setting
from scaseg.benchmark.strip import CHANNELS, Form, dispatch, forms, ratio
from scaseg.models.layers.strip_attention import NODES
from scaseg.models.layers.strip_crossings import TABLE, Crossing, write_crossing
from scaseg.report.curves import save

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
BACKENDS = {
    "SDPA flash": SDPBackend.FLASH_ATTENTION,
    "SDPA memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION,
}
PLAIN, OURS = "plain", "strip attention"
QUERIES = (4, 64, 512, 1_024, 4_096, 16_384, 65_536, 131_072)
KEYS = (2_048, 256)
MOST_WORK = 2**31  # heads x queries x keys
SMALL = ((1, 4, 16), (1, 520, 64))
ROUNDS = 5
REHEARSED = 1  # rounds

Shape = tuple[int, int, int]  # heads, queries, keys


@dataclass
class Measured:
    """Seconds by form of one shape, direction and precision; ratios of the others' to ours, interleaved."""

    shape: Shape
    backward: bool
    precision: str
    seconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> int:
        heads, queries, keys = self.shape
        return heads * queries * keys


def run(setting: Setting, section: Section) -> None:
    device = torch.device("cpu" if setting.rehearse else "cuda")
    shapes = [(heads, queries, keys) for heads in (1, 8) for keys in KEYS for queries in reversed(QUERIES)]
    shapes = [shape for shape in shapes if shape[0] * shape[1] * shape[2] <= MOST_WORK]
    measured: list[Measured] = []
    refused: set[str] = set()
    for shape in SMALL if setting.rehearse else sorted(shapes, key=lambda shape: shape != (1, *LARGE)):
        if setting.left < 20 and not setting.rehearse:
            section.note(f"{shape[0]} heads, {shape[1]} x {shape[2]} and after: not measured, the time had ended")
            break
        for precision in PRECISIONS:
            for backward in (False, True):
                with section.attempt(f"{shape}, {precision}"):
                    measured.append(compare(section, shape, backward, precision, device, refused))
    for text in sorted(refused):
        section.note(text)
    with section.attempt("the crossing"):
        turn_over(setting, section, measured)
    with section.attempt("the dispatch"):
        for row in dispatch(1, device, ((64, 16),)) if setting.rehearse else dispatch(3, device):
            section.add(row.what, row.unit, row.value, row.goal)
    draw(setting, section, measured)


def compare(
    section: Section, shape: Shape, backward: bool, precision: str, device: torch.device, refused: set[str]
) -> Measured:
    """Every other form in turns with ours."""
    heads, queries, keys = shape
    dtype, work = PRECISIONS[precision], "forward and backward" if backward else "forward"
    ours, plain, fused = forms(heads, queries, keys, backward, "spline", device, dtype)
    others: dict[str, Form] = {PLAIN: plain}
    others |= {name: under(backend, fused) for name, backend in BACKENDS.items()}
    if find_spec("pykeops") is None:
        refused.add("pykeops: skipped, it is not installed")
    elif not backward:
        others["pykeops"] = keops(heads, queries, keys, device, dtype)
    found = Measured(shape, backward, precision)
    spreads = {}
    for name, other in others.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of which of its kernels torch cannot take, and why
                pair = ratio(other, ours, REHEARSED if device.type == "cpu" else ROUNDS, device)
        except torch.OutOfMemoryError:
            refused.add(f"{name}: out of memory at {heads} heads, {queries} x {keys}")
            torch.cuda.empty_cache()
        except RuntimeError as error:
            refused.add(f"{name}, {precision}: {str(error).splitlines()[0]}")
        else:
            spreads[name] = pair.ratio
            found.seconds |= {name: pair.a.median, OURS: pair.b.median}
            found.ratios[name] = pair.ratio.median
    fastest = min(spreads, key=lambda name: found.ratios[name])
    where = f"{heads} heads, {queries} x {keys}, {work}, {precision}"
    if shape == (1, *LARGE):
        sdpa = min(BACKENDS.keys() & spreads.keys(), key=lambda name: found.ratios[name])
        section.add(large(backward, precision), "x", spreads[sdpa], "at least 4" if backward else "at least 5")
    section.add(f"{where}: {fastest}, the fastest other, / strip attention", "x", spreads[fastest])
    section.add(f"{where}: strip attention", "ms", 1e3 * found.seconds[OURS])
    return found


def under(backend: SDPBackend, form: Form) -> Form:
    """The form with this kernel of torch's; RuntimeError where it does not take the shape or the precision."""

    def run() -> Tensor:
        with sdpa_kernel(backend):
            return form()

    return run


def keops(heads: int, queries: int, keys: int, device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Plain strip attention as pykeops reduces it, which takes no bfloat16: in float32 then."""
    from pykeops.torch import LazyTensor

    query, key = (torch.randn(1, heads, count, device=device) for count in (queries, keys))
    value = torch.randn(1, heads, keys, CHANNELS, device=device)

    def run() -> Tensor:
        logits = LazyTensor(query[..., :, None, None]) * LazyTensor(key[..., None, :, None].contiguous())
        out: Tensor = logits.sumsoftmaxweight(LazyTensor(value[..., None, :, :].contiguous()), axis=3)
        return out.to(dtype)

    return run


def turn_over(setting: Setting, section: Section, measured: Sequence[Measured]) -> None:
    """Write the device's line, beside the report and, of a GPU, into the table that `auto` reads."""
    works = {precision: crossing([one for one in measured if one.precision == precision]) for precision in PRECISIONS}
    for precision, work in works.items():
        if work is None:
            section.note(f"{precision}: the spline was nowhere the fastest form to the end: auto does not turn to it")
        else:
            section.add(f"auto turns to the spline, {precision}, from images x heads x queries x keys", "", work)
    line = Crossing(works["fp32"], works["bf16"], f"{datetime.now(UTC).date().isoformat()}, torch {torch.__version__}")
    if setting.rehearse:
        write_crossing("a rehearsal", line, setting.work / TABLE.name)
        return
    name = torch.cuda.get_device_name()
    write_crossing(name, line, setting.output / TABLE.name)
    write_crossing(name, line)


def crossing(measured: Sequence[Measured]) -> int | None:
    """The least work from which on the spline was the fastest form, both ways, at every shape that it may be taken at;
    None where there is none.
    """
    slowest: dict[int, float] = {}
    for one in measured:
        if one.shape[1] >= 4 * NODES and one.shape[2] >= 64 and one.ratios:
            slowest[one.work] = min(slowest.get(one.work, float("inf")), *one.ratios.values())
    found = None
    for work in sorted(slowest, reverse=True):
        if slowest[work] < 1:
            break
        found = work
    return found


def draw(setting: Setting, section: Section, measured: Sequence[Measured]) -> None:
    """Milliseconds over queries, one head, the most keys: a panel for each precision and direction."""
    from matplotlib.figure import Figure

    keys = max((one.shape[2] for one in measured), default=0)
    shown = [one for one in measured if one.shape[0] == 1 and one.shape[2] == keys]
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, precision in enumerate(PRECISIONS):
        for column, backward in enumerate((False, True)):
            axes = panels[row, column]
            for number, name in enumerate((OURS, PLAIN, *BACKENDS, "pykeops")):
                its = [one for one in shown if (one.precision, one.backward) == (precision, backward)]
                points = sorted((one.shape[1], 1e3 * one.seconds[name]) for one in its if name in one.seconds)
                if points:
                    axes.plot(*zip(*points, strict=True), marker="o", markersize=4, color=f"C{number}", label=name)
            axes.set(title=f"{precision}, {'forward and backward' if backward else 'forward'}", xscale="log")
            axes.set_yscale("log")
            axes.grid(alpha=0.3)
    for axes in panels[1]:
        axes.set_xlabel(f"queries, one head of {CHANNELS} channels, {keys} keys")
    for axes in panels[:, 0]:
        axes.set_ylabel("ms")
    panels[0, 0].legend(fontsize=8)
    save("output", figure, setting.output / "strip.png", 110)
    section.pictures.append("strip.png")
    section.save()

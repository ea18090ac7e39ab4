"""mIoU over GFLOPs, one curve a decoder, in the style of the paper's Fig. 1."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg.config import image_size
from scaseg.errors import UserError
from scaseg.report.curves import check_kind, save
from scaseg.report.published import published
from scaseg.report.runs import Run
from scaseg.report.statistics import summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAMILIES = {"MiT": ("-", "solid", "o"), "MSCAN": ("--", "dashed", "s")}  # encoders -> line, its name, mark
OTHERS = (":", "dotted", "^")
NAMED = 12  # of our points at most that have their backbone beside them
PAPERS = "ade20k"  # where no runs are asked for


@dataclass(frozen=True)
class Point:
    """One model; std: of its mIoU over seeds, None for one seed and for a printed figure."""

    decoder: str
    backbone: str
    gflops: float
    miou: float
    std: float | None = None

    @property
    def family(self) -> str:
        """`MiT` of MiT-B0 and of mit_b0."""
        name = self.backbone.replace("_", "-").split("-")[0]
        return next((family for family in FAMILIES if family.lower() == name.lower()), name)


def dataset_of(runs: Sequence[Run], asked: str | None, pattern: str | None) -> str:
    """The dataset to draw: that of the runs, without any the paper's. UserError where that leaves it open or empty.

    pattern: what `runs` came from, None where none were asked for.
    """
    if pattern is None:
        return asked or PAPERS
    found = Counter(run.dataset for run in runs)
    counts = ", ".join(f"{number} on {dataset}" for dataset, number in sorted(found.items()))
    if asked is None and len(found) > 1:
        raise UserError(f"runs={pattern}: {counts}; a figure shows one dataset: figure_dataset=...")
    if not found or (asked is not None and asked not in found):
        where = f"on {asked}" if asked else "finished"
        raise UserError(f"runs={pattern}: none of them is {where} ({counts or 'no finished run there'})")
    return asked or next(iter(found))


def published_points(dataset: str) -> list[Point]:
    """The paper's figures on `dataset`, of the decoders that it shows on two encoders of a family or more."""
    points = {
        (row.method, row.backbone): Point(
            row.method.removesuffix(" (Ours)"), row.backbone, row.gflops[dataset], row.miou[dataset]
        )
        for row in published()
        if row.table <= 4 and dataset in row.gflops and dataset in row.miou and row.overrides
    }
    found = list(points.values())
    return [point for point in found if sum(_same_curve(point, other) for other in found) > 1]


def run_points(runs: Sequence[Run]) -> list[Point]:
    """Runs with our own counts by the paper's convention; repetitions with other seeds are one point."""
    from scaseg.complexity.summary import published_counts

    groups: dict[tuple[str, str, float], list[float]] = {}
    for run in runs:
        asked = run.config
        size = image_size(asked.protocol, asked.augment)
        inputs = asked.dataset.form.channels
        counts = published_counts(asked.backbone, asked.decoder, run.num_classes, size, inputs)
        gflops = counts.macs_paper / 1e9
        attention = run.value("decoder.attn")
        decoder = f"{run.decoder} ({attention})" if attention not in (None, "sca") else run.decoder
        groups.setdefault((decoder, run.backbone, gflops), []).append(run.miou)
    summaries = {key: summarise(values) for key, values in groups.items()}
    return [Point(*key, summary.mean, summary.std) for key, summary in summaries.items()]


def draw(printed: Sequence[Point], measured: Sequence[Point], dataset: str, file: Path) -> None:
    """Write the picture, its kind by the suffix; UserError where there is nothing to draw."""
    check_kind("figure", file)
    if not (printed or measured):
        raise UserError(f"figure_dataset={dataset}: neither the paper nor the runs have a figure on it")
    save("figure", drawn(printed, measured, dataset), file, 150)


def drawn(printed: Sequence[Point], measured: Sequence[Point], dataset: str) -> "Figure":
    """The picture; hollow marks are printed figures, filled ones our runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    everything = [*printed, *measured]
    decoders = list(dict.fromkeys(point.decoder.lower() for point in everything))
    labelled: set[str] = set()
    for points, filled in ((printed, False), (measured, True)):
        for key in dict.fromkeys((point.decoder, point.family) for point in points):
            curve = sorted((p for p in points if (p.decoder, p.family) == key), key=lambda p: p.gflops)
            colour = f"C{decoders.index(key[0].lower()) % 10}"
            line, _, mark = FAMILIES.get(key[1], OTHERS)
            label = key[0] + ("" if filled == (not printed) else ", our runs" if filled else ", printed")
            axes.errorbar(
                [point.gflops for point in curve],
                [point.miou for point in curve],
                yerr=[point.std or 0.0 for point in curve] if any(point.std for point in curve) else None,
                color=colour,
                linestyle=line,
                linewidth=2.5 if key[0].lower().startswith("scaseg") else 1.2,
                marker=mark,
                markerfacecolor=colour if filled else "white",
                capsize=3,
                label=None if label in labelled else label,
            )
            labelled.add(label)
    gflops = [point.gflops for point in everything]
    axes.margins(0.08)
    if max(gflops) > 20 * min(gflops):
        ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick < 2 * max(gflops)]
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axes.set_xlim(min(gflops) / 1.4, max(gflops) * 1.4)
    middle = (max(gflops) * min(gflops)) ** 0.5 if axes.get_xscale() == "log" else (max(gflops) + min(gflops)) / 2
    named = [p for p in printed if p.decoder.lower().startswith("scaseg")]
    for point in named + (list(measured) if len(measured) <= NAMED else []):
        right = point.gflops > middle  # there a name stands to the left, within the edge
        place, offset = (point.gflops, point.miou), (-5 if right else 5, -11)
        axes.annotate(
            point.backbone, place, offset, textcoords="offset points", fontsize=7, ha="right" if right else "left"
        )
    axes.set(xlabel="GFLOPs (multiply-adds, the paper's counter)", ylabel="mIoU, %", title=dataset)
    axes.grid(alpha=0.3)
    families = list(dict.fromkeys(point.family for point in everything))
    lines = [f"{FAMILIES.get(family, OTHERS)[1]}: {family}" for family in families]
    figure.legend(
        loc="outside right upper", fontsize=8, title="\n".join(lines) if len(lines) > 1 else None, title_fontsize=8
    )
    return figure


def _same_curve(point: Point, other: Point) -> bool:
    return (point.decoder, point.family) == (other.decoder, other.family)

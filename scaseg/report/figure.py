"""mIoU over GFLOPs, one curve a decoder, in the style of the paper's Fig. 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaseg.config import image_size
from scaseg.errors import UserError
from scaseg.report.published import published
from scaseg.report.runs import Run
from scaseg.report.statistics import summarise

FAMILIES = {"MiT": "-", "MSCAN": "--"}  # family of encoders -> line style


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
        size = image_size(run.config)
        gflops = published_counts(run.config, run.num_classes, size).macs_paper / 1e9
        attention = run.value("decoder.attn")
        decoder = f"{run.decoder} ({attention})" if attention not in (None, "sca") else run.decoder
        groups.setdefault((decoder, run.backbone, gflops), []).append(run.miou)
    summaries = {key: summarise(values) for key, values in groups.items()}
    return [Point(*key, summary.mean, summary.std) for key, summary in summaries.items()]


def draw(printed: Sequence[Point], measured: Sequence[Point], dataset: str, file: Path) -> None:
    """Write the picture, its kind by the suffix; hollow marks are printed figures, filled ones our runs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    if file.suffix.lstrip(".") not in (".png .svg .pdf".replace(".", "").split()):
        raise UserError(f"figure={file}: the name must end in .png, .svg or .pdf")
    if not (printed or measured):
        raise UserError(f"figure_dataset={dataset}: neither the paper nor the runs have a figure on it")
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    decoders = list(dict.fromkeys(point.decoder.lower() for point in [*printed, *measured]))
    labelled: set[str] = set()
    for points, filled in ((printed, False), (measured, True)):
        for key in dict.fromkeys((point.decoder, point.family) for point in points):
            curve = sorted((p for p in points if (p.decoder, p.family) == key), key=lambda p: p.gflops)
            colour = f"C{decoders.index(key[0].lower()) % 10}"
            label = key[0] + ("" if filled == (not printed) else ", our runs" if filled else ", printed")
            axes.errorbar(
                [point.gflops for point in curve],
                [point.miou for point in curve],
                yerr=[point.std or 0.0 for point in curve] if filled else None,
                color=colour,
                linestyle=FAMILIES.get(key[1], ":"),
                linewidth=2.5 if key[0].lower().startswith("scaseg") else 1.2,
                marker="o",
                markerfacecolor=colour if filled else "white",
                capsize=3,
                label=None if label in labelled else label,
            )
            labelled.add(label)
            if key[0].lower().startswith("scaseg"):
                for point in curve:
                    place = (point.gflops, point.miou)
                    axes.annotate(point.backbone, place, (4, -10), textcoords="offset points", fontsize=7)
    gflops = [point.gflops for point in [*printed, *measured]]
    if max(gflops) > 20 * min(gflops):
        ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick < 2 * max(gflops)]
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axes.set_xlim(min(gflops) / 1.3, max(gflops) * 1.3)
    axes.set(xlabel="GFLOPs (multiply-adds, the paper's counter)", ylabel="mIoU, %", title=dataset)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, title="solid: MiT, dashed: MSCAN", title_fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def _same_curve(point: Point, other: Point) -> bool:
    return (point.decoder, point.family) == (other.decoder, other.family)

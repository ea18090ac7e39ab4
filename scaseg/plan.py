"""python -m scaseg.plan: how many seeds and images a claim takes, from what runs have measured so far."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg.aligned import aligned
from scaseg.commands import command
from scaseg.errors import UserError
from scaseg.typed import REQUIRED, Checked, number

if TYPE_CHECKING:
    from scaseg.report.runs import Run
    from scaseg.statistics.power import Spread

MOST = 1000  # seeds that a plan goes up to

TIMES = (1.0, 2.0, 5.0, 10.0)  # the images measured


@dataclass
class PlanConfig(Checked):
    """The command's keys."""

    runs: str = "runs"  # a folder that holds run folders or records, or a glob
    difference: float = REQUIRED  # in mIoU, percent
    power: float = number(0.8, 0.01, 0.999)  # chance of the claim where the difference is there
    level: float = number(0.95, 0.5, 0.9999)  # one less it: that of a claim where there is none
    comparisons: int = number(1, 1)  # so many are made, as 21 of all pairs of seven rows
    groups: str | None = None  # regular expression: images in whose names it finds the same depend on each other

    def check(self) -> None:
        if not self.difference > 0:
            raise UserError(f"difference={self.difference}: points of mIoU above 0, such as 1.0")


@dataclass(frozen=True)
class Found:
    """What runs on one dataset measured. minutes: of a run, on average."""

    dataset: str
    rows: int
    runs: int
    images: int
    groups: int
    minutes: float | None
    spread: "Spread"


@command("plan", PlanConfig)
def main(cfg: PlanConfig) -> None:
    """Print a plan for each dataset of the runs."""
    from scaseg.report.runs import collect

    runs, problems = collect(cfg.runs)
    if not runs:
        raise UserError(f"runs={cfg.runs}: none of them can be used\n" + "\n".join(problems))
    datasets = sorted({run.dataset for run in runs})
    print("\n\n".join(told(found(name, [r for r in runs if r.dataset == name], cfg), cfg) for name in datasets))


def told(what: Found, cfg: PlanConfig) -> str:
    """The plan in words, and a table of it."""
    spread = what.spread
    lines = [
        f"{what.dataset}: {what.runs} runs of {what.rows} configuration{'s' * (what.rows != 1)}.",
        f"One seed's mIoU has a standard deviation of {sqrt(spread.seed.value):.2f}"
        f" ({spread.seed.freedom:.0f} degrees of freedom).",
        _of_images(what),
        "",
        f"To claim a difference of {cfg.difference:g} between two configurations at {100 * cfg.level:g} %, where it is"
        f" there in {100 * cfg.power:g} of 100 such experiments"
        + (f", as one of {cfg.comparisons} comparisons" * (cfg.comparisons > 1))
        + ":",
    ]
    times = TIMES if spread.images is not None else TIMES[:1]
    rows = [["images", "seeds each", "if seeds vary less, more", "power", "runs", "hours"]]
    rows += [_row(what, cfg, factor) for factor in times]
    lines += [aligned(rows), "less, more: the 80 % interval of the seeds' deviation; hours: of one run after another."]
    return "\n".join(lines)


def _of_images(what: Found) -> str:
    if what.spread.images is not None:
        deviation = sqrt(what.spread.images.value)
        grouped = "" if what.groups == what.images else f" in {what.groups} groups that depend on each other"
        return (
            f"Over other images ({what.images}{grouped}), whatever the seeds, a difference has one of {deviation:.2f}."
        )
    if what.groups == 1:
        return f"All {what.images} images are of one group: the plan is for a claim on these images, nothing of others."
    return "Not all runs have counts of the same images: the plan is for a claim on these images, nothing of others."


def _row(what: Found, cfg: PlanConfig, times: float) -> list[str]:
    def seeds(spread: "Spread") -> int:
        return spread.seeds_for(cfg.difference, cfg.power, cfg.level, times, cfg.comparisons, MOST)

    def text(number: int) -> str:
        return str(number) if number else f"over {MOST}"

    number, (low, high) = seeds(what.spread), what.spread.bounds(0.8)
    power = what.spread.power(cfg.difference, number or MOST, cfg.level, times, cfg.comparisons)
    hours = "–" if what.minutes is None or not number else f"{2 * number * what.minutes / 60:.1f}"
    images = f"{round(what.images * times)}" if what.images else "as measured"
    bounds = f"{text(seeds(low))}, {text(seeds(high))}"
    return [images, text(number), bounds, f"{power:.2f}", str(2 * number) if number else "–", hours]


def found(dataset: str, runs: "list[Run]", cfg: PlanConfig) -> Found:
    """From runs of one dataset; UserError where they do not tell how seeds vary."""
    from scaseg.report.runs import by_seed
    from scaseg.report.runs_table import configurations
    from scaseg.report.samples import samples
    from scaseg.runs.result import read_result
    from scaseg.statistics.power import spread

    labels, rows = configurations(runs)
    several = [by_seed(row, " ".join(label)) for row, label in zip(rows, labels, strict=True) if len(row) > 1]
    if not several:
        raise UserError(f"runs={cfg.runs}: no configuration on {dataset} has two seeds, which tell how seeds vary")
    measured = samples(several, cfg.groups)
    over_images = measured.over_images and len(several) > 1
    folders: list[Path] = [run.folder for row in several for run in row.values()]
    seconds = [time for folder in folders if (time := read_result(folder).get("wall_time_s"))]
    return Found(
        dataset,
        len(several),
        len(folders),
        measured.images,
        measured.groups,
        sum(seconds) / len(seconds) / 60 if seconds else None,
        spread(measured.miou, over_images),
    )


if __name__ == "__main__":
    main()

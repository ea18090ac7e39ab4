"""What stands under a paper's table: conventions, explained differences, what the runs leave open."""

from collections.abc import Mapping, Sequence
from math import inf

from scaseg.report.published import SINCE
from scaseg.report.runs import BOOKKEEPING, Run, differing
from scaseg.report.statistics import summarise
from scaseg.report.table_rows import SCASEG, Line

STATISTICS = (
    "Our mIoU: mean ± sample standard deviation over n seeds; 95 %: its interval; Δ baseline: the difference of means"
    " with its 95 % interval, and P, how likely it is truly above 0; of one seed neither is known."
)
COUNTED = {"params": "params", "gflops": "GFLOPs", "cityscapes": "GFLOPs on Cityscapes"}
# Keys that make a row or follow from it: runs of two rows may differ in them.
OF_A_ROW = (
    "backbone",
    "lpm",
    "classifier",
    "decoder.name",
    "decoder._target_",
    "decoder.embed_channels",
    "decoder.lpm",
    *SCASEG,
)


def conventions(number: int) -> list[str]:
    """How the figures were counted."""
    notes = [
        "params, M: model is what is built here; as published counts the unused tensors of the published"
        " code too, and all four blocks whether they are used or not; Δ is against that.",
        "GFLOPs are multiply-adds by the paper's counter (mmengine's: norms and resizes included) of the"
        " published form, fuse and strip attention written out, at 512 x 512 (Cityscapes: 1024 x 2048,"
        " 19 classes, its block).",
        "classes: how many the paper counted with, for params and for GFLOPs at 512 x 512.",
    ]
    if number == SINCE:
        notes.append(
            "modules alone: linears, convolutions and norms at 512 x 512, as mmcv 1's counter sees them; papers before"
            " mmengine's print that."
        )
        notes.append(
            "Rows without a count are not built here: OffSeg's decoder, and EfficientViT's head, whose encoders are"
            " (backbone=timm backbone.name=efficientvit_b1)."
        )
    if number == 8:
        notes.append("The paper's rows with fewer than four blocks are counted without the local perception module.")
    return notes


def behind(lines: Sequence[Line], names: Mapping[str, str]) -> list[str]:
    """Where the paper's method has printed less than another for no more GFLOPs, or on the same encoder.

    A sentence for each of its rows and datasets; names: of datasets.
    """
    notes = []
    for line in (one for one in lines if one.row.ours):
        for dataset, cost in line.row.gflops.items():
            own = line.row.miou[dataset]
            better = [one for one in lines if not one.row.ours and one.row.miou.get(dataset, 0.0) > own]
            cheap = [one for one in better if one.row.gflops.get(dataset, inf) <= cost]
            dear = [one for one in better if one not in cheap and one.row.backbone == line.row.backbone]
            where = f"SCASeg {line.row.backbone} on {names[dataset]} ({own:.1f} at {cost:g} G)"
            told = [f"{_figures(cheap, dataset)} for no more GFLOPs"] if cheap else []
            told += [f"{_figures(dear, dataset)} on the same encoder for more"] if dear else []
            if told:
                notes.append(f"By printed figures {where} is behind {', and '.join(told)}.")
            else:
                notes.append(f"By printed figures no row here is ahead of {where} for no more GFLOPs.")
    return notes


def _figures(lines: Sequence[Line], dataset: str) -> str:
    rows = [line.row for line in lines]
    models = [row.backbone if row.backbone.startswith(row.method) else f"{row.method} {row.backbone}" for row in rows]
    figures = [f"({row.miou[dataset]:.1f} at {row.gflops[dataset]:g})" for row in rows]
    return ", ".join(map(" ".join, zip(models, figures, strict=True)))


def explanations(lines: Sequence[Line]) -> list[str]:
    """Why cells differ from the printed ones, and why rows are not counted."""
    texts: dict[str, list[str]] = {}
    for line in lines:
        for why in dict.fromkeys(line.row.notes.values()):
            columns = [COUNTED[column] for column, text in line.row.notes.items() if text == why]
            texts.setdefault(why, []).append(f"row {line.row.row} ({', '.join(columns)})")
    missing: dict[str, list[str]] = {}
    for line in lines:
        if line.missing and line.row.overrides:
            missing.setdefault(line.missing, []).append(f"row {line.row.row}")
    notes = [f"{', '.join(cells)}: {why}." for why, cells in texts.items()]
    return notes + [f"{', '.join(rows)}: not counted, {why}." for why, rows in missing.items()]


def remarks(number: int, lines: Sequence[Line], runs: Sequence[Run], problems: Sequence[str]) -> list[str]:
    """What the runs differ in besides what makes a row, which are in no row, which could not be used."""
    used = [run for line in lines for seeds in line.runs.values() for run in seeds.values()]
    notes = [STATISTICS] if used else []
    for dataset in dict.fromkeys(run.dataset for run in used):
        mine = [run for run in used if run.dataset == dataset]
        of_a_row = [key for key in OF_A_ROW if number != 8 or "lpm" not in key]
        if keys := differing(mine, [*of_a_row, *BOOKKEEPING]):
            notes.append(f"The runs on {dataset} also differ in {', '.join(keys)}: compare with care.")
        elif number == 8 and mine[0].value("lpm") != "none":
            notes.append(f"Our runs on {dataset} have lpm={mine[0].value('lpm')} in every row.")
    left = [run for run in runs if run not in used]
    for name in dict.fromkeys(describe(run) for run in left):
        figures = summarise([run.miou for run in left if describe(run) == name])
        notes.append(f"Not a row of this table: {name}, mIoU {figures.text()}.")
    return notes + [f"Not used: {problem}." for problem in problems]


def describe(run: Run) -> str:
    """A run by what tables vary."""
    keys = [f"{key}={run.value(key)}" for key in SCASEG if run.value(key) is not None]
    return " ".join([run.backbone, run.decoder, *keys, "on", run.dataset])

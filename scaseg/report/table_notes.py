"""What stands under a paper's table: conventions, explained differences, what the runs leave open."""

from collections.abc import Sequence

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
    if number == 8:
        notes.append("The paper's rows with fewer than four blocks are counted without the local perception module.")
    return notes


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

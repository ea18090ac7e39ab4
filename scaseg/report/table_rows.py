"""Which runs belong to which row of a paper's table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from scaseg.report.own_counts import Counted, count_row, missing_part
from scaseg.report.published import Row, published, rows_of
from scaseg.report.runs import Run, by_seed
from scaseg.typed import Yaml

SCASEG = {"decoder.attn": "sca", "lpm": "se", "decoder.qk_channels": 1, "decoder.clb_stages": [4, 3, 2, 1]}
# table -> the keys whose values tell its rows of one backbone apart
VARIED = {5: ("decoder.attn", "lpm"), 6: ("lpm",), 7: ("decoder.qk_channels",), 8: ("decoder.clb_stages",)}


@dataclass
class Line:
    """A row, our counts and, by dataset, its runs by seed; missing: what keeps it from being built."""

    row: Row
    missing: str | None
    counted: Counted | None
    runs: dict[str, dict[int, Run]] = field(default_factory=dict)


def row_keys(row: Row) -> Yaml:
    """Config keys and values by which a run is known to belong to the row."""
    made = {"classifier": "conv", **row.overrides} if row.overrides else {}
    if made.get("backbone") == "timm":  # runs are known by the model's name
        made["backbone"] = made.pop("backbone.name")
    if made.get("decoder") == "scaseg":
        made = SCASEG | made
    if row.table == 8:  # the sweep varies the stages alone; the paper's shorter rows come without the module
        made.pop("lpm", None)
    return made


def lines_of(number: int, runs: Sequence[Run], ours: bool) -> list[Line]:
    """The table's rows in order, those of one backbone together, and after them what only runs have."""
    rows = rows_of(number, ours)
    left = [run for run in runs if not any(_belongs(run, row) for row in rows)]
    for run in left:
        row = _row_of(number, run)
        if row is not None and not any(_belongs(run, other) for other in rows):
            rows.append(row)
    backbones = list(dict.fromkeys(row.backbone for row in rows))
    if number in VARIED:
        rows.sort(key=lambda row: backbones.index(row.backbone))
    return [_line(row, [run for run in runs if _belongs(run, row)]) for row in rows]


def groups_of(lines: Sequence[Line], by_backbone: bool) -> list[list[Line]]:
    """Lines that compete: neighbours of one backbone, or all."""
    groups: list[list[Line]] = []
    for line in lines:
        if groups and (not by_backbone or groups[-1][0].row.backbone == line.row.backbone):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _belongs(run: Run, row: Row) -> bool:
    keys = row_keys(row)
    return bool(keys) and all(run.value(key) == value for key, value in keys.items())


def _line(row: Row, runs: Sequence[Run]) -> Line:
    missing = missing_part(row)
    line = Line(row, missing, None if missing else count_row(row))
    for dataset in dict.fromkeys(run.dataset for run in runs):
        cell = f"{row.backbone} {row.variant or row.method} on {dataset}"
        line.runs[dataset] = by_seed([run for run in runs if run.dataset == dataset], cell)
    return line


def _row_of(number: int, run: Run) -> Row | None:
    """A row that the paper does not have, for a run that varies what the table varies and nothing else."""
    varied = VARIED.get(number, ())
    fixed = {key for key in SCASEG if key not in varied and not (number == 8 and key == "lpm")}
    if not varied or run.decoder != "scaseg" or any(run.value(key) != SCASEG[key] for key in fixed):
        return None
    names = {row.overrides["backbone"]: row.backbone for row in published() if row.overrides}
    values = {key: run.value(key) for key in varied}
    made = {"backbone": run.backbone, "decoder": run.decoder, **values}
    if number == 8:
        made["lpm"] = run.value("lpm")
    return Row(
        table=number,
        row=0,
        method="SCASeg (Ours)",
        backbone=names.get(run.backbone, run.backbone),
        variant=_variant(number, values),
        overrides=made,
        counted_as={"params": 150, "gflops": 150},
    )


def _variant(number: int, values: Yaml) -> str:
    first = values[VARIED[number][0]]
    if number == 5:
        lpm = {"none": "", "se": " + LPM"}.get(values["lpm"], f" + LPM ({values['lpm']})")
        return f"+ {str(first).upper()}{lpm}"
    return " ".join(map(str, first)) if isinstance(first, list) else str(first)

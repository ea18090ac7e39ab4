"""python -m scaseg.report: tables, figures and a page from run folders, beside the paper's printed figures."""

import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from scaseg.commands import command
from scaseg.errors import UserError
from scaseg.files import check_writable, output_file


class Format(Enum):
    """Of tables."""

    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    html = "html"  # one page with tables, curves and pictures, complete in itself


class Rows(Enum):
    """Of Tables I-IV."""

    ours = "ours"
    all = "all"


@dataclass
class ReportConfig:
    """The command's keys."""

    table: str | None = (
        None  # 1 to 8, all of these, or 2026 (what people compare with since); null: one table of whatever the runs are
    )
    runs: str | None = None  # a folder that holds run folders, or a glob; nothing asked at all: runs
    format: Format = Format.markdown
    output: str | None = None  # a file; null: standard output
    baseline: str | None = None  # a row's number or its variant: the row that differences are taken to
    groups: str | None = None  # regular expression: images in whose names it finds the same depend on each other
    rows: Rows = Rows.ours  # all: other people's methods too, in Tables I-IV
    figure: str | None = None  # a .png, .svg or .pdf: mIoU over GFLOPs
    figure_dataset: str | None = None  # null: that of the runs; without runs ade20k, the paper's
    curves: str | None = None  # a .png, .svg or .pdf: loss and mIoU over the steps, one curve a run
    allow: list[str] = field(default_factory=list)  # packages whose classes runs may name; figure counts their models


@command("report", ReportConfig)
def main(cfg: ReportConfig) -> None:
    """Make what was asked for, on standard output or in files."""
    from scaseg.progress import stage
    from scaseg.report.runs import collect, run_folders

    for option, file in (("curves", cfg.curves), ("figure", cfg.figure), ("output", cfg.output)):
        if file is not None:
            check_writable(option, Path(file))
    if cfg.table == "all" and cfg.format is Format.csv:
        raise UserError("table=all format=csv: a CSV file holds one table; give table=1 to table=8")
    if cfg.curves is not None:
        from scaseg.report import curves

        curves.draw(run_folders(cfg.runs or "runs"), Path(cfg.curves))
        print(cfg.curves)
        return
    if cfg.table is None and cfg.runs is None and cfg.figure is None:
        cfg.runs = "runs"  # where training puts them
    runs, problems = collect(cfg.runs) if cfg.runs is not None else ([], [])
    if cfg.figure is not None:
        from scaseg.report import figure

        for problem in problems:
            print(f"not used: {problem}", file=sys.stderr)
        dataset = figure.dataset_of(runs, cfg.figure_dataset, cfg.runs)
        with stage("counting multiply-adds"):
            measured = figure.run_points([run for run in runs if run.dataset == dataset])
        figure.draw(figure.published_points(dataset), measured, dataset, Path(cfg.figure))
        print(cfg.figure)
    if cfg.table is None and (cfg.runs is None or cfg.figure is not None):
        return
    from scaseg.report.runs_table import runs_table
    from scaseg.report.table import RENDERERS

    if cfg.table is None:
        if not runs and cfg.format is not Format.html:
            raise UserError(f"runs={cfg.runs}: none of them can be used\n" + "\n".join(problems))
        tables = [runs_table(runs, problems, cfg.baseline, cfg.groups)] if runs else []
    else:
        from scaseg.report.paper_table import paper_table
        from scaseg.report.published import SINCE

        numbers = [str(number) for number in range(1, 9)]
        if cfg.table not in (*numbers, str(SINCE), "all"):
            raise UserError(f"table={cfg.table}: choose one of {', '.join(numbers)}, {SINCE}, all")
        chosen = numbers if cfg.table == "all" else [cfg.table]
        ours = cfg.rows is Rows.ours
        with stage("counting parameters and multiply-adds"):
            tables = [paper_table(int(number), runs, problems, cfg.baseline, ours, cfg.groups) for number in chosen]
        if cfg.format is Format.html and runs:
            tables.insert(0, runs_table(runs, groups=cfg.groups))
    if cfg.format is Format.html:
        from scaseg.report.html import page

        with stage("drawing the page"):
            text = page(tables, runs, cfg.runs)
    else:
        text = "\n".join(RENDERERS[cfg.format.value](table) for table in tables)
    if cfg.output is None:
        print(text, end="")
    else:
        with output_file("output", Path(cfg.output)) as beside:
            beside.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

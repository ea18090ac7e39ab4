"""A sweep's workspace and report for Weights & Biases, built without a network; saving them takes an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scaseg.errors import UserError
from scaseg.report.runs import Run
from scaseg.report.runs_table import columns_of, runs_table
from scaseg.report.table import markdown
from scaseg.typed import to_plain

STEP = "trainer/global_step"


@dataclass(frozen=True)
class Sweep:
    """Where the runs are on W&B, and what tells them apart. keys: config keys that differ; classes: of the labels."""

    entity: str
    project: str
    group: str
    keys: tuple[str, ...]
    classes: tuple[str, ...]


def describe(runs: Sequence[Run], entity: str | None, project: str | None, group: str | None) -> Sweep:
    """From what the runs say of themselves; UserError, naming all that is open, where they do not agree or say."""
    loggers = [to_plain(run.config.logger.get("wandb", {})) for run in runs]
    given = {"entity": entity, "project": project, "group": group}
    said = {key: sorted({str(logger.get(key) or "") for logger in loggers}) for key in given}
    open_keys = [key for key, value in given.items() if not value and (len(said[key]) != 1 or not said[key][0])]
    if open_keys:
        found = ", ".join(
            f"logger.wandb.{key} ({', '.join(value or 'none' for value in said[key])})" for key in open_keys
        )
        raise UserError(f"the runs have no common {found}: give {' '.join(f'{key}=...' for key in open_keys)}")
    chosen = {key: value or said[key][0] for key, value in given.items()}
    return Sweep(**chosen, keys=tuple(columns_of(runs)), classes=runs[0].classes)


def workspace(sweep: Sweep) -> Any:
    """A `wandb_workspaces.workspaces.Workspace` with the sweep's runs alone."""
    workspaces, panels = _libraries()
    sections = [
        workspaces.Section(name=name, panels=content, is_open=True) for name, content in _panels(sweep, panels).items()
    ]
    return workspaces.Workspace(
        entity=sweep.entity,
        project=sweep.project,
        name=f"scaseg {sweep.group}",
        sections=sections,
        runset_settings=workspaces.RunsetSettings(filters=_filter(sweep)),
    )


def report(sweep: Sweep, runs: Sequence[Run]) -> Any:
    """A `wandb_workspaces.reports.v2.Report`: the ablation table with means over seeds, and the panels."""
    _, panels = _libraries()
    runset = panels.Runset(
        entity=sweep.entity,
        project=sweep.project,
        name=sweep.group,
        filters=_filter(sweep),
        pinned_columns=["run:name", "summary:val/mIoU"],
        visible_columns=[f"config:{key}.value" for key in (*sweep.keys, "seed")],
    )
    blocks: list[Any] = [panels.H2("Ablation"), panels.MarkdownBlock(text=markdown(runs_table(runs)))]
    for name, content in _panels(sweep, panels).items():
        blocks += [panels.H2(name), panels.PanelGrid(runsets=[runset], panels=content)]
    return panels.Report(
        entity=sweep.entity,
        project=sweep.project,
        title=f"scaseg {sweep.group}"[:128],
        description="Means over seeds with their sample deviation; mIoU in percent.",
        blocks=blocks,
        width="fluid",
    )


def save(parts: Sequence[Any]) -> list[str]:
    """Save what was built; its addresses. Raises UserError where W&B does not take it or cannot be reached."""
    addresses = []
    for part in parts:
        try:
            part.save()
        except Exception as error:  # wandb's own, requests', and those of the libraries below them
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"W&B did not take it ({first}); save=false builds it alone") from error
        addresses.append(str(part.url))
    return addresses


def _filter(sweep: Sweep) -> str:
    return f"Metric('Group') = '{sweep.group}'"


def _panels(sweep: Sweep, panels: Any) -> dict[str, list[Any]]:
    summary, config = panels.SummaryMetric, panels.Config
    return {
        "mIoU against GFLOPs": [
            panels.ScatterPlot(title="mIoU against GFLOPs", x=summary("GFLOPs"), y=summary("val/mIoU")),
            panels.BarPlot(
                title="mIoU, mean over seeds",
                metrics=["val/mIoU"],
                groupby=config(sweep.keys[0]),
                groupby_aggfunc="mean",
                groupby_rangefunc="stddev",
            ),
        ],
        "Curves": [
            panels.LinePlot(title="validation mIoU", x=STEP, y=["val/mIoU"]),
            panels.LinePlot(title="training loss", x=STEP, y=["train/loss"], log_y=True),
        ],
        "IoU by class": [panels.LinePlot(title=name, x=STEP, y=[f"val/IoU/{name}"]) for name in sweep.classes],
        "Masks": [panels.MediaBrowser(title="truth and prediction", media_keys=["pictures"], num_columns=3)],
        "What differs": [panels.RunComparer(diff_only="split")],
    }


def _libraries() -> tuple[Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'scaseg[dashboard]'") from error
    return workspaces, reports

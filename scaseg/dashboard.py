"""python -m scaseg.dashboard: the Weights & Biases workspace and report of a sweep."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from scaseg.commands import command
from scaseg.errors import UserError


@dataclass
class DashboardConfig:
    """The command's keys."""

    runs: str = MISSING  # a folder of the sweep's run folders, or a glob
    entity: str | None = None  # user or team; null: of the runs
    project: str | None = None  # null: of the runs
    group: str | None = None  # null: the sweep that the runs belong to
    save: bool = True  # false: build alone, which needs neither account nor network


ConfigStore.instance().store(name="dashboard_schema", node=DashboardConfig)


@command("dashboard")
def main(cfg: DictConfig) -> None:
    """Build both from what the run folders say, and save them."""
    from scaseg.report.dashboard import describe, report, workspace
    from scaseg.report.runs import collect

    runs, problems = collect(cfg.runs)
    if not runs:
        raise UserError(f"runs={cfg.runs}: none of them can be used\n" + "\n".join(problems))
    sweep = describe(runs, cfg.entity, cfg.project, cfg.group)
    parts = [workspace(sweep), report(sweep, runs)]
    if not cfg.save:
        print(f"built, not saved: {sweep.entity}/{sweep.project}, group {sweep.group}, {len(runs)} runs")
        return
    from scaseg.training.wandb_log import has_account

    if not has_account():
        raise UserError(
            "saving needs a W&B account: `wandb login` or WANDB_API_KEY. Without one, the same view is"
            f" python -m scaseg.report format=html runs={cfg.runs} output=sweep.html"
        )
    for part in parts:
        part.save()
        print(part.url)


if __name__ == "__main__":
    main()

"""python -m scaseg.dashboard: the Weights & Biases workspace and report of a sweep."""

import sys
from dataclasses import dataclass

from scaseg.commands import command
from scaseg.errors import UserError
from scaseg.typed import REQUIRED

NO_ACCOUNT = (
    "saving needs a W&B account: `wandb login` or WANDB_API_KEY. Without one, the same view is"
    " python -m scaseg.report format=html runs={} output=sweep.html"
)


@dataclass
class DashboardConfig:
    """The command's keys."""

    runs: str = REQUIRED  # a folder of the sweep's run folders, or a glob
    entity: str | None = None  # user or team; null: of the runs
    project: str | None = None  # null: of the runs
    group: str | None = None  # null: the sweep that the runs belong to
    save: bool = True  # false: build alone, which needs neither account nor network


@command("dashboard", DashboardConfig)
def main(cfg: DashboardConfig) -> None:
    """Build both from what the run folders say, and save them."""
    from scaseg.report.dashboard import describe, report, save, workspace
    from scaseg.report.runs import collect

    runs, problems = collect(cfg.runs)
    if not runs:
        raise UserError(f"runs={cfg.runs}: none of them can be used\n" + "\n".join(problems))
    account = not cfg.save or _has_account()
    try:
        sweep = describe(runs, cfg.entity, cfg.project, cfg.group)
    except UserError as error:  # all that is wanting at once
        raise error if account else UserError(f"{error}; and {NO_ACCOUNT.format(cfg.runs)}") from error
    if not account:
        raise UserError(NO_ACCOUNT.format(cfg.runs))
    parts = [workspace(sweep), report(sweep, runs)]
    place = f"{sweep.entity}/{sweep.project}, group {sweep.group}, {len(runs)} runs"
    if not cfg.save:
        print(f"built, not saved: {place}")
        return
    print(f"saving at W&B: {place}", file=sys.stderr)
    print(*save(parts), sep="\n")


def _has_account() -> bool:
    from scaseg.training.loggers.wandb import has_account

    return has_account()


if __name__ == "__main__":
    main()

"""python -m scaseg.train: train one model, or a sweep of them with --multirun."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from scaseg.commands import command
from scaseg.config import TrainConfig, run_of
from scaseg.errors import UserError
from scaseg.runs import store
from scaseg.runs.records import check_place, leave, take
from scaseg.schema import Run, check_trainable


def refuse_failed(run: Run) -> None:
    """UserError for a sweep's run that failed before; hydra/launcher=local knows this before it starts a job."""
    if HydraConfig.get().mode is not RunMode.MULTIRUN or run.fresh or run.retry == "failed":
        return
    said = store.read(Path(run.output_dir) / run.name)
    if said["status"] == "failed":
        raise UserError(f"{run.name} failed before ({said.get('error')}): retry=failed starts it again")


@command("train", TrainConfig)
def main(cfg: TrainConfig) -> None:
    """Parse, check, and call scaseg.training.run."""
    from scaseg.runs.asked import asked

    wanted = run_of(cfg)
    check_trainable(wanted)
    run = asked(wanted)
    records = run.config.records
    if records is not None:
        check_place(records)
    taken = not run.config.fresh and take(run.config.name, run.folder, records)
    if taken:
        print(f"{run.folder} has its result from {records}")
    refuse_failed(run.config)
    from scaseg.training.run import train  # takes seconds: after all that may be wrong with what was asked
    from scaseg.training.trainer import process_rank

    train(run)
    if records is not None and not taken and process_rank() == 0:
        print(f"record:   {leave(run.folder, Path(records))}")


if __name__ == "__main__":
    main()

"""One training run, from what was asked to result.json."""

import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import torch
import yaml
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers.logger import Logger

from scaseg.data.datasets import trained_on
from scaseg.errors import UserError
from scaseg.evaluation.levels import EVEN
from scaseg.evaluation.metrics import Scores, table
from scaseg.evaluation.more_metrics import COLUMNS, lines
from scaseg.files import write_text
from scaseg.runs.asked import Asked
from scaseg.runs.checkpoint import read_checkpoint
from scaseg.runs.counts import write_counts
from scaseg.runs.figures import describe, figures, more_figures
from scaseg.runs.folder import CHECKPOINTS, CONFIG, RESULT
from scaseg.runs.result import Result, git_commit, has_result, read_result, write_result
from scaseg.runs.store import claimed, reporting
from scaseg.schema import Run
from scaseg.training.checkpoints import Checkpoints
from scaseg.training.checks import check_batch, check_data, drawn_from, say_ignored, synchronises
from scaseg.training.class_pixels import sentences, with_pixels
from scaseg.training.csv_log import CsvLog
from scaseg.training.datamodule import SegmentationData
from scaseg.training.ending import build_callbacks, out_of_time
from scaseg.training.journal import columns
from scaseg.training.media import Rewinds
from scaseg.training.start import Start, find_start, load_weights
from scaseg.training.stop import Stopped
from scaseg.training.strip_watch import strip_columns
from scaseg.training.task import SegmentationTask
from scaseg.training.teacher import load_teacher
from scaseg.training.trainer import build_trainer, process_rank
from scaseg.training.watchers import Watchers, loggers, watchers
from scaseg.typed import to_plain

log = logging.getLogger("scaseg")


def train(run: Asked, extra_callbacks: Sequence[Callback] = ()) -> Result:
    """Train, or go on with, a run; returns the content of result.json.

    Under several processes each calls this; the first writes the files. Raises UserError for what the user can
    put right, before the run folder is made wherever that is possible.
    """
    folder, commit = run.folder, git_commit()
    if has_result(folder) and not run.config.fresh:
        return _done_before(folder, run.config.metrics)
    first = process_rank() == 0
    with claimed(folder, run.config.fresh) if first else reporting(folder):
        if first and has_result(folder):  # another process has finished it meanwhile
            return _done_before(folder, run.config.metrics)
        return _train(run, folder, extra_callbacks, commit)


def _train(run: Asked, folder: Path, extra_callbacks: Sequence[Callback], commit: str | None) -> Result:
    first = process_rank() == 0
    if run.config.hardware.threads:
        torch.set_num_threads(run.config.hardware.threads)
    check_data(run)
    run = replace(run, config=with_pixels(run))
    config, recipe = run.config, run.config.training
    seed_everything(config.seed, verbose=False)
    teacher = load_teacher(config.teacher, run.val.labels) if config.teacher and recipe.max_steps else None
    task = SegmentationTask(config, run.val.labels, teacher)
    task.configure_optimizers()  # what it refuses is said before there is a folder
    data = SegmentationData(config, run.train, run.val, run.more)
    start = find_start(folder, config, task) if recipe.max_steps else Start()
    if not recipe.max_steps:
        load_weights(config, task)
    else:
        check_batch(config, task.model)
    seen = _say_what_counts(run)

    watch = watchers(run, folder)
    logged = columns(run.val.labels.names, task.metrics, teacher is not None, task.task.questions)
    logged += strip_columns(task.model.decoder)
    csv_log = CsvLog(folder / "metrics.csv", logged)
    logs, asked = loggers(config, folder, csv_log), build_callbacks(config.callbacks, recipe.max_time, csv_log.columns)
    trainer = _trainer(config, folder, logs, [*extra_callbacks, *asked, *watch.callbacks])
    if first:
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        write_text(folder / CONFIG, yaml.safe_dump(to_plain(config), sort_keys=False))
    if recipe.compile:
        task.model.compile()
    with _logged(folder, first, "resuming" if start.checkpoint else "starting", watch.checkpoints):
        for sentence in (*sentences(config, run.val.labels), *drawn_from(run)) if first else ():
            log.info(sentence)
        for one in logs if first else ():
            if isinstance(one, Rewinds):
                one.rewind(start.step)
        _fit(trainer, task, data, start, watch)
        counts = watch.counts.all([run.val.name(i) for i in range(len(run.val))])
        plain = _plain_scores(trainer, task, data, watch)
    result = _result(run, task, trainer, watch, plain, seen, commit)
    if first:
        write_counts(folder, counts)
        write_result(folder, result)
        _print(result, watch, run.val.labels.names, folder)
    return result


def _fit(trainer: Trainer, task: SegmentationTask, data: SegmentationData, start: Start, watch: Watchers) -> None:
    if task.config.training.max_steps:
        trainer.fit(task, data, ckpt_path=start.checkpoint, weights_only=True)
        if trainer.global_step < task.config.training.max_steps:
            by = "training.max_time" if out_of_time(trainer) else ", ".join(task.config.callbacks)
            log.info("%s ended training at step %d of %d", by, trainer.global_step, task.config.training.max_steps)
    if watch.journal.scores is not None:
        return
    if start.checkpoint is not None:  # of the last step: the average, where there is one, and not what was trained
        task.load_state_dict(read_checkpoint(start.checkpoint, "ckpt_path").state)
    trainer.validate(task, data, verbose=False)


def _plain_scores(trainer: Trainer, task: SegmentationTask, data: SegmentationData, watch: Watchers) -> Scores | None:
    """Those of the weights that an average is of; None without one."""
    if watch.average is None:
        return None
    log.info("evaluating the weights beside their average")
    watch.average.end()
    of_average, chosen = (watch.journal.scores, watch.journal.matrix), watch.pictures.chosen
    watch.pictures.chosen = []
    weights = read_checkpoint(watch.checkpoints.last, "ckpt_path").plain_state
    assert weights is not None
    task.load_state_dict(weights)
    trainer.validate(task, data, verbose=False)
    plain = watch.journal.scores
    (watch.journal.scores, watch.journal.matrix), watch.pictures.chosen = of_average, chosen
    return plain


def _say_what_counts(run: Asked) -> int:
    """Warn of settings that do nothing, and of val images that are trained on; returns how many these are."""
    say_ignored(run.config, run.val)
    dataset, seen = run.config.dataset, trained_on(run.train, run.val)
    if seen:
        log.warning(
            "%d of %d images of val_split=%s are trained on (train_split=%s): figures on them say nothing of others",
            *(seen, len(run.val), dataset.val_split, dataset.train_split),
        )
    return seen


def _result(
    run: Asked,
    task: SegmentationTask,
    trainer: Trainer,
    watch: Watchers,
    plain: Scores | None,
    seen: int,
    commit: str | None,
) -> Result:
    assert watch.journal.scores is not None
    return {
        "status": "done",
        "run": run.config.name,
        **describe(run.config, task.model, run.val.labels, watch.journal.scores, commit),  # type: ignore[typeddict-item]
        "split": run.config.dataset.val_split,
        "evaluated_images_trained_on": seen,
        "best": watch.checkpoints.best_result,
        "metrics": more_figures(watch.journal.more),
        "plain_weights": None if plain is None else figures(plain, run.val.labels),
        "step": trainer.global_step,
        "world_size": trainer.world_size,
        "wall_time_s": watch.journal.wall_time,
    }


def _print(result: Result, watch: Watchers, names: Sequence[str], folder: Path) -> None:
    assert watch.journal.scores is not None
    print(table(watch.journal.scores, names))
    asked = len(names) - len(watch.journal.scores.thresholds)
    if nowhere := [name for name, n in zip(names[asked:], watch.journal.scores.pixels[asked:], strict=True) if not n]:
        log.warning("no pixel of the validation images is %s: its threshold stays %s", ", ".join(nowhere), EVEN)
    for line in lines(result.get("metrics", {})):
        print(line)
    if result["plain_weights"] is not None:
        print(f"without the average: mIoU {result['plain_weights']['mIoU']:.2f}")
    if result["best"]["step"] is not None:
        print(f"best mIoU {result['best']['mIoU']:.2f} at step {result['best']['step']}")
    if watch.pictures.path:
        print(f"pictures: {watch.pictures.path}")
    print(f"result:   {folder / RESULT}")


@contextmanager
def _logged(folder: Path, first: bool, beginning: str, checkpoints: Checkpoints) -> Iterator[None]:
    """Keep log.txt, with the traceback where the run is cut off; end what loggers have open."""
    handler = logging.FileHandler(folder / "log.txt") if first else logging.NullHandler()
    logging.getLogger().addHandler(handler)
    if first:
        log.info("%s %s", beginning, folder)
    cut_off = True
    try:
        yield
        cut_off = False
    except UserError as error:
        handler.handle(logging.makeLogRecord({"msg": f"error: {error}"}))
        raise
    except Exception:
        handler.handle(logging.makeLogRecord({"msg": "cut off", "exc_info": sys.exc_info()}))
        log.error("%s was cut off; the same command %s", folder, checkpoints.next_start)
        raise
    except BaseException as stop:  # Stopped; an interrupt outside of training, which Lightning turns into SystemExit
        if first:
            log.warning("%s was stopped; the same command %s", folder, checkpoints.next_start)
        if isinstance(stop, Stopped):
            raise SystemExit(128 + stop.number) from None
        if isinstance(stop, SystemExit) and not stop.code:  # Lightning's for SIGTERM would pass for success
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        if "wandb" in sys.modules:  # hydra/launcher=basic runs many jobs in one process, each with a W&B run of its own
            sys.modules["wandb"].finish(exit_code=int(cut_off))
        logging.getLogger().removeHandler(handler)
        handler.close()


def _trainer(config: Run, folder: Path, loggers: list[Logger], callbacks: list[Callback]) -> Trainer:
    recipe, hardware = config.training, config.hardware
    world = hardware.world_size
    _, accumulate = recipe.accumulation(world)
    return build_trainer(
        hardware,
        recipe.precision,
        callbacks,
        max_steps=recipe.max_steps,
        max_epochs=-1,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=recipe.grad_clip,
        val_check_interval=recipe.validated_every * accumulate,
        check_val_every_n_epoch=None,
        deterministic=recipe.deterministic,
        sync_batchnorm=recipe.sync_batchnorm and world > 1 and synchronises(config),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=loggers,
        default_root_dir=folder,
    )


def _done_before(folder: Path, metrics: Sequence[str]) -> Result:
    result = read_result(folder)
    figure = "no label to score" if result["mIoU"] is None else f"mIoU {result['mIoU']:.2f}"
    print(f"{folder} is done: {figure} ({result['split']}). fresh=true starts it again")
    if lacking := [name for name in metrics if COLUMNS[name] not in result.get("metrics", {})]:
        asked = f"ckpt={folder} metrics=[{','.join(lacking)}]"
        print(f"its validations were not asked for {', '.join(lacking)}: python -m scaseg.evaluate {asked}")
    return result

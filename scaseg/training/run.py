"""One training run, from its configuration to result.json."""

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers.logger import Logger
from omegaconf import OmegaConf

from scaseg.config import accumulation
from scaseg.data.datasets import Source, trained_on
from scaseg.errors import UserError
from scaseg.metrics import table
from scaseg.models.encoders.weights import load_encoder_weights
from scaseg.models.weights import load_model_weights
from scaseg.run_store import claimed, reporting
from scaseg.training.checkpoints import Checkpoints
from scaseg.training.csv_log import CsvLog
from scaseg.training.datamodule import SegmentationData
from scaseg.training.folder import checkpoint_to_resume, process_rank
from scaseg.training.heartbeat import Heartbeat
from scaseg.training.journal import CounterRandomness, Journal, columns
from scaseg.training.loading import check_architecture, load_checkpoint
from scaseg.training.pictures import Pictures, spread
from scaseg.training.progress import ProgressLine
from scaseg.training.results import describe, git_commit, write_json
from scaseg.training.strip_watch import StripWatch, strip_columns
from scaseg.training.task import SegmentationTask
from scaseg.training.trainer import build_trainer

log = logging.getLogger("scaseg")


def train(
    config: dict[str, Any],
    name: str,
    train_source: Source | None,
    val_source: Source,
    extra_callbacks: tuple[Callback, ...] = (),
) -> dict[str, Any]:
    """Train, or go on with, the run `name` of the resolved configuration; returns the content of result.json.

    train_source: None for a run of no steps, which evaluates the weights that it is given and keeps them.
    Under several processes each calls this; the first writes the files. Raises UserError for what the user can
    put right, before the run folder is made wherever that is possible.
    """
    folder, commit = Path(config["output_dir"]) / name, git_commit()
    if (folder / "result.json").exists() and not config["fresh"]:
        return _done_before(folder)
    first = process_rank() == 0
    with claimed(folder, config["fresh"]) if first else reporting(folder):
        if first and (folder / "result.json").exists():  # another process has finished it meanwhile
            return _done_before(folder)
        return _train(config, folder, train_source, val_source, extra_callbacks, commit)


def _train(
    config: dict[str, Any],
    folder: Path,
    train_source: Source | None,
    val_source: Source,
    extra_callbacks: tuple[Callback, ...],
    commit: str | None,
) -> dict[str, Any]:
    name, first = folder.name, process_rank() == 0
    if config["hardware"]["threads"]:
        torch.set_num_threads(config["hardware"]["threads"])

    seed_everything(config["seed"], verbose=False)
    labels = val_source.labels
    task = SegmentationTask(config, labels)
    data = SegmentationData(config, train_source, val_source)
    anew = config["fresh"] or not config["training"]["max_steps"]
    resume = None if anew else checkpoint_to_resume(folder, config["ckpt_path"], config["output_dir"])
    start = 0 if resume is None else _step_of(resume, config, task)
    if resume is None and config["backbone"].get("weights"):
        report = load_encoder_weights(
            task.model.encoder,
            config["backbone"]["name"],
            config["backbone"]["weights"],
            config["backbone"].get("weights_sha256"),
        )
        log.info("encoder weights from %s: %s", config["backbone"]["weights"], report)
    if resume is None and config["decoder"].get("weights"):
        report = load_model_weights(
            task.model,
            config["backbone"]["name"],
            config["decoder"]["name"],
            config["decoder"]["weights"],
            config["decoder"].get("weights_sha256"),
            trains=config["training"]["max_steps"] > 0,
        )
        log.info("model weights from %s: %s", config["decoder"]["weights"], report)

    recipe, dataset = config["training"], config["dataset"]
    seen = trained_on(train_source, val_source)
    if seen:
        log.warning(
            "%d of %d images of val_split=%s are trained on (train_split=%s): figures on them say nothing of others",
            *(seen, len(val_source), dataset["val_split"], dataset["train_split"]),
        )
    val_every = max(1, min(recipe["val_every"], recipe["max_steps"]))
    journal = Journal(recipe["log_every"])
    checkpoints = Checkpoints(folder / "checkpoints", recipe["checkpoint_every"], val_every, journal)
    names = [val_source.name(i) for i in range(len(val_source))]
    pictures = Pictures(folder / "pictures", labels, spread(names, config["pictures"]))
    callbacks: list[Callback] = [
        CounterRandomness(config["seed"]),
        journal,
        ProgressLine(recipe["max_steps"]),
        StripWatch(recipe["log_every"]),
        Heartbeat(folder, recipe["max_steps"], checkpoints),
        pictures,
    ]
    if recipe["ema_decay"] is not None and recipe["max_steps"]:
        callbacks.insert(0, EMAWeightAveraging(decay=recipe["ema_decay"]))
    if config["logger"]["name"] == "wandb":
        from scaseg.training.wandb_log import WandbMedia

        callbacks.append(WandbMedia(labels, pictures, journal))
    callbacks = [*extra_callbacks, *callbacks, checkpoints]
    if first:
        (folder / "checkpoints").mkdir(exist_ok=True)
        OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    csv_log = CsvLog(folder / "metrics.csv", [*columns(labels.names), *strip_columns(task.model.decoder)])
    trainer = _trainer(config, folder, _loggers(config, name, folder, csv_log), callbacks, val_every)
    if recipe["compile"]:
        task.model.compile()
    with _logged(folder, first, "resuming" if resume else "starting"):
        if first:
            csv_log.rewind(start)
        if recipe["max_steps"]:
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
        if journal.scores is None:  # resumed at its last step, or none to take
            trainer.validate(task, data, verbose=False)
    assert journal.scores is not None
    result = {
        "status": "done",
        "run": name,
        **describe(config, task.model, labels, journal.scores, commit),
        "split": dataset["val_split"],
        "images_trained_on": seen,
        "best": {"step": checkpoints.best_step, "mIoU": checkpoints.best_value},
        "step": trainer.global_step,
        "world_size": trainer.world_size,
        "wall_time_s": journal.wall_time,
    }
    if first:
        write_json(folder / "result.json", result)
        print(table(journal.scores, labels.names))
        print(f"best mIoU {checkpoints.best_value:.2f} at step {checkpoints.best_step}")
        if pictures.path:
            print(f"pictures: {pictures.path}")
        print(f"result:   {folder / 'result.json'}")
    return result


@contextmanager
def _logged(folder: Path, first: bool, beginning: str) -> Iterator[None]:
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
        log.error("%s was cut off; the same command resumes it", folder)
        raise
    except BaseException as stop:  # an interrupt from the keyboard, which Lightning turns into SystemExit; SIGTERM
        log.warning("%s was stopped; the same command resumes it", folder)
        if isinstance(stop, SystemExit) and not stop.code:  # Lightning's for SIGTERM would pass for success
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        if "wandb" in sys.modules:  # hydra/launcher=basic runs many jobs in one process, each with a W&B run of its own
            sys.modules["wandb"].finish(exit_code=int(cut_off))
        logging.getLogger().removeHandler(handler)
        handler.close()


def _trainer(
    config: dict[str, Any], folder: Path, loggers: list[Logger], callbacks: list[Callback], val_every: int
) -> Trainer:
    recipe, hardware = config["training"], config["hardware"]
    world = hardware["devices"] * hardware["num_nodes"]
    _, accumulate = accumulation(recipe["batch_size"], recipe["batch_size_per_device"], world)
    on_gpu = hardware["accelerator"] != "cpu" and torch.cuda.is_available()
    return build_trainer(
        hardware,
        recipe["precision"],
        callbacks,
        max_steps=recipe["max_steps"],
        max_epochs=-1,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=recipe["grad_clip"],
        val_check_interval=val_every * accumulate,
        check_val_every_n_epoch=None,
        deterministic=recipe["deterministic"],
        sync_batchnorm=recipe["sync_batchnorm"] and world > 1 and on_gpu,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=loggers,
        default_root_dir=folder,
    )


def _loggers(config: dict[str, Any], name: str, folder: Path, csv_log: CsvLog) -> list[Logger]:
    loggers: list[Logger] = [csv_log]
    if config["logger"]["name"] == "wandb":
        from scaseg.training.wandb_log import wandb_logger

        loggers.append(wandb_logger(config, name, folder))
    return loggers


def _step_of(path: Path, config: dict[str, Any], task: SegmentationTask) -> int:
    """The step of a checkpoint to go on from; UserError where it does not fit the task."""
    checkpoint = load_checkpoint(path, "ckpt_path")
    check_architecture(config, checkpoint, task.state_dict())
    return int(checkpoint["global_step"])


def _done_before(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    print(f"{folder} is done: mIoU {result['mIoU']:.2f} ({result['split']}). fresh=true starts it again")
    return result

"""Evaluation of a checkpoint by the steps that training itself uses."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback

from scaseg.config import merge_protocol
from scaseg.data import fingerprint
from scaseg.data.build import build_source
from scaseg.data.datasets import trained_on
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.evaluation.metrics import table
from scaseg.evaluation.submission import Export
from scaseg.runs.checkpoint import check_architecture, load_checkpoint
from scaseg.runs.figures import describe
from scaseg.runs.folder import RESULT, checkpoint_of, run_of
from scaseg.runs.result import git_commit, has_result, write_result
from scaseg.training.datamodule import SegmentationData
from scaseg.training.journal import Journal
from scaseg.training.pictures import Pictures, spread
from scaseg.training.progress import EvaluationLine
from scaseg.training.submission import ExportPredictions
from scaseg.training.task import SegmentationTask
from scaseg.training.trainer import build_trainer

log = logging.getLogger("scaseg")


def evaluate(options: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the checkpoint `options["ckpt"]`; prints the table, writes and returns the result.

    The result goes into `evaluation/<split>-<hash of checkpoint, data and protocol>` beside the checkpoint's folder, or
    into `options["output"]`, which must not hold a result yet.
    """
    path, commit = checkpoint_of(options["ckpt"], "ckpt"), git_commit()
    checkpoint = load_checkpoint(path, "ckpt")
    config = checkpoint["scaseg"]["config"]
    config["protocol"] = merge_protocol(config["protocol"], options["protocol"])
    hardware = options["hardware"]
    batch_size = hardware["eval_batch_size"] or config["hardware"]["eval_batch_size"] or 1
    config["hardware"] = {**hardware, "eval_batch_size": batch_size}
    if hardware["threads"]:
        torch.set_num_threads(hardware["threads"])
    split = options["split"] or config["dataset"]["val_split"]
    data_dir = options["data_dir"] or config["data_dir"]
    source = build_source(config["dataset"], data_dir, split)
    if source.labels.names != tuple(checkpoint["scaseg"]["classes"]):
        raise UserError(
            f"{path} knows the classes {', '.join(checkpoint['scaseg']['classes'])}, the dataset has"
            f" {', '.join(source.labels.names)}"
        )
    if not source.labelled and options["export"] is None:
        raise UserError(f"split={split} has no masks to compare with: export=FOLDER writes what the benchmark compares")
    data = fingerprint.of_split(source)
    folder = _output_folder(path, split, data, config["protocol"], options["output"])
    export = None if options["export"] is None else Export(Path(options["export"]), source)

    task = SegmentationTask(config, source.labels)
    check_architecture(config, checkpoint, task.state_dict())
    task.load_state_dict(checkpoint["state_dict"])
    journal = Journal(1)
    names = [source.name(i) for i in range(len(source))]
    pictures = Pictures(folder, source.labels, spread(names, options["pictures"]))
    callbacks: list[Callback] = [journal, pictures, EvaluationLine()]
    if export is not None:
        callbacks.append(ExportPredictions(export, journal))
    trainer = build_trainer(hardware, config["training"]["precision"], callbacks, logger=False)
    trainer.validate(task, SegmentationData(config, None, source), verbose=False)
    scores = journal.scores if source.labelled else None
    result = {
        "status": "done",
        "checkpoint": str(path),
        "step": checkpoint["global_step"],
        **describe(config, task.model, source.labels, scores, commit),
        "split": split,
        "images": len(source),
        "fingerprint": data,
        "evaluated_images_trained_on": _trained_on(config, data_dir, source),
        "export": None if export is None else str(export.archive),
        "world_size": trainer.world_size,
    }
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        write_result(folder, result)
        if scores is not None:
            print(table(scores, source.labels.names))
            if not sum(scores.pixels):
                log.warning("no pixel of split=%s is labelled: there is nothing to score", split)
        print(f"protocol: {described(config['protocol'])}, {split}, {len(source)} images")
        if pictures.path:
            print(f"pictures: {pictures.path}")
        if export is not None:
            print(f"export:   {export.archive}, read back and sound")
        print(f"result:   {folder / RESULT}")
    return result


def _trained_on(config: dict[str, Any], data_dir: str | None, source: Source) -> int | None:
    """How many of these images the checkpoint was trained on; None where its train split is not there to look."""
    try:
        train_source = build_source(config["dataset"], data_dir, config["dataset"]["train_split"])
    except UserError:
        return None
    seen = trained_on(train_source, source)
    if seen:
        log.warning("%d of these %d images were trained on: figures on them say nothing of others", seen, len(source))
    return seen


def described(protocol: dict[str, Any]) -> str:
    """The protocol in words."""
    size = f"in a box of {protocol['box']}" if protocol["box"] else "at the image's own size"
    if list(protocol["scales"]) != [1.0]:
        size += f", scales {protocol['scales']}"
    if protocol["flip"]:
        size += ", flipped too"
    if protocol["mode"] == "slide":
        return f"windows {protocol['window']}, stride {protocol['stride']}, {size}"
    return f"whole image {size}"


def _output_folder(path: Path, split: str, data: str, protocol: dict[str, Any], output: str | None) -> Path:
    if output is not None:
        if has_result(Path(output)):
            raise UserError(f"output={output} holds a result.json already: name another folder")
        return Path(output)
    told = f"{data} {sorted(protocol.items())}".encode()
    digest = hashlib.sha256(path.read_bytes() + told).hexdigest()[:8]
    return run_of(path) / "evaluation" / f"{split}-{path.stem}-{digest}"

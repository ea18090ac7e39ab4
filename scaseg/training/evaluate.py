"""Evaluation of a checkpoint by the steps that training itself uses."""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback

from scaseg.config import merge_protocol
from scaseg.data import fingerprint
from scaseg.data.build import build_source
from scaseg.data.datasets import trained_on
from scaseg.data.mixture import folder_of
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.evaluation.levels import thresholds_asked
from scaseg.evaluation.metrics import table
from scaseg.evaluation.more_metrics import lines
from scaseg.evaluation.submission import SubmissionWriter
from scaseg.files import check_writable
from scaseg.identity import without_later
from scaseg.runs.checkpoint import check_architecture, read_checkpoint
from scaseg.runs.counts import write_counts
from scaseg.runs.figures import describe, more_figures
from scaseg.runs.folder import RESULT, checkpoint_of, run_of
from scaseg.runs.result import Result, git_commit, has_result, write_result
from scaseg.schema import EvaluateConfig, Run
from scaseg.training.datamodule import SegmentationData
from scaseg.training.image_counts import CountImages
from scaseg.training.journal import Journal
from scaseg.training.pictures import Pictures, spread
from scaseg.training.progress import EvaluationLine
from scaseg.training.submission import WriteSubmission
from scaseg.training.task import SegmentationTask
from scaseg.training.trainer import build_trainer
from scaseg.typed import to_plain

log = logging.getLogger("scaseg")


def evaluate(options: EvaluateConfig) -> Result:
    """Evaluate the checkpoint `options.ckpt`; prints the table, writes and returns the result.

    The result goes into `evaluation/<split>-<hash of checkpoint, data, protocol and metrics>` beside the checkpoint's
    folder, or into `options.output`, which must not hold a result yet.
    """
    path, commit = checkpoint_of(options.ckpt, "ckpt"), git_commit()
    checkpoint = read_checkpoint(path, "ckpt")
    run = checkpoint.run
    at_once = options.hardware.eval_batch_size or run.hardware.eval_batch_size or 1
    hardware = replace(options.hardware, eval_batch_size=at_once)
    metrics = run.metrics if options.metrics is None else options.metrics
    run = replace(run, protocol=merge_protocol(run.protocol, options.protocol), hardware=hardware, metrics=metrics)
    if hardware.threads:
        torch.set_num_threads(hardware.threads)
    split = options.split or run.dataset.val_split
    data_dir = options.data_dir or run.data_dir
    source = build_source(run.dataset, data_dir, split)
    if source.labels.names != checkpoint.classes:
        raise UserError(
            f"{path} knows the classes {', '.join(checkpoint.classes)}, the dataset has"
            f" {', '.join(source.labels.names)}"
        )
    if not source.labelled and options.submission is None:
        raise UserError(
            f"split={split} has no masks to compare with: submission=FOLDER writes what the benchmark compares"
        )
    data = fingerprint.of_split(source)
    folder = _output_folder(path, split, f"{data}{options.threshold or ''}", run, options.output)
    check_writable("output", folder)
    if options.submission is not None:
        check_writable("submission", Path(options.submission))
    submission = None if options.submission is None else SubmissionWriter(Path(options.submission), source)

    thresholds = thresholds_asked(options.threshold, checkpoint.thresholds, run.task)
    task = SegmentationTask(run, source.labels, given=thresholds)
    check_architecture(run, checkpoint, task.state_dict())
    task.load_state_dict({key: checkpoint.state[key] for key in task.state_dict()})
    counts = CountImages("boundary" in metrics)
    journal = Journal(1, counts)
    names = [source.name(i) for i in range(len(source))]
    pictures = Pictures(folder, source.labels, spread(names, options.pictures), run.dataset.form)
    callbacks: list[Callback] = [journal, pictures, counts, EvaluationLine()]
    if submission is not None:
        callbacks.append(WriteSubmission(submission, journal))
    trainer = build_trainer(hardware, run.training.precision, callbacks, logger=False)
    trainer.validate(task, SegmentationData(run, None, source), verbose=False)
    scores = journal.scores if source.labelled else None
    counted = counts.all(names)
    result: Result = {
        "status": "done",
        "checkpoint": str(path),
        "step": checkpoint.step,
        **describe(run, task.model, source.labels, scores, commit),  # type: ignore[typeddict-item]
        "metrics": more_figures(journal.more),
        "split": split,
        "images": len(source),
        "fingerprint": data,
        "evaluated_images_trained_on": _trained_on(run, data_dir, source),
        "submission": None if submission is None else str(submission.archive),
        "world_size": trainer.world_size,
    }
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        if source.labelled:
            write_counts(folder, counted)
        write_result(folder, result)
        if scores is not None:
            print(table(scores, source.labels.names))
            for line in lines(result["metrics"]):
                print(line)
            if not sum(scores.pixels):
                log.warning("no pixel of split=%s is labelled: there is nothing to score", split)
        print(f"protocol: {run.protocol.in_words}, {split}, {len(source)} images")
        if pictures.path:
            print(f"pictures: {pictures.path}")
        if submission is not None:
            print(f"submission: {submission.archive}, read back and sound")
        print(f"result:   {folder / RESULT}")
    return result


def _trained_on(run: Run, data_dir: str | None, source: Source) -> int | None:
    """How many of these images the checkpoint was trained on; None where what it learned from is not there to look."""
    try:
        train_source = build_source(run.dataset, data_dir, run.dataset.train_split)
        more = [folder_of(one) for one in run.more_data]
    except UserError:
        return None
    seen = trained_on(train_source, source, more)
    if seen:
        log.warning("%d of these %d images were trained on: figures on them say nothing of others", seen, len(source))
    return seen


def _output_folder(path: Path, split: str, data: str, run: Run, output: str | None) -> Path:
    if output is not None:
        if has_result(Path(output)):
            raise UserError(f"output={output} holds a result.json already: name another folder")
        return Path(output)
    protocol = without_later(to_plain(run.protocol), "protocol.")
    told = f"{data} {sorted(protocol.items())}{sorted(run.metrics) or ''}".encode()
    digest = hashlib.sha256(path.read_bytes() + told).hexdigest()[:8]
    return run_of(path) / "evaluation" / f"{split}-{path.stem}-{digest}"

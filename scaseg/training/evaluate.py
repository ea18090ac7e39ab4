"""Evaluation of a checkpoint by the steps that training itself uses."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.config import Protocol, check_protocol, plain
from scaseg.data.build import build_source
from scaseg.errors import UserError
from scaseg.metrics import table
from scaseg.training.datamodule import SegmentationData
from scaseg.training.journal import Journal
from scaseg.training.pictures import Pictures, spread
from scaseg.training.progress import EvaluationLine
from scaseg.training.results import describe, git_commit, write_json
from scaseg.training.task import SegmentationTask, check_architecture

log = logging.getLogger("scaseg")


def evaluate(options: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the checkpoint `options["ckpt"]`; prints the table, writes and returns the result.

    The result goes into `evaluation/<split>-<hash of checkpoint and protocol>` beside the checkpoint's folder, or
    into `options["output"]`, which must not hold a result yet.
    """
    path, commit = Path(options["ckpt"]), git_commit()
    checkpoint = load_checkpoint(path)
    config = checkpoint["scaseg"]["config"]
    config["protocol"] = _protocol(config["protocol"], options["protocol"])
    config["hardware"] = {**options["hardware"], "eval_batch_size": config["hardware"]["eval_batch_size"]}
    split = options["split"] or config["dataset"]["val_split"]
    data_dir = options["data_dir"] or config["data_dir"]
    source = build_source(config["dataset"], data_dir, split)
    if source.labels.names != tuple(checkpoint["scaseg"]["classes"]):
        raise UserError(
            f"{path} knows the classes {', '.join(checkpoint['scaseg']['classes'])}, the dataset has"
            f" {', '.join(source.labels.names)}"
        )
    folder = _output_folder(path, split, config["protocol"], options["output"])

    task = SegmentationTask(config, source.labels)
    check_architecture(config, checkpoint, task.state_dict())
    task.load_state_dict(checkpoint["state_dict"])
    journal = Journal(1)
    names = [source.name(i) for i in range(len(source))]
    pictures = Pictures(folder, source.labels, spread(names, options["pictures"]))
    hardware = config["hardware"]
    world = hardware["devices"] * hardware["num_nodes"]
    trainer = Trainer(
        accelerator=hardware["accelerator"],
        devices=hardware["devices"],
        num_nodes=hardware["num_nodes"],
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        precision=config["training"]["precision"],
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        callbacks=[journal, pictures, EvaluationLine()],
    )
    trainer.validate(task, SegmentationData(config, None, source), verbose=False)
    assert journal.scores is not None
    result = {
        "status": "done",
        "checkpoint": str(path),
        "step": checkpoint["global_step"],
        **describe(config, task.model, source.labels, journal.scores, commit),
        "split": split,
        "world_size": trainer.world_size,
    }
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "result.json", result)
        print(table(journal.scores, source.labels.names))
        print(f"protocol: {described(config['protocol'])}, {split}, {len(source)} images")
        if pictures.path:
            print(f"pictures: {pictures.path}")
        print(f"result:   {folder / 'result.json'}")
    return result


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of ours as a dict, tensors on the CPU; UserError where the file is not one."""
    if not path.is_file():
        raise UserError(f"ckpt={path}: no such file")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"ckpt={path}: not a checkpoint that can be read ({type(error).__name__})") from error
    if "scaseg" not in checkpoint:
        raise UserError(f"ckpt={path}: not written by scaseg.train (it has no `scaseg` entry)")
    return checkpoint


def described(protocol: dict[str, Any]) -> str:
    """The protocol in words."""
    size = f"in a box of {protocol['box']}" if protocol["box"] else "at the image's own size"
    if protocol["mode"] == "slide":
        return f"windows {protocol['window']}, stride {protocol['stride']}, {size}"
    return f"whole image {size}"


def _protocol(saved: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Protocol), saved, changes)
    except OmegaConfBaseException as error:
        raise UserError(f"protocol: {error}") from error
    check_protocol(merged)
    return plain(merged)


def _output_folder(path: Path, split: str, protocol: dict[str, Any], output: str | None) -> Path:
    if output is not None:
        if (Path(output) / "result.json").exists():
            raise UserError(f"output={output} holds a result.json already: name another folder")
        return Path(output)
    digest = hashlib.sha256(path.read_bytes() + repr(sorted(protocol.items())).encode()).hexdigest()[:8]
    run = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return run / "evaluation" / f"{split}-{path.stem}-{digest}"

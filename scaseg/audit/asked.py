"""What an audit is asked for: which masks, by which models, and where it is written. Imports nothing heavy."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from scaseg.audit.folds import Folds, of_groups, of_images, training_of
from scaseg.audit.options import AuditConfig
from scaseg.config import run_of
from scaseg.data import fingerprint
from scaseg.data.build import build_source, groups_of
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.files import check_writable, write_json
from scaseg.parts import DatasetPart
from scaseg.runs.asked import Asked
from scaseg.runs.folder import SAVED_WEIGHTS
from scaseg.schema import check_trainable

ASKED = "asked.json"


@dataclass(frozen=True)
class Audit:
    """source: the masks. trainings: of the folds, none where a trained model judges. identity: what the findings
    follow from. said: for people, where the models come from.
    """

    source: Source
    dataset: DatasetPart
    trainings: list[Asked]
    identity: str
    folder: Path
    said: list[str]


def by_folds(cfg: AuditConfig) -> Audit:
    """Out-of-fold: UserError where the masks are not there, too few, or the training cannot be."""
    run = run_of(cfg)
    check_trainable(run)
    if not run.training.max_steps:
        raise UserError("training.max_steps=0: a fold's model must learn; a trained one judges by ckpt=RUN")
    source = masks_of(run.dataset, run.data_dir, cfg.split)
    if len(source) < 2:
        raise UserError(f"split={source.split} of {run.dataset.name} has one image: folds need two at least")
    cut = of_groups if cfg.folds_of == "groups" else of_images
    folds: Folds = cut([source.name(i) for i in range(len(source))], groups_of(run.dataset), cfg.folds)
    trainings = [training_of(run, source, folds, fold) for fold in range(folds.count)]
    said = [f"Out-of-fold: each mask is judged by a model that was trained without it, in {folds.said}."]
    if not folds.alone:
        said.append(
            "So images like those of a fold were trained on: an error that they share may not be seen."
            + " folds_of=groups keeps them apart." * (cfg.folds_of != "groups")
        )
    identity = _identity(cfg, *(one.config.name for one in trainings))
    return Audit(source, run.dataset, trainings, identity, _folder(cfg, run.dataset, source, identity), said)


def by_model(cfg: AuditConfig, dataset: DatasetPart, data_dir: str | None, model: Path) -> Audit:
    """By one trained model, which may have been trained on these masks."""
    source = masks_of(dataset, data_dir, cfg.split)
    file = model / SAVED_WEIGHTS if model.is_dir() else model
    identity = _identity(cfg, fingerprint.of_file(file), fingerprint.of_split(source))
    return Audit(source, dataset, [], identity, _folder(cfg, dataset, source, identity), [])


def masks_of(dataset: DatasetPart, data_dir: str | None, split: str | None) -> Source:
    """The split that is asked for, else the one that is trained on; UserError where it has no masks."""
    name = split or dataset.train_split
    source: Source = build_source(dataset, data_dir, name)
    if not source.labelled:
        raise UserError(f"split={name} has no masks: choose another split of {dataset.name}")
    return source


def begin(audit: Audit) -> None:
    """Make the folder, or go on in it; UserError where it holds something else."""
    file = audit.folder / ASKED
    try:
        if file.is_file():
            if json.loads(file.read_text(encoding="utf-8"))["identity"] != audit.identity:
                raise UserError(f"output={audit.folder} holds another audit: name another folder")
            return
        if audit.folder.exists() and (not audit.folder.is_dir() or any(audit.folder.iterdir())):
            raise UserError(f"output={audit.folder} exists already and is no audit's folder: name another")
        audit.folder.mkdir(parents=True, exist_ok=True)
        write_json(file, {"identity": audit.identity, "said": audit.said})
    except OSError as error:
        raise UserError(f"output={audit.folder} cannot be written ({error.strerror}): name another folder") from error


def _identity(cfg: AuditConfig, *models: str) -> str:
    told = json.dumps([*models, cfg.least_region])
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def _folder(cfg: AuditConfig, dataset: DatasetPart, source: Source, identity: str) -> Path:
    folder = Path("audits", f"{dataset.name}-{source.split}-{identity}") if cfg.output is None else Path(cfg.output)
    check_writable("output", folder)
    return folder

"""An audit from what was asked to its page: trainings, findings, ranking; what is done is kept and not done again."""

import json
import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

from scaseg.audit import asked
from scaseg.audit.asked import Audit
from scaseg.audit.findings import Finding, read_findings, write_findings
from scaseg.audit.judge import Judge, findings, said_of
from scaseg.audit.options import AuditConfig
from scaseg.audit.page import as_csv, file_name, page
from scaseg.audit.pictures import sheet
from scaseg.audit.ranking import Suspect, ranked
from scaseg.data import fingerprint
from scaseg.data.datasets import trained_on
from scaseg.data.draw import write_jpeg
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.files import write_json, write_text
from scaseg.parts import DatasetPart
from scaseg.progress import ProgressLine
from scaseg.runs.folder import CHECKPOINTS, model_of
from scaseg.runs.result import git_commit
from scaseg.trained.device import chosen_device
from scaseg.trained.model import TrainedModel, load_model

log = logging.getLogger("scaseg")
RESULT, TABLE, PAGE, PICTURES = "audit.json", "audit.csv", "index.html", "pictures"


def audit_by_model(cfg: AuditConfig) -> Path:
    """By the model of cfg.ckpt; returns the page."""
    assert cfg.ckpt is not None
    path = model_of(cfg.ckpt, "ckpt", cfg.checkpoint.value)
    model = load_model(path)
    model.require_best_class("scaseg.audit")
    given = "_target_" in cfg.dataset
    dataset = DatasetPart(cfg.dataset) if given else model.config.dataset
    data_dir = cfg.data_dir or (None if given else model.config.data_dir)
    audit = asked.by_model(cfg, dataset, data_dir, path)
    names = audit.source.labels.names
    if names != model.classes:
        raise UserError(f"{path} knows the classes {', '.join(model.classes)}, the dataset has {', '.join(names)}")
    if (model.form.channels, model.form.dtype) != (dataset.form.channels, dataset.form.dtype):
        raise UserError(f"{path} takes {model.form.in_words}, the dataset's pictures are {dataset.form.in_words}")
    audit.said.append(_by(model, path, audit.source, dataset, data_dir))
    return _audited(audit, cfg, [Judge(path, audit.source)])


def audit_by_folds(cfg: AuditConfig, audit: Audit) -> Path:
    """Train what lacks, then as the other."""
    judges = [Judge(one.folder / CHECKPOINTS / "last.ckpt", one.val) for one in audit.trainings]
    return _audited(audit, cfg, judges)


def _audited(audit: Audit, cfg: AuditConfig, judges: Sequence[Judge]) -> Path:
    asked.begin(audit)
    result = audit.folder / RESULT
    if result.is_file() and not cfg.fresh and json.loads(result.read_text("utf-8"))["pictures"] == cfg.pictures:
        print(f"{audit.folder} is done: nothing was trained or judged again. fresh=true starts it again")
        return audit.folder / PAGE
    for sentence in audit.said:
        log.info(sentence)
    found: list[Finding] = []
    begun = time.perf_counter()
    for fold, judge in enumerate(judges):
        found += _of_fold(audit, cfg, judge, fold, len(judges))
        if fold + 1 < len(judges):
            left = (time.perf_counter() - begun) / (fold + 1) * (len(judges) - fold - 1)
            log.info("%d of %d folds, about %s left", fold + 1, len(judges), timedelta(seconds=round(left)))
    suspects = ranked(found)
    _draw(audit, cfg, judges, suspects)
    names = audit.source.labels.names
    title = f"{audit.dataset.name} {audit.source.split}: {len(suspects)} masks by how suspicious they are"
    write_text(audit.folder / TABLE, as_csv(suspects, names))
    write_text(audit.folder / PAGE, page(title, audit.said, suspects, names, cfg.pictures))
    content = {"status": "done", "masks": len(suspects), "pictures": cfg.pictures, "least_region": cfg.least_region}
    models = [str(judge.model) for judge in judges]
    write_json(result, {**content, "said": audit.said, "models": models, "git_commit": git_commit()})
    return audit.folder / PAGE


def _of_fold(audit: Audit, cfg: AuditConfig, judge: Judge, fold: int, count: int) -> list[Finding]:
    """Read, where it was judged before; else trained where need be, and judged."""
    file = audit.folder / f"fold-{fold + 1}.json"
    before = None if cfg.fresh else read_findings(file, audit.identity)
    if before is not None:
        return before
    if audit.trainings:
        from scaseg.training.run import train

        training = audit.trainings[fold]
        assert training.train is not None
        log.info(
            "fold %d of %d: %d images learn, %d are judged", fold + 1, count, len(training.train), len(judge.images)
        )
        train(training)
    model = judge.load(chosen_device(cfg.hardware))
    found = []
    with ProgressLine(len(judge.images), "masks judged") as progress:
        for finding in findings(model, judge.images, fold, cfg.least_region):
            found.append(finding)
            progress.advance()
    write_findings(file, audit.identity, found)
    return found


def _draw(audit: Audit, cfg: AuditConfig, judges: Sequence[Judge], suspects: Sequence[Suspect]) -> None:
    """The pictures of the worst, fold by fold, so that one model is there at a time."""
    worst = [(place, one) for place, one in enumerate(suspects[: cfg.pictures]) if one.regions]
    folder = audit.folder / PICTURES
    folder.mkdir(exist_ok=True)
    labels, form = audit.source.labels, audit.dataset.form
    with ProgressLine(len(worst), "pictures") as progress:
        for fold, judge in enumerate(judges):
            own = [(place, one) for place, one in worst if one.finding.fold == fold]
            if not own:
                continue
            model = judge.load(chosen_device(cfg.hardware))
            where = {judge.images.name(i): i for i in range(len(judge.images))}
            for place, one in own:
                image, mask = judge.images.read(where[one.finding.name])
                seen = said_of(model, image, mask).seen
                picture = sheet(image, mask, seen, [region for _, region in one.regions], labels, form)
                write_jpeg(folder / file_name(place, one.finding.name), picture)
                progress.advance()


def _by(model: TrainedModel, path: Path, source: Source, dataset: DatasetPart, data_dir: str | None) -> str:
    """Whether the model was trained on what it judges, as far as that can be known."""
    begin = f"By the model of {path}"
    if model.config.fingerprints.get("train") == fingerprint.of_split(source):
        return f"{begin}, which was trained on these masks, errors and all: not out-of-fold, so that less is found."
    try:
        seen = trained_on(asked.masks_of(dataset, data_dir, model.config.dataset.train_split), source)
    except UserError:
        return f"{begin}; its training split is not there to look whether it was trained on these masks."
    if seen:
        return f"{begin}, which was trained on {seen} of these {len(source)} masks: of them not out-of-fold."
    return f"{begin}; no image of its training split is among these."

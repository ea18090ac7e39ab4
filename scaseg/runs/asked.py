"""What a configuration asks for: the run's name, its data, and fingerprints of the files that determine its result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scaseg.data import fingerprint
from scaseg.data.build import build_source
from scaseg.data.mixture import Mixture, further
from scaseg.data.normalisation import say_if_of_others, with_normalisation
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.identity import MORE
from scaseg.runs.folder import CHECKPOINTS, SAVED_WEIGHTS, checkpoint_of, model_of, weights_of
from scaseg.schema import Run
from scaseg.typed import to_plain

DATA = ("classes", "train", "val")


@dataclass(frozen=True)
class Asked:
    """config: with `fingerprints`. train: None for a run of no steps. more: the sources of `more_data`, in order."""

    config: Run
    train: Source | None
    val: Source
    more: Sequence[Source] = ()

    @property
    def folder(self) -> Path:
        """Of the run."""
        return Path(self.config.output_dir) / self.config.name


def asked(run: Run) -> Asked:
    """Find the data and weights of a configuration; UserError where they are not there or not right."""
    dataset = run.dataset
    named = {"train": dataset.train_split, "val": dataset.val_split}
    if not run.training.max_steps:
        del named["train"]
    sources = {split: build_source(dataset, run.data_dir, name) for split, name in named.items()}
    for split, source in sources.items():
        if not source.labelled:
            raise UserError(
                f"dataset.{split}_split={named[split]} has no masks: choose another split of {dataset.name}"
            )
    found = of_sources(run, sources.get("train"), sources["val"])
    if "train" in sources:
        say_if_of_others(dataset, run.data_dir, found.config.fingerprints["train"])
    return found


def of_sources(run: Run, train: Source | None, val: Source) -> Asked:
    """What a configuration asks for, of these images: they may be parts of a split, as folds are."""
    run = _with_files(run)
    data = {"classes": fingerprint.of_classes(val.labels)}
    more: Sequence[Source] = ()
    if train is not None:
        more = further(run.more_data, run.dataset.form, val)
        mixture = Mixture([train, *more], [one.weight for one in run.more_data])
        run = replace(run, training=run.training.in_epochs(mixture.a_pass))
        data["train"] = fingerprint.of_split(train)
    data["val"] = fingerprint.of_split(val)
    for number, one in enumerate(more):
        data[f"{MORE}.{number}"] = f"{fingerprint.of_split(one)} {fingerprint.of_classes(one.labels)}"
    return Asked(_identified(_normalised(run), data), train, val, more)


def name_of(run: Run, known: dict[str, dict[str, str]]) -> str:
    """The name alone. known: fingerprints of data by what asks for them, filled here: jobs of a sweep share theirs."""
    question = json.dumps([to_plain(run.dataset), run.data_dir, to_plain(run.more_data), run.training.max_steps == 0])
    if question not in known:
        found = asked(run).config.fingerprints
        known[question] = {key: found[key] for key in found if key in DATA or key.startswith(f"{MORE}.")}
    return _identified(_with_files(_normalised(run)), known[question]).name


def _normalised(run: Run) -> Run:
    """With what was measured of the pictures, where they need it."""
    return replace(run, dataset=with_normalisation(run.dataset, run.data_dir))


def _with_files(run: Run) -> Run:
    """A run's folder, given as weights, as a teacher or as a start, stands for the checkpoint in it."""
    weights, start = run.weights, run.ckpt_path
    if weights and Path(weights).expanduser().is_dir():
        run = replace(run, weights=str(weights_of(weights, "weights")))
    if run.teacher:
        run = replace(run, teacher=str(model_of(run.teacher, "teacher")))
    if start not in ("auto", "last", None):
        run = replace(run, ckpt_path=str(checkpoint_of(start, "ckpt_path")))
    return run


def _identified(run: Run, data: Mapping[str, str]) -> Run:
    """The configuration with the fingerprints of data, weights and checkpoint.

    What an address or the hub holds is known by its name. A checkpoint to go on from is part of what a run is, unless
    it is the run's own.
    """
    files = {"backbone.weights": run.backbone.weights, "weights": run.weights}
    weights = {key: fingerprint.of_file(path) for key, path in files.items() if path and Path(path).is_file()}
    if run.teacher:
        teacher = Path(run.teacher)
        weights["teacher"] = fingerprint.of_file(teacher / SAVED_WEIGHTS if teacher.is_dir() else teacher)
    run = replace(run, fingerprints={**data, **weights})
    start = Path(run.ckpt_path or "auto")
    own = Path(run.output_dir, run.name, CHECKPOINTS)
    if str(start) not in ("auto", "last") and start.is_file() and start.resolve().parent != own.resolve():
        run = replace(run, fingerprints={**run.fingerprints, "ckpt_path": fingerprint.of_file(start)})
    return run

"""Predictions as a benchmark's server wants them, and the reader that checks them before anyone uploads."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image

from scaseg.data.folder import FolderDataset
from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.data.masks import read_mask
from scaseg.data.release import Submission
from scaseg.errors import UserError
from scaseg.evaluation.coco import read_segments, segments
from scaseg.evaluation.metrics import confusion_matrix
from scaseg.files import put

PREDICTIONS = "predictions"  # the tree of PNGs, within the folder
Report = Callable[[int, int], None]


class SubmissionWriter:
    """Writes predictions into `folder`.part; `finish` checks them, packs them and gives the folder its name.

    source: the dataset's split, whose `submission` and `submission_labels` say what is wanted.
    """

    def __init__(self, folder: Path, source: Any):
        if folder.exists():
            raise UserError(f"submission={folder} is there already: name a new folder")
        self.folder, self.source = folder, source
        self.part = folder.with_name(folder.name + ".part")
        self.archive: Path | None = None
        self.places = {source.name(i): i for i in range(len(source))}
        paths = {PurePosixPath(self._path(name)) for name in self.places}
        if inside := paths & {folder for path in paths for folder in path.parents}:
            raise UserError(
                f"submission={folder}: {min(inside)} would be a file and a folder: rename one of the images"
            )
        if source.submission.coco:
            for name in self.places:
                _image_id(name)

    def start(self) -> None:
        """Make the folder; what an interrupted one of this name left is dropped."""
        shutil.rmtree(self.part, ignore_errors=True)
        (self.part / PREDICTIONS).mkdir(parents=True)

    def write(self, name: str, labels: Mask) -> None:
        """One prediction, train ids (H, W) at the size of the upright image; it is written as masks lie."""
        form: Submission = self.source.submission
        path = self.part / PREDICTIONS / self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        table: LabelTable = self.source.submission_labels
        raw = table.decode(_as_masks_lie(self.source, self.places[name], labels))
        if form.palette:
            picture = Image.frombytes("P", (raw.shape[1], raw.shape[0]), raw.tobytes())
            every = np.arange(256, dtype=np.uint8)[None]
            known = np.isin(every, list(table.raw_ids))
            classes = np.full_like(every, IGNORE)
            classes[known] = table.encode(every[known][None], "")[0]
            picture.putpalette(table.colourise(classes).tobytes())
        else:
            picture = Image.fromarray(raw)
        picture.save(path)

    def _path(self, name: str) -> str:
        return str(self.source.submission.path.format(name=name, split=self.source.split))

    def finish(self, report: Report | None = None) -> torch.Tensor:
        """Read all back, pack, rename; returns the confusion matrix (K, K) of what was read, zero without masks."""
        form: Submission = self.source.submission
        tree, name = self.part / PREDICTIONS, f"{self.source.split}_submission"
        if form.coco:
            part = self.source.split if self.source.split == "test" else f"{self.source.split}2017"
            name = f"stuff_{part}_scaseg_results"
            _write_coco(tree, self.part / f"{name}.json", self.source)
        matrix = check(self.part, self.source, report)
        if form.coco:
            with zipfile.ZipFile(self.part / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
                packed.write(self.part / f"{name}.json", f"{name}.json")
            archive = f"{name}.zip"
        else:
            archive = Path(shutil.make_archive(str(self.part / name), form.archive, tree)).name
        put(self.part, self.folder, durable=False)
        self.archive = self.folder / archive
        return matrix


def check(folder: Path, source: Any, report: Report | None = None) -> torch.Tensor:
    """Read a submission back as the benchmark would; UserError names the first file that its server would refuse.

    One PNG an image and no other file, each one channel of 8 bits (indexed where the benchmark says so) at the
    image's own size, holding ids of classes alone; COCO's JSON says the same as the PNGs. Returns the confusion
    matrix (K, K) against the split's masks, zero where it has none.
    """
    form: Submission = source.submission
    table: LabelTable = source.submission_labels
    tree = folder / PREDICTIONS
    if not tree.is_dir():
        raise UserError(f"{folder} is no submission: it has no folder {PREDICTIONS}")
    wanted = {tree / form.path.format(name=source.name(i), split=source.split): i for i in range(len(source))}
    there = {path for path in tree.rglob("*") if path.is_file()}
    for what, paths in ("is missing", wanted.keys() - there), ("belongs to no image", there - wanted.keys()):
        if paths:
            more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
            raise UserError(f"{min(paths)} {what}{more}, of the {source.split} split's {len(wanted)} images")
    coco = _read_coco(folder, source) if form.coco else None
    matrix = torch.zeros(table.num_classes, table.num_classes, dtype=torch.int64)
    for done, (path, i) in enumerate(wanted.items(), 1):
        raw = read_mask(str(path))
        with Image.open(path) as picture:
            indexed = picture.mode == "P"
        if indexed != form.palette:
            raise UserError(f"{path} must be {'an indexed PNG' if form.palette else 'a grey PNG without a palette'}")
        labels = table.encode(raw, str(path))
        if (labels == IGNORE).any():
            ids = np.unique(raw[labels == IGNORE]).tolist()
            raise UserError(f"{path} predicts id {ids[0]}, which is no class that the benchmark counts")
        truth = _as_masks_lie(source, i, source.truth(i))
        if truth.shape != raw.shape:
            raise UserError(
                f"{path} is {raw.shape[1]}x{raw.shape[0]}, its image {truth.shape[1]}x{truth.shape[0]}: predictions"
                " must have the image's own size"
            )
        if coco is not None and not np.array_equal(coco(source.name(i), raw.shape), _with_other(raw)):
            raise UserError(f"{path} and the JSON beside {PREDICTIONS} differ")
        matrix += confusion_matrix(torch.from_numpy(labels), torch.from_numpy(truth), table.num_classes)
        if report is not None:
            report(done, len(wanted))
    return matrix


def _as_masks_lie(source: Any, i: int, labels: Mask) -> Mask:
    return source.as_masks_lie(i, labels) if isinstance(source, FolderDataset) else labels


def _with_other(raw: Mask) -> Mask:
    """COCO's categories of the stuff task: raw id + 1 for stuff, 183 for all things."""
    return np.where(raw <= 90, 183, raw + 1).astype(np.uint8)


def _write_coco(tree: Path, path: Path, source: Any) -> None:
    with path.open("w") as file:
        file.write("[")
        for i in range(len(source)):
            name = source.name(i)
            raw = read_mask(str(tree / source.submission.path.format(name=name, split=source.split)))
            found = segments(_with_other(raw), _image_id(name))
            file.write(("," if i else "") + ",\n".join(json.dumps(entry) for entry in found))
        file.write("]\n")


def _read_coco(folder: Path, source: Any) -> Callable[[str, tuple[int, ...]], Mask]:
    found = list(folder.glob("stuff_*_results.json"))
    if len(found) != 1:
        raise UserError(f"{folder} must hold one stuff_*_results.json, not {len(found)}")
    try:
        entries = json.loads(found[0].read_text())
    except ValueError as error:
        raise UserError(f"{found[0]} is no JSON: {error}") from error
    by_image = read_segments(entries, str(found[0]))
    known = {_image_id(source.name(i)) for i in range(len(source))}
    if by_image.keys() != known:
        first = min(by_image.keys() ^ known)
        raise UserError(f"{found[0]}: image_id {first} stands in the result or in the split, not in both")
    return lambda name, size: by_image[_image_id(name)](size)


def _image_id(name: str) -> int:
    if not name.isdecimal():
        raise UserError(f"image {name} has no number for a name, which COCO's results are told apart by: take it out")
    return int(name)

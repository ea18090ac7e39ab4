"""From an annotation tool's export to the plain layout of dataset=folder: images, masks of ids, classes.yaml."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from scaseg.data.build import dataset_class
from scaseg.data.classes import Entry, read_classes, table_entries, written
from scaseg.data.folder import STORED, UPRIGHT
from scaseg.data.formats.export import Annotated, Export, split_of
from scaseg.data.formats.files import ImageFiles, Place
from scaseg.data.formats.made import Made
from scaseg.data.formats.numbering import Numbering, first_numbering, numbering
from scaseg.data.formats.paint import paint
from scaseg.data.formats.recognise import read_export
from scaseg.data.image_folder import CLASSES_FILE, ImageFolder, drawn_val
from scaseg.data.images import size_and_turn, size_of
from scaseg.data.labels import IGNORE, Mask
from scaseg.data.orientation import upright
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.files import new_folder
from scaseg.form import Form
from scaseg.parts import DatasetPart

Progress = Callable[[str], Callable[[int, int], None]]  # a title -> a report of (done, total)
SHOWN = 5  # faults that one message spells out
_COMMENT = """Made by scaseg.prepare from {source}, format={form}. Names and colours are free.
`ids: [1, 2]` in one entry makes one class of two; `ignore: true` leaves an entry out of learning and of scores."""
_LAYOUT = {
    **{"images": "images", "masks": "masks", "image_suffix": "", "mask_suffix": ".png"},
    **{"mask_pixels": UPRIGHT, "classes": None},
}


class Sample(NamedTuple):
    """A pair as it is written: its split, "" for none, its name, the suffix of its image, and where that is from."""

    split: str
    name: str
    suffix: str
    source: str

    def image(self, folder: Path) -> Path:
        return folder.joinpath("images", self.split, self.name + self.suffix)

    def mask(self, folder: Path) -> Path:
        return folder.joinpath("masks", self.split, f"{self.name}.png")


@contextmanager
def importing(
    dataset: DatasetPart, source: Path, form: str, folder: Path, progress: Progress
) -> Iterator[tuple[Path, DatasetPart, list[str]]]:
    """Write the layout beside `folder`, whose name it gets when the block ends well; else nothing is left.

    form: the format's name, or `auto`. Of dataset=folder these keys tell of the export: images, masks and suffixes,
    where they lie; classes, the table that labels go by, else each is a class; mask_pixels, which pixels labels belong
    to where EXIF turns an image and no size tells; val_share, drawn from train where there is a test split and no val.
    Yields the folder, the dataset that it is now, and what is to be said. Raises UserError, with all faults, where
    images or labels are not right; one within the block comes out with the export's files in the place of those here.
    """
    place, table, mask_pixels, val_share = _asked(dataset, source)
    form, export = read_export(place, form)
    if export.unclear and table is None:
        raise UserError(export.unclear)
    numbers = first_numbering(export.labels) if table is None else numbering(export.labels, *table)
    with new_folder(folder) as beside:
        for left in beside.iterdir():  # by a call that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        writer = _Writer(place, beside, numbers, mask_pixels, dataset.form)
        faults, report = list[str](), progress("drawing masks")
        for number, read in enumerate(export.images, 1):
            try:
                writer.write(read())
            except UserError as error:
                faults.append(str(error))
            report(number, len(export.images))
        _check(faults, writer, place)
        samples = _arranged(writer.samples, beside, val_share)
        writer.made.images.update(sample.split for sample in samples)
        comment = _COMMENT.format(source=source, form=form)
        rows = written(numbers.table(writer.made.pixels), comment)
        (beside / CLASSES_FILE).write_text(rows, encoding="utf-8")
        lines = writer.made.lines(numbers, writer.numbered, [*export.notes, *_unused(export, writer.made)])
        try:
            yield beside, dataset.changed(**_LAYOUT), [f"{source}, read as {form}", *lines]
        except UserError as error:
            text = str(error)
            for sample in samples:
                text = text.replace(str(sample.image(beside)), sample.source)
            raise UserError(text.replace(str(beside), str(folder))) from error


def _asked(dataset: DatasetPart, source: Path) -> tuple[Place, tuple[list[Entry], str] | None, str, float]:
    """What dataset.* says of an export: where its files lie, the table, mask_pixels, val_share."""
    if dataset_class(dataset) is not ImageFolder:
        raise UserError(f"source={source}: of an export dataset=folder is made, and not dataset={dataset.name}")
    if list(dataset.option("ignore_ids") or ()) != [IGNORE]:
        raise UserError("dataset.ignore_ids is of masks as they are read: with source=, say ignore: true in the table")
    options = {key: value for key in ("images", "masks", "image_suffix", "mask_suffix") if (value := dataset.text(key))}
    classes = dataset.option("classes")
    where = classes if isinstance(classes, str) else "dataset.classes"
    listed = read_classes(Path(classes)) if isinstance(classes, str) else classes
    table = None if listed is None else (table_entries(listed, where), where)
    return Place(source, **options), table, str(dataset.option("mask_pixels")), float(dataset.values["val_share"])


class _Writer:
    """Writes one image after the other, and counts."""

    def __init__(self, place: Place, folder: Path, numbering: Numbering, mask_pixels: str, form: Form) -> None:
        self.place, self.folder, self.numbering, self.mask_pixels = place, folder, numbering, mask_pixels
        self.form = form
        self.made, self.samples, self.numbered = Made(), list[Sample](), False
        self._files: ImageFiles | None = None
        self._named, self._sources = dict[tuple[str, str], str](), dict[str, str]()
        colours = {row.ids[0]: row.colour for row in numbering.rows}
        self._palette = bytes(value for raw in range(256) for value in colours.get(raw, (255, 255, 255)))

    def write(self, image: Annotated) -> None:
        """Its files, unless the image is not there."""
        source, content = self._found(image), None
        if source is None:
            if image.content is None:
                self.made.missing.append(image.files[0])
                return
            content, source = image.content(), f"{image.where}: imageData"
            self.made.embedded += 1
        size, turn = size_and_turn(source, self.form) if content is None else (size_of(content, source, self.form), 1)
        mask = self._mask(image, source, size, turn)
        suffix = Path(image.files[0].replace("\\", "/") if content is not None else source).suffix
        split, name = _split_and_name(image)
        sample = Sample(split, name, suffix, source)
        if (other := self._named.setdefault((sample.split, sample.name), image.where)) != image.where:
            raise UserError(f"{image.where} and {other} would both be called {name}: rename one")
        for path in (sample.image(self.folder), sample.mask(self.folder)):
            path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            shutil.copyfile(source, sample.image(self.folder))
        else:
            sample.image(self.folder).write_bytes(content)
        picture = Image.fromarray(mask)
        picture.putpalette(self._palette)
        picture.save(sample.mask(self.folder))
        self.samples.append(sample)

    def _found(self, image: Annotated) -> str | None:
        source = image.path
        if source is None:
            if self._files is None:
                self._files = self.place.image_files()
            source = self._files.find(image.files, image.split, image.near or self.place.folder)
        if source is not None and (other := self._sources.setdefault(source, image.where)) != image.where:
            raise UserError(f"{image.where} and {other} are both of {source}: take one of them out")
        return source

    def _mask(self, image: Annotated, source: str, size: Size, turn: int) -> Mask:
        """The mask of the upright image, of size (H, W)."""
        stored = size[::-1] if turn > 4 else size
        told = image.size
        if image.mask is not None:
            self.numbered = True
            painted = paint(image, size, self.numbering)
            told = painted.mask.shape[0], painted.mask.shape[1]
        either = told is None or told == size == stored
        as_stored = turn > 1 and (self.mask_pixels == STORED if either else told == stored)
        shown = stored if as_stored else size
        if told is not None and told != shown:
            also = f" ({stored[1]}x{stored[0]} as stored)" if turn > 4 else ""
            raise UserError(
                f"{image.where}: labelled on {told[1]}x{told[0]}, and {source} is {size[1]}x{size[0]}{also}: it was"
                " resized since, or is another of that name"
            )
        if image.mask is None:
            painted = paint(image, shown, self.numbering)
        self.made.add(image, painted)
        self.made.turned += as_stored
        return upright(painted.mask, turn) if as_stored else painted.mask


def _split_and_name(image: Annotated) -> tuple[str, str]:
    """The split that the export says, else that a folder in the name says, which is then no part of the name."""
    *folders, file = image.name.split("/")
    said = next((folder for folder in folders if folder.isalpha() and split_of(folder)), None)
    if image.split or said is None:
        return image.split or "", image.name
    folders.remove(said)
    return split_of(said) or "", "/".join([*folders, file])


def _check(faults: Sequence[str], writer: _Writer, place: Place) -> None:
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" * (len(faults) > SHOWN)
        lines = "\n  ".join(faults[:SHOWN])
        raise UserError(
            faults[0] if len(faults) == 1 else f"{len(faults)} faults in source={place.source}:\n  {lines}{more}"
        )
    if not writer.samples:
        missing = writer.made.missing
        what = f"none of its {len(missing)} images is there, such as {missing[0]}" if missing else "it has no image"
        raise UserError(f"source={place.source}: {what}: name their folder, dataset.images=FOLDER")


def _unused(export: Export, made: Made) -> list[str]:
    names = [label.key for label in export.labels if label.key not in made.labels]
    return [f"labels that nothing has: {', '.join(names[:SHOWN])}{', ...' * (len(names) > SHOWN)}"] if names else []


def _arranged(samples: Sequence[Sample], folder: Path, val_share: float) -> list[Sample]:
    """The samples in the splits that dataset=folder reads: train and val, with test or without, else none at all.

    Where there is a test split and no val, so that test stays apart, val is a share of train.
    """
    splits = {sample.split for sample in samples}
    if {"train", "val"} <= splits and "" not in splits:
        return list(samples)
    if splits == {"train", "test"}:
        val = drawn_val([sample.name for sample in samples if sample.split == "train"], val_share)
        moved = [s._replace(split="val") if s.split == "train" and s.name in val else s for s in samples]
    else:
        moved = [sample._replace(split="") for sample in samples]
        if len({sample.name for sample in moved}) < len(moved):
            moved = [
                sample._replace(name=f"{old.split or 'other'}-{old.name}")
                for sample, old in zip(moved, samples, strict=True)
            ]
    for old, new in zip(samples, moved, strict=True):
        if old != new:
            for one, other in ((old.image(folder), new.image(folder)), (old.mask(folder), new.mask(folder))):
                other.parent.mkdir(parents=True, exist_ok=True)
                one.rename(other)
    for split in splits - {sample.split for sample in moved}:  # their folders are empty now
        for kind in ("images", "masks"):
            shutil.rmtree(folder / kind / split)
    return moved

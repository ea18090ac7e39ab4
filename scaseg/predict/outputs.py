"""Writes predictions, every file whole or not at all, and keeps the record of what each was made from."""

import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data import draw
from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.errors import UserError
from scaseg.files import write_bytes, write_json
from scaseg.form import RGB, Form
from scaseg.trained.images import Picture
from scaseg.trained.record import LABELLED, LEGEND, RECORD, Named, check_names, origin, places, read_record, unchanged
from scaseg.typed import Json

_PART = ".part-"


@dataclass
class Outputs:
    """Where the results of each input go.

    of: what they depend on. form: of the images. made: by their names, what they were made from (see record.origin),
    with `damage` where that was a video which could not be read to its end. planned: what will be.
    """

    folder: Path
    kinds: tuple[str, ...]
    labels: LabelTable
    of: Json = field(default_factory=dict)
    form: Form = RGB
    made: dict[str, Json] = field(default_factory=dict)
    planned: dict[str, Json] = field(default_factory=dict)

    def files(self, one: Named) -> dict[str, Path]:
        """The paths of an input's results, by kind."""
        found = places(one.name, one.is_video, one.is_map)
        return {kind: self.folder / path for kind, path in found.items() if kind in self.kinds}

    def kept(self, one: Named) -> bool:
        """Whether all results of an input are there, made from it as it is now."""
        return unchanged(self.made.get(str(one.name)), one) and all(path.exists() for path in self.files(one).values())

    def damage(self, one: Named) -> str | None:
        """What was noted of a video whose results are kept."""
        return self.made[str(one.name)].get("damage")

    def write(self, one: Named, image: Picture, mask: Mask) -> None:
        """Write an image's results."""
        for kind, path in self.files(one).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "masks":
                write_mask(path, mask, self.labels)
            else:
                draw.write_jpeg(path, draw.overlay(draw.as_shown(image, self.form), mask, self.labels))
        self.note(one, labelled=(int((mask != IGNORE).sum()), mask.size))

    def note(self, one: Named, damage: str | None = None, labelled: tuple[int, int] | None = None) -> None:
        """Note an input as done. Of damage, before its results get their names: the record goes first then.

        labelled: pixels that are not IGNORE, and all; kept where a confidence was asked for.
        """
        noted: Json = {} if damage is None else {"damage": damage}
        if labelled is not None and "confidence" in self.of:
            noted |= dict(zip(LABELLED, labelled, strict=True))
        self.made[str(one.name)] = {**origin(one), **noted}
        if damage is not None and self.of:
            self._write_record({"status": "running"}, {**self.planned, **self.made})

    @contextmanager
    def beside(self) -> Iterator[Path]:
        """A folder to make results in, of the same file system; what is left in it at the end is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_PART, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def begin(self, inputs: Sequence[Named], overwrite: bool) -> None:
        """Make the folder, its record and its legend; UserError where it holds something else.

        A folder of the same model and protocol is gone on with: results of inputs that are as they were are kept,
        those of inputs that have changed give way, as all do with `overwrite`.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"output={self.folder} is a file; name a folder")
        try:
            if self.folder.is_dir() and any(self.folder.iterdir()):
                self._go_on(inputs, overwrite)
            self.folder.mkdir(parents=True, exist_ok=True)
            self.planned = {str(one.name): origin(one) for one in inputs}
            self._write_record({"status": "running"}, {**self.planned, **self.made})
            draw.write_png(self.folder / LEGEND, draw.legend(self.labels, 480))
        except OSError as error:
            raise UserError(f"output={self.folder} cannot be written: {error.strerror}") from error

    def finish(self, outcome: Json) -> None:
        """Write the record with classes, colours and what came of it."""
        try:
            self._write_record(outcome, self.made)
        except OSError as error:
            raise UserError(f"{self.folder / RECORD} cannot be written: {error.strerror}") from error

    def _go_on(self, inputs: Sequence[Named], overwrite: bool) -> None:
        before = read_record(self.folder)
        if before is None:
            raise UserError(
                f"output={self.folder} holds files that are not this command's (no {RECORD}); name another folder"
            )
        if not overwrite and before["of"] != self.of:
            different = [key for key in {**self.of, **before["of"]} if before["of"].get(key) != self.of.get(key)]
            raise UserError(
                f"output={self.folder} holds predictions with another {', '.join(different)}; name another folder,"
                " or overwrite=true"
            )
        for left in self.folder.glob(f"{_PART}*"):  # by a call that was killed
            shutil.rmtree(left, ignore_errors=True)
        known = before.get("files", {})
        check_names(known, inputs, self.folder, overwrite)
        self.made = dict(known) if before["of"] == self.of else {}
        stale = [one for one in inputs if overwrite or not self.kept(one)]
        strange = [one for one in stale if _kind(known.get(str(one.name), {})) != (one.is_video, one.is_map)]
        strange += [one for one in stale if str(one.name) not in known]
        for path in (path for one in strange for path in self.files(one).values()):
            if path.is_dir() or (path.exists() and not overwrite):
                raise UserError(
                    f"{path} is there, and {RECORD} beside it does not say what it was made from; name another folder"
                    + (", or overwrite=true" if path.is_file() else "")
                )
        for one in stale:  # before the record says what is to come: a call that is cut off must not pass for done
            self.made.pop(str(one.name), None)
            for path in self.files(one).values():
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def _write_record(self, outcome: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        classes = [
            {"id": i, "name": name, "colour": list(colour)}
            for i, (name, colour) in enumerate(zip(self.labels.names, self.labels.colours, strict=True))
        ]
        content = {"of": self.of, **outcome, "classes": classes, "files": made}
        write_json(self.folder / RECORD, content, durable=False)


def _kind(entry: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether an entry of the record is of a video, of a map."""
    return bool(entry.get("video")), bool(entry.get("map"))


def write_mask(path: Path, mask: Mask, labels: LabelTable) -> None:
    """Write ids (H, W) uint8 as a PNG of one channel whose palette shows them in the classes' colours."""
    picture, buffer = Image.fromarray(np.ascontiguousarray(mask)), io.BytesIO()
    picture.putpalette(palette(labels).tobytes())
    picture.save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue(), durable=False)


def palette(labels: LabelTable) -> npt.NDArray[np.uint8]:
    """(256, 3): the classes' colours, then the ignored label's."""
    return labels.colourise(np.arange(256, dtype=np.uint8))

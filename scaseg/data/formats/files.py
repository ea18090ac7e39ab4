"""The files of an export: those of a kind, what a JSON is of, and images by the names that an export has for them."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scaseg.data import images
from scaseg.data.formats.export import read_json, split_of
from scaseg.data.listing import normal, walk
from scaseg.errors import UserError

_FOR_ANNOTATIONS = ("annotations", "annotation", "labels", "ann", "json")  # folders beside which images lie


@dataclass(frozen=True)
class Place:
    """An export's file or folder, and how `dataset.*` says that images and masks within it are called."""

    source: Path
    images: str = "images"
    masks: str = "masks"
    image_suffix: str = ""
    mask_suffix: str = ".png"

    @property
    def folder(self) -> Path:
        """The folder that the export is, or lies in."""
        return self.source if self.source.is_dir() else self.source.parent

    def below(self, *suffixes: str) -> list[Path]:
        """The files with such endings in any case: the source itself, or those in it, in its folders too."""
        if not self.source.is_dir():
            return [self.source] if self.source.suffix.lower() in suffixes else []
        return [Path(path) for path, name in walk(str(self.source), True) if _split(name)[1].lower() in suffixes]

    def jsons(self, kind: str) -> list[Path]:
        """The JSON files of a kind, see `_kind`."""
        return [path for path, its in self._kinds.items() if its == kind]

    @cached_property
    def _kinds(self) -> dict[Path, str | None]:
        return {path: _kind(read_json(path)) for path in self.below(".json")}

    def image_files(self) -> "ImageFiles":
        """Those of the folder that dataset.images names, where it does; else of the export's folder and, if that is
        one for annotations alone, of the one that it lies in.
        """
        given = self.folder / self.images
        if self.images != Place.images:
            if not given.is_dir():
                raise UserError(f"dataset.images={self.images}: no folder {given.absolute()}")
            return ImageFiles(given)
        folder = self.folder.absolute()
        return ImageFiles(folder.parent if folder.name.lower() in _FOR_ANNOTATIONS else folder)


class ImageFiles:
    """The image files of a folder and of those within it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.paths = folder, list[str]()
        self._called, self._folded = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for path, name in walk(str(folder), True):
            file = normal(name).rpartition("/")[2]
            if _split(file)[1].lower() in images.SUFFIXES:
                self.paths.append(path)
                self._called[file].append(path)
                self._folded[file.casefold()].append(path)

    def find(self, names: Sequence[str], split: str | None, near: Path) -> str | None:
        """The file that is called as one of these names says, the first that is there; None where there is none.

        Of several the one that shares most of the name's folders, then one in a folder of the split, then one that lies
        near; UserError where two do.
        """
        for name in names:
            parts = normal(name).replace("\\", "/").split("/")
            found = self._called.get(parts[-1]) or self._folded.get(parts[-1].casefold(), [])
            found = _best(found, lambda path, parts=parts: _shared(normal(path).split("/"), parts))
            found = _best(found, lambda path: split is not None and split_of(*path.split("/")[-2::-1]) == split)
            found = _best(found, lambda path: len(os.path.commonpath([path, near.absolute()])))
            if len(found) > 1:
                raise UserError(
                    f"{found[0]} and {found[1]} may both be {name}: give the folder of the right one, dataset.images="
                )
            if found:
                return found[0]
        return None


def _best(paths: list[str], score: Any) -> list[str]:
    scores = [score(path) for path in paths]
    return [path for path, its in zip(paths, scores, strict=True) if its == max(scores)]


def _shared(path: Sequence[str], name: Sequence[str]) -> int:
    """How many parts both end with."""
    same = [one.casefold() == other.casefold() for one, other in zip(reversed(path), reversed(name), strict=False)]
    return same.index(False) if False in same else len(same)


def _split(name: str) -> tuple[str, str]:
    return os.path.splitext(name)  # noqa: PTH122


def _kind(content: Any) -> str | None:
    """Whose JSON it is; None for one of others."""
    if isinstance(content, list):
        tasks = [task for task in content if isinstance(task, dict)]
        full = all(
            isinstance(task.get("data"), dict) and {"annotations", "completions"} & task.keys() for task in tasks
        )
        brief = all("annotation_id" in task or "annotator" in task for task in tasks)
        return "label_studio" if tasks and len(tasks) == len(content) and (full or brief) else None
    if not isinstance(content, dict):
        return None
    if all(isinstance(content.get(key), list) for key in ("images", "annotations", "categories")):
        return "coco"
    if isinstance(content.get("shapes"), list) and ("imagePath" in content or "imageData" in content):
        return "labelme"
    if isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict):
        return "supervisely"
    return "supervisely_meta" if isinstance(content.get("classes"), list) and "tags" in content else None

"""What a folder of predictions holds: which name is whose, and what each result was made from."""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from scaseg.errors import UserError
from scaseg.typed import Json

RECORD, LEGEND = "predictions.json", "legend.png"
LABELLED = ("labelled", "pixels")  # of a file's masks, where a confidence was asked for
_IMAGE = {"masks": ".png", "overlays": ".jpg"}
_MAP = {"masks": ".tif", "overlays": ".jpg"}
_VIDEO = {"masks": "", "overlays": ".mp4"}  # masks: a folder of frames
_ANY_IMAGE = tuple(dict.fromkeys([*_IMAGE.items(), *_MAP.items()]))
KINDS = tuple(_IMAGE)


class Named(Protocol):
    """A file to predict, and the name of its results: see scaseg.trained.inputs."""

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> PurePosixPath: ...
    @property
    def is_video(self) -> bool: ...
    @property
    def is_map(self) -> bool: ...


def places(name: PurePosixPath, video: bool, map: bool = False) -> dict[str, PurePosixPath]:
    """By kind, where results go: masks/NAME.png, overlays/NAME.jpg; of a video masks/NAME/, overlays/NAME.mp4.

    Of a map (scaseg.data.georeference.is_map) masks/NAME.tif.
    """
    ends = _VIDEO if video else _MAP if map else _IMAGE
    return {kind: PurePosixPath(f"{kind}/{name}{end}") for kind, end in ends.items()}


def clashes(named: Iterable[tuple[PurePosixPath, bool]], inner: bool = True) -> set[int]:
    """Which of these (name, is a video) have another's name, write its file, or write what is its folder.

    Whatever kinds are written; file systems may not tell capitals from small letters, nor forms of accents apart.
    inner: also those whose folder it is.
    """
    names = [(_plain(str(name)), tuple(_VIDEO.items()) if video else _ANY_IMAGE) for name, video in named]
    owners: dict[str, set[int]] = {}
    for i, (name, ends) in enumerate(names):
        for claim in (f"/{name}", *(f"{kind}/{name}{end}" for kind, end in ends)):
            owners.setdefault(claim, set()).add(i)
    found = {i for several in owners.values() if len(several) > 1 for i in several}
    for i, (name, ends) in enumerate(names):
        for kind, _ in ends:
            folder = f"{kind}/{name}"
            while (folder := folder.rpartition("/")[0]) != kind:
                if folder in owners:
                    found |= {*owners[folder], i} if inner else owners[folder]
    return found


def origin(one: Named) -> Json:
    """What tells a file that has not changed from one that has."""
    found: Json = {"input": str(one.path.absolute())}
    with suppress(OSError):  # who reads it says that it is gone
        stat = one.path.stat()
        found |= {"bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}
    return {**found, **({"video": True} if one.is_video else {"map": True} if one.is_map else {})}


def unchanged(entry: Mapping[str, Any] | None, one: Named) -> bool:
    """Whether an entry of the record is of this file as it is now."""
    if entry is None:
        return False
    return {key: value for key, value in entry.items() if key not in ("damage", *LABELLED)} == origin(one)


def read_record(folder: Path) -> Json | None:
    """The record of a folder of predictions; None where it is none of ours."""
    try:
        found = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return None
    ours = isinstance(found, dict) and isinstance(found.get("of"), dict) and {"status", "classes"} <= found.keys()
    return found if ours else None


def check_names(made: Mapping[str, Mapping[str, Any]], inputs: Sequence[Named], folder: Path, overwrite: bool) -> None:
    """UserError where results would take the place of those of other inputs, which an earlier call made."""
    names = {str(one.name) for one in inputs}
    others = [(PurePosixPath(name), bool(entry.get("video"))) for name, entry in made.items() if name not in names]
    hit = clashes([*others, *((one.name, one.is_video) for one in inputs)])
    for one in (inputs[i - len(others)] for i in sorted(hit) if i >= len(others)):
        raise UserError(
            f"output={folder}: the results of {one.path}, called {one.name}, would lie where others are; name another"
            " folder"
        )
    for one in inputs:
        before = made.get(str(one.name), {}).get("input")
        if before not in (None, str(one.path.absolute())) and not overwrite:
            raise UserError(
                f"output={folder} holds the results of {before} as {one.name}, where those of {one.path} would go; name"
                " another folder, or overwrite=true"
            )


class Results:
    """Which files are results that an earlier call wrote: of this command, of a training, of an evaluation."""

    def __init__(self) -> None:
        self._ours = cache(lambda folder: read_record(folder) is not None)
        self._within = cache(self._look)

    def holds(self, file: Path) -> bool:
        """Whether the file lies, links of folders followed, in a folder of predictions, as a result or beside them."""
        return self._within(file.parent) or (file.name in (LEGEND, RECORD) and self._ours(file.parent.resolve()))

    def _look(self, folder: Path) -> bool:
        real = folder.resolve()
        places = ((above, real.relative_to(above).parts[0]) for above in real.parents)
        return any((part in KINDS and self._ours(above)) or _of_a_run(above, part) for above, part in places)


def _of_a_run(folder: Path, part: str) -> bool:
    """Whether a folder's part holds the pictures of a run or of its evaluations, or is an export's predictions."""
    if part in ("pictures", "evaluation"):
        return (folder / "config.yaml").is_file() and (folder / "status.json").is_file()
    return part == "predictions" and any(any(folder.glob(name)) for name in ("*_submission.*", "stuff_*_results.json"))


def _plain(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()

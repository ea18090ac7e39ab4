"""Which files of a folder are images and which masks, by name, and how many are neither."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scaseg.data import images, masks
from scaseg.errors import UserError

_JUNK = ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")  # that systems leave in folders


class Listing(NamedTuple):
    """Files by their sample's name, sorted; `others` are the paths of files and folders that are none of them."""

    files: dict[str, str]
    others: list[str]


def images_in(
    folder: Path, ending: str = "", deep: bool = False, masks_too: str | None = None, but: Path | None = None
) -> Listing:
    """The images NAME<ending>.{jpg,png,...} of a folder, in any case; `deep`: of the folders in it, `but` one.

    Arrays, .npy, are images where the folder has no other: they lie beside images for many reasons.
    masks_too: the suffix of masks that lie among them, to be left out.
    """
    found, of_arrays = Listing({}, []), dict[str, str]()
    for path, name in walk(str(folder), deep, _passed(but)):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 (here and below: Path is 10x slower)
        if masks_too is not None and name.endswith(masks_too):
            continue
        if suffix.lower() in images.SUFFIXES and stem.endswith(ending):
            _add(found.files, stem[: len(stem) - len(ending)], path)
        elif suffix.lower() == images.ARRAY and stem.endswith(ending):
            _add(of_arrays, stem[: len(stem) - len(ending)], path)
        else:
            found.others.append(path)
    if found.files:
        return Listing(found.files, [*found.others, *of_arrays.values()])
    return Listing(of_arrays, found.others)


def masks_in(folder: Path, suffix: str, deep: bool = False, alone: bool = True, but: Path | None = None) -> Listing:
    """The masks NAME<suffix> of a folder, in any case of the suffix's last part, such as .png in _mask.png.

    Where a name has none of that kind, another that loses nothing serves; unless they do not lie `alone`, but among
    the images.
    """
    ending, kind = split_suffix(suffix)
    kinds = (kind,) if kind and not alone else masks.SUFFIXES
    found, of_other_kinds = Listing({}, []), dict[str, list[str]]()
    for path, name in walk(str(folder), deep, _passed(but)):
        stem, its = os.path.splitext(name)  # noqa: PTH122
        sample = stem[: len(stem) - len(ending)]
        if stem.endswith(ending) and its.lower() == kind:
            _add(found.files, sample, path)
        elif not kind and suffix and name.endswith(suffix):  # of a kind that we do not know: the content tells
            _add(found.files, name[: len(name) - len(suffix)], path)
        elif stem.endswith(ending) and its.lower() in kinds:
            of_other_kinds.setdefault(normal(sample), []).append(path)
        else:
            found.others.append(path)
    for name, paths in of_other_kinds.items():
        if name not in found.files:
            if len(paths) > 1:
                raise _two(*paths[:2])
            found.files[name] = paths[0]
    return found


def split_suffix(suffix: str) -> tuple[str, str]:
    """What follows the name, and the kind of file in small letters: ("_mask", ".png") of _mask.png."""
    ending, dot, kind = suffix.rpartition(".")
    known = f".{kind}".lower() in (*masks.SUFFIXES, *images.SUFFIXES)
    return (ending, f".{kind}".lower()) if dot and known else (suffix, "")


def normal(name: str) -> str:
    """Composed: macOS writes names apart into letters and accents, other systems do not."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def entries(folder: Path) -> list[str]:
    """Names in a folder but hidden ones and what systems leave there; folders end with a slash."""
    with os.scandir(folder) as there:
        return sorted(f"{one.name}/" if one.is_dir() else one.name for one in there if not _left_out(one.name))


def _passed(folder: Path | None) -> tuple[str, ...]:
    return () if folder is None else (os.path.realpath(folder),)


def walk(folder: str, deep: bool, passed: tuple[str, ...] = (), within: str = "") -> Iterator[tuple[str, str]]:
    """(path, name within the folder) of files, and of folders where they are not entered; links are followed.

    passed: folders not to enter, such as those that this one lies in, which a link may lead back to.
    """
    passed = (*passed, os.path.realpath(folder))
    try:
        with os.scandir(folder) as there:
            found = sorted(there, key=lambda one: one.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror or error})") from error
    for one in found:
        if _left_out(one.name):
            continue
        if not one.is_dir():
            if one.is_file() or one.is_symlink():  # one that leads nowhere is named by who reads it; no pipes
                yield one.path, within + one.name
        elif not deep:
            yield f"{one.path}/", f"{within}{one.name}/"
        elif os.path.realpath(one.path) not in passed:
            yield from walk(one.path, deep, passed, f"{within}{one.name}/")


def _left_out(name: str) -> bool:
    return name.startswith(".") or name in _JUNK


def _add(files: dict[str, str], name: str, path: str) -> None:
    name = normal(name)
    if name in files:
        raise _two(files[name], path)
    files[name] = path


def _two(one: str, other: str) -> UserError:
    return UserError(f"Two files for one name: {one} and {other}. Take one of them out.")

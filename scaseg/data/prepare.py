"""From a folder of official archives to a verified dataset."""

import fnmatch
from collections.abc import Callable
from pathlib import Path

from scaseg.data.archives import unpack
from scaseg.data.build import build_source, dataset_class
from scaseg.data.folder import FolderDataset, Pair
from scaseg.data.verify import Verified, check_counts, check_faults, same_images, union, verify
from scaseg.errors import UserError
from scaseg.parts import DatasetPart

Progress = Callable[[str], Callable[[int, int], None]]  # a title -> a report of (done, total)
REQUIRED = ("train", "val")


def unpack_all(dataset: DatasetPart, archives: Path, folder: Path, progress: Progress) -> list[str]:
    """Unpack whatever archives of the dataset lie in `archives`; returns a line about each."""
    kind = dataset_class(dataset)
    known = getattr(kind, "archives", ())
    if not known:
        raise UserError(f"dataset={dataset.name} has no official archives: leave archives out to verify the folder")
    if not archives.is_dir():
        raise UserError(f"archives={archives}: no such folder")
    there = sorted(path for path in archives.iterdir() if path.is_file())
    found = [(path, each) for each in known for path in there if fnmatch.fnmatch(path.name, each.name)]
    if not found:
        raise UserError(
            f"archives={archives} holds none of {', '.join(each.name for each in known)}. Get them: {kind.how_to_get}"
        )
    lines = []
    for path, each in found:
        new, kept = unpack(path, each.places, folder, progress(f"unpacking {path.name}"))
        lines.append(f"{path.name}: {new} files unpacked" + (f", {kept} were there" if kept else ""))
    return lines


def verify_all(
    dataset: DatasetPart, folder: Path, subset: bool, workers: int, progress: Progress
) -> tuple[list[Verified], list[str]]:
    """Verify every split that is there; train and val must be. Returns them, and lines about what is odd.

    UserError for faulty pairs and, without `subset`, for splits that are not whole.
    """
    kind = dataset_class(dataset)
    if not issubclass(kind, FolderDataset):
        raise UserError(f"dataset={dataset.name} has no files to prepare")
    kind.complete(folder)
    found: list[Verified] = []
    odd: list[str] = []
    opened: set[Pair] = set()
    for split in kind.splits:
        try:
            source = build_source(dataset, str(folder), split)
        except UserError as error:
            if split in REQUIRED:
                raise
            odd.append(f"{split}: not there ({str(error).split('. ')[0]})")
            continue
        if opened.issuperset(source.pairs):
            found.append(union(source))
            continue
        found.append(verify(source, workers, progress(f"verifying {split}")))
        opened.update(source.pairs)
    check_faults(found)
    if not subset:
        check_counts(found, dict(kind.counts), folder)
    same = same_images(found)
    odd += [f"the same image twice: {line}" for line in same[:5]]
    if len(same) > 5:
        odd.append(f"and {len(same) - 5} more images twice")
    return found, odd

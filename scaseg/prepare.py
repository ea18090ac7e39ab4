"""python -m scaseg.prepare: from official archives, or from an annotation tool's export, to a verified dataset."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg.aligned import aligned
from scaseg.commands import command
from scaseg.config import DataConfig
from scaseg.files import write_json
from scaseg.parts import DatasetPart
from scaseg.progress import counting
from scaseg.typed import Json

if TYPE_CHECKING:
    from scaseg.data.verify import Verified


@dataclass
class PrepareConfig(DataConfig):
    """What python -m scaseg.prepare takes."""

    archives: str | None = None  # the folder with the downloads; null: verify what is there
    source: str | None = None  # dataset=folder: an annotation tool's export, of which data_dir is made
    format: str = "auto"  # of source: see scaseg.data.formats.recognise
    subset: bool = False  # fewer images than the release has are no error
    workers: int | None = None  # processes; null: one a core


def prepare(cfg: PrepareConfig) -> Json:
    """Unpack, verify, print; the figures also go into `scaseg_prepared.json` in the dataset's folder.

    Of pictures that are no RGB of 8 bits the channels' mean and deviation are measured and kept there too.
    """
    from scaseg.data.build import dataset_class, labels_of
    from scaseg.data.imported import importing
    from scaseg.data.prepare import unpack_all, verify_all
    from scaseg.errors import UserError

    dataset = cfg.part
    kind = dataset_class(dataset)
    folder = Path(cfg.data_dir or Path("data", getattr(kind, "folder", dataset.name)))
    workers = (os.cpu_count() or 1) if cfg.workers is None else cfg.workers
    if cfg.archives is not None and cfg.source is not None:
        raise UserError("archives or source: what is downloaded is unpacked, an export is converted; leave one out")
    if cfg.archives is not None:
        for line in unpack_all(dataset, Path(cfg.archives), folder, counting):
            print(line)
    elif cfg.source is None and not folder.is_dir():
        raise UserError(f"{folder.absolute()} is not there: name data_dir, or archives with the downloads")
    if cfg.source is not None:
        with importing(dataset, Path(cfg.source), cfg.format, folder, counting) as (place, dataset, lines):
            print("\n".join([*lines, ""]))
            found, odd = verify_all(dataset, place, cfg.subset, workers, counting)
        odd = [line.replace(str(place), str(folder)) for line in odd]
    else:
        found, odd = verify_all(dataset, folder, cfg.subset, workers, counting)
    names = labels_of(dataset, str(folder)).names
    print(_table(found, names, dict(kind.counts)))
    for line in (*odd, *(line for part in found if part.survey for line in part.survey.sentences())):
        print(line)
    content = {
        part.split: {"pairs": part.pairs}
        if not part.opened
        else {
            "pairs": part.pairs,
            "labelled": part.labelled,
            "smallest": list(part.smallest),
            "largest": list(part.largest),
            "pixels": dict(zip((*names, "ignored"), part.pixels.tolist(), strict=True)),
        }
        for part in found
    }
    report = folder / "scaseg_prepared.json"
    try:
        write_json(report, content)
    except OSError as error:
        raise UserError(f"{report} cannot be written: {error.strerror}; the data are sound") from error
    print(f"figures: {report}")
    if not dataset.form.is_rgb:
        _normalise(dataset, folder)
    return content


def _normalise(dataset: DatasetPart, folder: Path) -> None:
    from scaseg.data.normalisation import FILE, write_measured

    if dataset.form.mean is not None:
        print("dataset.mean and dataset.std are given: nothing was measured")
        return
    rows = list(write_measured(dataset, folder, counting(f"measuring {dataset.train_split}")))
    print(f"\n{aligned(rows)}\nnormalisation of {dataset.form.in_words}, over all pixels: {folder / FILE}")


def _table(found: "Sequence[Verified]", names: Sequence[str], official: dict[str, int]) -> str:
    splits = [["split", "pairs", "official", "sizes (height x width)", "ignored"]]
    for part in found:
        counts = [part.split, str(part.pairs), str(official.get(part.split, "-"))]
        if not part.opened:
            splits.append([*counts, "of the splits above"])
            continue
        sizes = " .. ".join(dict.fromkeys(f"{h}x{w}" for h, w in (part.smallest, part.largest)))
        ignored = 100 * part.pixels[-1] / max(1, part.pixels.sum())
        splits.append([*counts, sizes, f"{ignored:.2f} %" if part.labelled else "no masks"])
    labelled = [part for part in found if part.labelled and part.opened]
    shares = [["percent of pixels", *(part.split for part in labelled)]]
    for i, name in enumerate(names):
        shares.append([name, *(f"{part.shares[i]:.3f}" if part.pixels[i] else "-" for part in labelled)])
    return f"{aligned(splits)}\n\n{aligned(shares)}"


@command("prepare", PrepareConfig)
def main(cfg: PrepareConfig) -> None:
    """Parse and call prepare."""
    prepare(cfg)


if __name__ == "__main__":
    main()

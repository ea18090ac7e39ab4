"""python -m scaseg.browse: a look at the data as training sees it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg.commands import command
from scaseg.config import DataConfig
from scaseg.files import check_writable, output_file
from scaseg.progress import counting, stage
from scaseg.typed import number

if TYPE_CHECKING:
    from scaseg.data.draw import Picture


@dataclass
class BrowseConfig(DataConfig):
    """What python -m scaseg.browse takes."""

    split: str | None = None  # null: the dataset's train_split
    samples: int = 12
    histogram_images: int | None = 1000  # masks counted, spread over the split; null: all
    seed: int = number(0, 0, 2**32 - 1)
    output: str = "browse"


@command("browse", BrowseConfig)
def main(cfg: BrowseConfig) -> None:
    """Write OUTPUT/DATASET_SPLIT_samples.png and .../DATASET_SPLIT_classes.png; those of that name are replaced."""
    from scaseg.errors import UserError

    if cfg.samples < 1 or (cfg.histogram_images is not None and cfg.histogram_images < 1):
        raise UserError(f"samples={cfg.samples}, histogram_images={cfg.histogram_images}: at least 1 each")
    from scaseg.data.build import build_source

    split = cfg.split or cfg.part.train_split
    source = build_source(cfg.part, cfg.data_dir, split)
    from scaseg.data import browse
    from scaseg.data.datasets import TrainSamples
    from scaseg.data.normalisation import with_normalisation

    form = with_normalisation(cfg.part, cfg.data_dir).form

    folder, name = Path(cfg.output), f"{cfg.part.name}_{split}"
    check_writable("output", folder)
    with stage("drawing samples"):
        sheet = browse.contact_sheet(TrainSamples(source, cfg.augment, cfg.seed, form), cfg.samples)
    _write(folder / f"{name}_samples.png", sheet)
    if source.labelled:
        pixels = browse.pixels_of(source, cfg.histogram_images, counting("counting pixels"))
        counted = min(len(source), cfg.histogram_images or len(source))
        title = f"{cfg.part.name} {split}: share of the labelled pixels, {counted} of {len(source)} images, log scale"
        _write(folder / f"{name}_classes.png", browse.histogram(pixels, source.labels, title))


def _write(file: Path, picture: "Picture") -> None:
    from scaseg.data.draw import png

    with output_file("output", file) as beside:
        beside.write_bytes(png(picture))
    print(file)


if __name__ == "__main__":
    main()

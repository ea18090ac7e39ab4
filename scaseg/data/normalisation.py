"""Mean and deviation of a dataset's channels: measured over its training images, kept beside them, read from there.

RGB of 8 bits needs none of it: encoders' weights say what they expect.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.data import fingerprint
from scaseg.data.build import build_source, dataset_class
from scaseg.data.by_pillow import Picture
from scaseg.data.survey import Report
from scaseg.errors import UserError
from scaseg.files import write_json
from scaseg.form import Form, in_words
from scaseg.parts import DatasetPart
from scaseg.typed import Plain

log = logging.getLogger("scaseg")
FILE = "normalisation.json"  # in the dataset's folder
Numbers = npt.NDArray[np.float64]  # one a channel


@dataclass
class Moments:
    """Of all pixels so far, in float64. squares: sum of squared distances from the mean, of each channel.

    Pictures are joined as Chan, Golub and LeVeque (1983) join parts of a sample, without the difference of large sums.
    """

    mean: Numbers
    squares: Numbers
    least: Numbers
    most: Numbers
    pixels: int = 0
    images: int = 0

    @classmethod
    def of_none(cls, channels: int) -> "Moments":
        """Before the first picture."""
        return cls(np.zeros(channels), np.zeros(channels), np.full(channels, np.inf), np.full(channels, -np.inf))

    @property
    def std(self) -> Numbers:
        """Of each channel, over all pixels."""
        std: Numbers = np.sqrt(self.squares / max(1, self.pixels))
        return std

    def add(self, image: Picture) -> None:
        """Count a picture (H, W, C) in."""
        values = image.reshape(-1, image.shape[2]).astype(np.float64)
        mean, count = values.mean(0), len(values)
        total, apart = self.pixels + count, mean - self.mean
        self.squares += ((values - mean) ** 2).sum(0) + apart**2 * (self.pixels * count / total)
        self.mean += apart * (count / total)
        self.least, self.most = np.minimum(self.least, values.min(0)), np.maximum(self.most, values.max(0))
        self.pixels, self.images = total, self.images + 1


def measure(source: Any, form: Form, report: Report | None = None) -> Moments:
    """Of all pixels of a source's pictures, those that masks ignore too, one picture in memory at a time."""
    found = Moments.of_none(form.channels)
    for i in range(len(source)):
        found.add(source.read_ids(i)[0])
        if report is not None:
            report(i + 1, len(source))
    return found


def write_measured(dataset: DatasetPart, folder: Path, report: Report | None = None) -> Iterator[list[str]]:
    """Measure the training split of a dataset in `folder` and write FILE there; yields a table's rows that say it.

    A channel of one number has no deviation; 1 stands for it. Raises UserError where the file cannot be written.
    """
    form, source = dataset.form, build_source(dataset, str(folder), dataset.train_split)
    found = measure(source, form, report)
    std = np.where(found.std > 0, found.std, 1.0)
    content = {
        "split": dataset.train_split,
        "images": found.images,
        "pixels": found.pixels,
        "channels": form.channels,
        "dtype": form.dtype,
        "names": list(form.names),
        "mean": found.mean.tolist(),
        "std": std.tolist(),
        "least": found.least.tolist(),
        "most": found.most.tolist(),
        "fingerprint": fingerprint.of_split(source),
    }
    path = folder / FILE
    try:
        write_json(path, content)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}): give dataset.mean={content['mean']}"
            f" dataset.std={content['std']}"
        ) from error
    yield [f"{found.images} images of {dataset.train_split}", "mean", "std", "least", "most"]
    for i, name in enumerate(form.called):
        numbers = [f"{of[i]:.6g}" for of in (found.mean, std, found.least, found.most)]
        yield [name, *numbers, *["one number alone: nothing to learn from"] * bool(found.std[i] == 0)]


def with_normalisation(dataset: DatasetPart, data_dir: str | None) -> DatasetPart:
    """The dataset with the mean and deviation that were measured, where it needs some and says none.

    Raises UserError, which says how to measure them, where that was not done, or of another form.
    """
    form = dataset.form
    if form.is_rgb or form.mean is not None:
        return dataset
    content, path = _read(dataset, data_dir)
    if (content.get("channels"), content.get("dtype")) != (form.channels, form.dtype):
        said = in_words(content.get("channels", 0), content.get("dtype", "no numbers"))
        raise UserError(
            f"{path} is of {said}, and the dataset of {form.in_words}: {_how(dataset, path)} measures it anew"
        )
    return dataset.changed(mean=content["mean"], std=content["std"])


def say_if_of_others(dataset: DatasetPart, data_dir: str | None, train: str) -> None:
    """Warn where the training images, of fingerprint `train`, are not those that were measured."""
    if dataset.form.is_rgb or dataset.form.mean is not None:
        return
    content, path = _read(dataset, data_dir)
    if content.get("fingerprint") not in (None, train):
        log.warning(
            "%s was measured on other images than train has now: %s measures it anew", path, _how(dataset, path)
        )


def _read(dataset: DatasetPart, data_dir: str | None) -> tuple[Plain, Path]:
    folder = Path(data_dir or Path("data", getattr(dataset_class(dataset), "folder", dataset.name)))
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{dataset.form.in_words} need a mean and a deviation of each channel, and {path} is not there:"
            f" {_how(dataset, path)} measures them, or give dataset.mean=[...] dataset.std=[...]"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): {_how(dataset, path)} measures it anew") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in ("mean", "std")):
        raise UserError(f"{path} holds no mean and std: {_how(dataset, path)} measures it anew")
    return content, path


def _how(dataset: DatasetPart, path: Path) -> str:
    form = dataset.form
    return (
        f"python -m scaseg.prepare dataset={dataset.name} data_dir={path.parent} dataset.channels={form.channels}"
        f" dataset.dtype={form.dtype}"
    )

"""What predicting in windows costs and changes; what huge.md says of it comes from here.

python -m experiments.own_data.huge seams ckpt=RUN data=CamVid [pictures=2]
python -m experiments.own_data.huge memory ckpt=RUN data=CamVid [side=20000] [height=20000]
python -m experiments.own_data.huge crops [side=4096] [rounds=3]

seams: a whole pass over a picture of 2,048 x 2,048, of CamVid's test images beside each other, and windows over it: at
which pixels labels differ. A pixel is at a seam if it is within 16 pixels (half a cell of the coarsest map) of an edge
of a window within the picture, or of the middle of what two neighbouring windows share.
memory: the command over a picture of side x height, written tile by tile; resident memory before the first image and at
its peak. crops: training samples of TIFFs whose crops alone are read, and of the same read whole, in turn.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import tifffile
import torch

from scaseg.data.augment import Augment
from scaseg.data.datasets import TrainSamples
from scaseg.data.image_folder import ImageFolder
from scaseg.data.regions import opened
from scaseg.trained.model import TrainedModel, load_model
from scaseg.trained.tiling import Tiling
from scaseg.trained.windowed import label_bands

Array = np.ndarray[Any, Any]
NEAR = 16  # pixels
WINDOWS = ((1024, 256), (1024, 512), (512, 128), (512, 256))  # of a side, and shared


def mosaic(data: Path, seed: int, side: int = 2048) -> Array:
    """Images of CamVid's test split, drawn and set beside each other, (side, side, 3)."""
    files = sorted((data / "test").iterdir())
    columns, rows = -(-side // 480), -(-side // 360)
    chosen = np.random.default_rng(seed).permutation(len(files))[: rows * columns]
    images = [cv2.cvtColor(cv2.imread(str(files[i])), cv2.COLOR_BGR2RGB) for i in chosen]
    lines = [np.hstack(images[row * columns : (row + 1) * columns]) for row in range(rows)]
    return np.ascontiguousarray(np.vstack(lines)[:side, :side])


def at_seams(tiling: Tiling) -> Array:
    """Which pixels (H, W) are at a seam."""
    down, across = (
        _near(length, spans) for length, spans in zip(tiling.size, (tiling.down, tiling.across), strict=True)
    )
    return down[:, None] | across[None]


def _near(length: int, spans: Sequence[tuple[int, int]]) -> Array:
    lines = [start for start, _ in spans[1:]] + [stop for _, stop in spans[:-1]]
    lines += [(stop + start) // 2 for (_, stop), (start, _) in pairwise(spans)]
    near = np.zeros(length, np.bool_)
    for line in lines:
        near[max(0, line - NEAR) : line + NEAR] = True
    return near


def windowed(model: TrainedModel, path: str, tiling: Tiling) -> Array:
    with opened(path, model.form) as regions:
        return np.concatenate(list(label_bands(model, regions.from_top_to_bottom(), tiling, lambda: None)))


def seams(model: TrainedModel, data: Path, pictures: int) -> None:
    print("| window | shared | windows | differ | at seams | elsewhere | ratio |\n|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{seed}.tif" for seed in range(pictures)]
        wholes = []
        for seed, path in enumerate(paths):
            tifffile.imwrite(path, mosaic(data, seed), photometric="rgb", tile=(256, 256), compression="deflate")
            wholes.append(model.predict(path))
        for window, shared in WINDOWS:
            tiling = Tiling(wholes[0].shape, (window, window), (shared, shared))
            seam = at_seams(tiling)
            differ = np.stack(
                [windowed(model, path, tiling) != whole for path, whole in zip(paths, wholes, strict=True)]
            )
            here, elsewhere = 100 * differ[:, seam].mean(), 100 * differ[:, ~seam].mean()
            shares = f"{100 * differ.mean():.2f} % | {here:.2f} % | {elsewhere:.2f} % | {here / elsewhere:.2f}"
            print(f"| {window} | {shared} | {tiling.count} | {shares} |", flush=True)


def write_huge(path: Path, picture: Array, side: int, height: int | None = None) -> None:
    """A tiled TIFF, side pixels wide and as high, or `height`, that repeats a picture of sides that 256 divides."""

    def tiles() -> Iterator[Array]:
        for top in range(0, height or side, 256):
            for left in range(0, side, 256):
                y, x = top % picture.shape[0], left % picture.shape[1]
                yield np.ascontiguousarray(picture[y : y + 256, x : x + 256])

    with tifffile.TiffWriter(path) as file:
        file.write(
            tiles(),
            shape=(height or side, side, 3),
            dtype=np.uint8,
            photometric="rgb",
            tile=(256, 256),
            compression="deflate",
            maxworkers=1,
            metadata=None,
        )


_MEASURED = """
import sys
from pathlib import Path
from scaseg.predict import run
from scaseg.predict.options import PredictConfig
from scaseg.schema import Device
from scaseg.trained.inputs import find_inputs

def status(key):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024

load = run.load_model
def loaded(*args):
    model = load(*args)
    print("before", status("VmRSS"), flush=True)
    return model
run.load_model = loaded
options = PredictConfig(sys.argv[1], sys.argv[2], sys.argv[3], hardware=Device("cpu", 1), protocol={"box": None})
found = run.predict(options, find_inputs(sys.argv[2]))
print("peak", status("VmHWM"), flush=True)
sys.exit(1 if found.failed else 0)
"""


def measured(ckpt: Path, image: Path, output: Path) -> tuple[float, float]:
    """MB of resident memory of a process that predicts: with the model loaded and nothing seen, and at its peak."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(ckpt), str(image), str(output)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found = dict(line.split() for line in done.stdout.splitlines() if line.startswith(("before ", "peak ")))
    return float(found["before"]), float(found["peak"])


def memory(ckpt: Path, data: Path, side: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for length, high in ((1024, 1024), (side, height)):
            image = Path(folder, f"{length}.tif")
            write_huge(image, mosaic(data, 0), length, high)
            start = time.perf_counter()
            before, peak = measured(ckpt, image, Path(folder, f"out{length}"))
            seconds = time.perf_counter() - start
            print(
                f"{length} x {high}: {before:.0f} MB with the model loaded, {peak:.0f} MB at the peak,"
                f" {peak - before:.0f} MB more; {seconds:.0f} s, the file {image.stat().st_size / 1e6:.0f} MB",
                flush=True,
            )


class Whole(ImageFolder):
    """The same folder without regions: as what is kept decoded (`cache`), which keeps nothing here."""

    @property
    def cache(self) -> Any:
        return self

    def get(self, path: str, decode: Callable[..., Array], *options: Any) -> Array:
        return decode(path, *options)


def crops(side: int, rounds: int) -> None:
    """Median seconds of a sample, and the peak of memory that NumPy holds, of both ways in turn."""
    import tracemalloc

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("images", "masks"):
            Path(folder, part).mkdir()
        image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(coarse[..., 0] // 64, (side, side), interpolation=cv2.INTER_NEAREST)
        for n in range(2):
            tifffile.imwrite(
                f"{folder}/images/{n}.tif", image, photometric="rgb", tile=(256, 256), compression="deflate"
            )
            tifffile.imwrite(
                f"{folder}/masks/{n}.tif", mask, photometric="minisblack", tile=(256, 256), compression="deflate"
            )
        augment = Augment(crop_size=[512, 512])
        options = {"split": "all", "mask_suffix": ".tif", "classes": ["a", "b", "c", "d"]}
        ways = {
            "crops": TrainSamples(ImageFolder(folder, **options), augment, 0),
            "whole": TrainSamples(Whole(folder, **options), augment, 0),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        peaks: dict[str, list[int]] = {way: [] for way in ways}
        for n in range(rounds * 2):
            items = {}
            for way, samples in ways.items():
                start = time.perf_counter()
                items[way] = samples[n]
                times[way].append(time.perf_counter() - start)
                tracemalloc.start()
                samples[n]
                peaks[way].append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
            assert all(torch.equal(items["crops"][key], items["whole"][key]) for key in ("image", "mask"))
        seconds, held = ({way: median(of[way]) for way in ways} for of in (times, peaks))
        for way in ways:
            print(f"{way}: {1000 * seconds[way]:.0f} ms a sample, {held[way] / 1e6:.0f} MB at the peak")
        print(f"ratio of time {seconds['crops'] / seconds['whole']:.3f}, of memory {held['crops'] / held['whole']:.3f}")


def main() -> None:
    part, *given = sys.argv[1:]
    options = dict(one.split("=", 1) for one in given)
    torch.set_num_threads(1)
    if part == "crops":
        crops(int(options.get("side", 4096)), int(options.get("rounds", 3)))
        return
    ckpt, data = Path(options["ckpt"]), Path(options["data"])
    if part == "memory":
        side = int(options.get("side", 20_000))
        memory(ckpt, data, side, int(options.get("height", side)))
    else:
        seams(load_model(ckpt), data, int(options.get("pictures", 2)))


if __name__ == "__main__":
    main()

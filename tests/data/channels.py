"""A made-up data set of seven channels of 16 bits: `python -m tests.data.channels FOLDER COUNT`.

Every channel shows a disc of its own in noise, and the masks are those of one channel's: only that one tells.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

CHANNELS, SIGNAL = 7, 5


def disc(rng: np.random.Generator, side: int) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[:side, :side]
    (y, x), radius = rng.uniform(0.3, 0.7, 2) * side, rng.uniform(0.2, 0.3) * side
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def pictures(root: Path, count: int, side: int = 64) -> Path:
    """COUNT pairs and classes.yaml in a new folder; TIFFs in strips, in planes and in tiles in turn."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    (root / "classes.yaml").write_text("[ground, water]")
    for n in range(count):
        discs = np.stack([disc(rng, side) for _ in range(CHANNELS)], -1)
        image = (20_000 + 5_000.0 * discs + rng.normal(0, 800, discs.shape)).astype(np.uint16)
        path, planes = root / f"images/p{n}.tif", np.ascontiguousarray(image.transpose(2, 0, 1))
        if n % 3 == 0:
            tifffile.imwrite(path, image, photometric="minisblack", planarconfig="contig")
        elif n % 3 == 1:
            tifffile.imwrite(path, planes, photometric="minisblack", planarconfig="separate", compression="deflate")
        else:
            tifffile.imwrite(path, image, photometric="minisblack", planarconfig="contig", tile=(32, 32))
        Image.fromarray(discs[..., SIGNAL].astype(np.uint8)).save(root / f"masks/p{n}.png")
    return root


if __name__ == "__main__":
    pictures(Path(sys.argv[1]), int(sys.argv[2]))

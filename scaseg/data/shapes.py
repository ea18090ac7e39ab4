"""The embedded dataset: scenes drawn on the fly from (seed, split, index), nothing on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from scaseg.data.folder import Picture
from scaseg.data.labels import LabelTable, Mask, colours, names
from scaseg.data.release import Submission
from scaseg.errors import UserError

SKY, WATER, GROUND, WALL, DISC, BOX, TRIANGLE, POLE = range(8)
_FIXED = 4  # subpixel bits of cv2's polygons
_LENGTHS = {"train": 2000, "val": 100, "test": 100}


class Shapes:
    """Textured regions, occluded objects, thin poles and small things.

    Colour alone does not decide: sky and water share theirs, as do ground and wall (texture and place
    differ), and objects take any colour. `data_dir` is not used; `length` null is 2000, 100 and 100.
    """

    labels = LabelTable(
        names=names("sky, water, ground, wall, disc, box, triangle, pole"),
        colours=colours("87b5e0 2f6fd0 9c8f6a b5523b f2c230 7a3fb0 2fa35a 303030"),
        raw_ids={i: i for i in range(8)},
    )
    splits: ClassVar = tuple(_LENGTHS)
    terms: ClassVar = "drawn by the program; no terms"
    labelled: ClassVar = True
    submission: ClassVar = Submission()
    submission_labels: ClassVar = labels

    def __init__(
        self,
        data_dir: str | Path | None = None,
        split: str = "train",
        size: Sequence[int] = (96, 128),
        length: int | None = None,
        seed: int = 0,
    ):
        if split not in self.splits:
            raise UserError(f"shapes has no split '{split}': choose one of {', '.join(self.splits)}.")
        self.split, self.seed = split, seed
        self.size = (int(size[0]), int(size[1]))
        self.length = _LENGTHS[split] if length is None else length
        if min(self.size) < 32 or self.length < 1:
            raise UserError(f"shapes: sides of at least 32 and a length of at least 1, not {size} and {length}.")

    def __len__(self) -> int:
        return self.length

    def name(self, i: int) -> str:
        """Name of sample i."""
        return f"{self.split}_{i:05d}"

    def read(self, i: int) -> tuple[Picture, Mask]:
        """Sample i: image (H, W, 3) uint8 RGB, mask (H, W) uint8."""
        if not 0 <= i < self.length:
            raise IndexError(i)
        return _Scene(np.random.default_rng((self.seed, self.splits.index(self.split), i)), self.size).paint()

    def truth(self, i: int) -> Mask:
        """The mask of sample i."""
        return self.read(i)[1]


class _Scene:
    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        self.rng, self.size = rng, size
        self.image = np.empty((*size, 3), np.float32)
        self.mask = np.empty(size, np.uint8)
        self.unit = min(size)
        height, width = size
        self.y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        self.x = np.linspace(0, width / height, width, dtype=np.float32)[None]
        self.grain = self.noise(24, 24)

    def paint(self) -> tuple[Picture, Mask]:
        """Back to front: regions, then objects and poles in any order, then small things."""
        self.regions()
        things = [self.object] * self.rng.integers(2, 6) + [self.pole] * self.rng.integers(1, 4)
        for k in self.rng.permutation(len(things)):
            things[k]()
        for _ in range(self.rng.integers(1, 4)):
            self.object(small=True)
        light = 1 + self.rng.uniform(-0.25, 0.25) * (self.x - self.x.mean())
        image = cv2.GaussianBlur(self.image * light[..., None], (3, 3), 0.6)
        image += self.rng.normal(0, 5, (*self.size, 1)).astype(np.float32)
        return np.clip(image, 0, 255).astype(np.uint8), self.mask

    def regions(self) -> None:
        """Sky over ground and water; a wall or two in front."""
        height, width = self.size
        aloft, below = (self.rng.uniform(80, 175) + self.rng.uniform(-45, 45, 3) for _ in range(2))
        strength = self.rng.uniform(14, 24)
        horizon = self.rng.uniform(0.3, 0.6) + self.rng.uniform(-0.12, 0.12) * (self.x - self.x.mean())
        sky = self.noise(6, 6) + 0.5 * (self.y - 0.5)
        self.fill(np.ones(self.size, bool), SKY, aloft, strength * sky)
        self.fill(np.broadcast_to(self.y > horizon, self.size), GROUND, below, strength * self.noise(64, 64))
        if self.rng.random() < 0.75:
            shore = horizon + self.rng.uniform(0.0, 0.3) + 0.03 * np.sin(7 * self.x + self.rng.uniform(0, 6))
            other = shore + self.rng.uniform(0.15, 0.6)
            lake = (self.y > np.maximum(shore, horizon)) & (self.y < other)
            self.fill(lake, WATER, aloft, strength * self.noise(40, 6))
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            w, h = (int(n * f) for n, f in zip((width, height), self.rng.uniform(0.2, 0.5, 2), strict=True))
            left = int(self.rng.integers(-w // 3, width - w // 2))
            foot = int((float(horizon.mean()) + self.rng.uniform(0.02, 0.25)) * height)
            area = np.zeros(self.size, bool)
            area[max(0, foot - h) : foot, max(0, left) : left + w] = True
            self.fill(area, WALL, below, strength * self.bricks())

    def object(self, small: bool = False) -> None:
        """A disc (shaded as a ball), box (as a plane) or triangle (striped as a tent), of any colour."""
        label = int(self.rng.choice([DISC, BOX, TRIANGLE]))
        radius = self.unit * (self.rng.uniform(0.03, 0.06) if small else self.rng.uniform(0.1, 0.25))
        centre = self.rng.uniform(0, 1, 2) * self.size[::-1]
        turn, squeeze = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.6, 1.0)
        count = {DISC: 24, BOX: 4, TRIANGLE: 3}[label]
        angles = np.arange(count) * 2 * np.pi / count
        outline = np.stack([np.cos(angles), squeeze * np.sin(angles)], 1)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corners = centre + radius * outline @ rotation.T
        window = self.window(corners)
        right, down = self.x[:, window[1]] - centre[0] / self.size[0], self.y[window[0]] - centre[1] / self.size[0]
        if label == DISC:
            shade = 30 - 70 * (right**2 + down**2) * (self.size[0] / radius) ** 2
        elif label == BOX:
            shade = self.rng.uniform(-90, 90) * right + self.rng.uniform(-90, 90) * down
        else:
            across = np.cos(turn) * right + np.sin(turn) * down
            shade = self.rng.uniform(12, 22) * np.sign(np.sin(across * self.rng.uniform(110, 150)))
        texture = shade + self.rng.uniform(3, 10) * self.grain[window]
        self.polygon(corners, label, self.colour(), texture, window)

    def pole(self) -> None:
        """A thin strip, upright for the most part, of any brightness."""
        foot = self.rng.uniform(0, 1, 2) * (self.size[1], 0.5 * self.size[0]) + (0, 0.5 * self.size[0])
        length, lean = self.rng.uniform(0.4, 0.9) * self.size[0], self.rng.normal(0, 0.12)
        along = np.array([np.sin(lean), -np.cos(lean)])
        across = np.array([along[1], -along[0]]) * self.rng.uniform(0.008, 0.018) * self.unit
        head = foot + length * along
        corners = np.array([foot - across, foot + across, head + across, head - across])
        self.polygon(corners, POLE, self.rng.uniform(20, 230), np.float32(0), self.window(corners))

    def window(self, corners: Any) -> tuple[slice, slice]:
        """Rows and columns around (x, y) corners, as far as they are in the picture."""
        low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1
        (left, top), (right, bottom) = np.clip(low, 0, None), np.clip(high, 0, None)
        return slice(top, bottom), slice(left, right)

    def polygon(self, corners: Any, label: int, colour: Any, texture: Any, window: tuple[slice, slice]) -> None:
        """Fill a polygon given by (x, y) corners in pixels; the texture is that of the window."""
        stencil = np.zeros_like(self.mask[window])
        if stencil.size:
            shifted = (corners - (window[1].start, window[0].start)) * 2**_FIXED
            cv2.fillPoly(stencil, [np.round(shifted).astype(np.int32)], 1, shift=_FIXED)
            self.fill(stencil.astype(bool), label, colour, texture, window)

    def fill(
        self, area: Any, label: int, colour: Any, texture: Any, window: tuple[slice, slice] = (slice(None),) * 2
    ) -> None:
        """Write label and colour plus texture (grey, or a scalar) where `area` is true in the window."""
        self.mask[window][area] = label
        self.image[window][area] = colour + np.broadcast_to(texture, area.shape)[area][:, None]

    def colour(self) -> Any:
        """Any colour that leaves the texture room."""
        return self.rng.uniform(50, 205, 3).astype(np.float32)

    def noise(self, rows: int, columns: int) -> Any:
        """Smooth noise of unit variance, about so many bumps each way: few columns make long ripples."""
        coarse = self.rng.normal(0, 1, (rows, columns)).astype(np.float32)
        fine = cv2.resize(coarse, self.size[::-1], interpolation=cv2.INTER_LINEAR)
        return (fine - fine.mean()) / fine.std()

    def bricks(self) -> Any:
        """Courses of bricks, dark joints between: zero mean, unit variance, as the noise."""
        course = self.rng.uniform(0.05, 0.09)
        row = np.floor(self.y / course)
        joint = (self.y / course % 1 < 0.25) | ((self.x / (2.2 * course) + 0.5 * (row % 2)) % 1 < 0.12)
        wall = self.grain * 0.5 - 2.0 * joint
        return (wall - wall.mean()) / wall.std()

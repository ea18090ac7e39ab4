"""The training recipe's augmentation: scale, crop, flip, photometric distortion; before and after them the user's.

The parameters are drawn before a pixel is touched; only the part of the picture that the crop keeps is
resampled, and colour work is done at the smaller of the two resolutions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import albumentations as A
import cv2
import numpy as np

from scaseg.data.augment import PAD_COLOUR, Augment, padding
from scaseg.data.by_fours import by_fours
from scaseg.data.crop_source import CropSource, held
from scaseg.data.folder import Picture
from scaseg.data.labels import IGNORE, Mask
from scaseg.data.levels import Levels, Shift
from scaseg.data.photometric import Distortion, Photometric
from scaseg.data.sizes import Size, box_ratio
from scaseg.data.users_transforms import check_crop, users_transforms
from scaseg.form import RGB, Form

CROP_TRIES = 10  # times that a crop of mostly one class is drawn again


def training_pipeline(augment: Augment, form: Form = RGB) -> A.Compose:
    """The recipe as an albumentations pipeline for `image` (H, W, C), of the form, and `mask` (H, W) uint8.

    First those of augment.before, then ours, then those of augment.transforms. `is_check_shapes` is off because the
    image may come decoded at a fraction of the mask's size, but where something comes before ours. Raises UserError for
    a transform that is none, or that comes after ours and changes the crop's size or type.
    """
    before = users_transforms("augment.before", augment.before, form)
    after = users_transforms("augment.transforms", augment.transforms, form)
    if after:
        check_crop("augment.transforms", after, (augment.crop_size[0], augment.crop_size[1]), form)
    levels = Photometric(hue=augment.hue) if form.is_rgb else Levels(form)
    crop = ScaledCrop(
        augment.crop_size,
        augment.resize_box,
        augment.scale,
        augment.cat_max_ratio,
        augment.flip,
        levels if augment.photometric else None,
        padding(form),
    )
    return A.Compose([*before, crop, *after], is_check_shapes=False)


class View(NamedTuple):
    """What a crop keeps of a picture resized by `ratio`.

    It lies `height` x `width` resized pixels from source pixel (top, left) on, after the `lead` of resized pixels
    which would need the source pixel before that one. So a crop may start between two pixels of the resized
    picture, and resampling the part alone is exact.
    """

    ratio: float
    top: int
    left: int
    height: int
    width: int

    def region(self, size: Size, reduce: int = 1) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of what it needs of a picture (H, W), in pixels of one stored at 1/reduce."""
        top, left = self.top // reduce, self.left // reduce
        rows, columns = (
            int(np.ceil((lead(self.ratio, start) + length) / (self.ratio * reduce))) + 1
            for start, length in ((top, self.height), (left, self.width))
        )
        return top, min(top + rows, -(-size[0] // reduce)), left, min(left + columns, -(-size[1] // reduce))

    def cut(self, array: np.ndarray[Any, Any], reduce: int = 1) -> np.ndarray[Any, Any]:
        """These of a picture in memory, stored so."""
        top, bottom, left, right = self.region((array.shape[0] * reduce, array.shape[1] * reduce), reduce)
        return array[top:bottom, left:right]

    def resample(self, part: Picture, reduce: int = 1) -> Picture:
        """The view of an image from what `cut` gave: bilinear, pixel centres at (i + 0.5) / ratio."""
        ratio = self.ratio * reduce
        whole = by_fours(part, lambda some: cv2.resize(some, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR))
        y, x = lead(self.ratio, self.top), lead(self.ratio, self.left)
        return whole[y : y + self.height, x : x + self.width]  # type: ignore[no-any-return]

    def resample_mask(self, part: Mask) -> Mask:
        """The view of a mask from what `cut` gave, by the nearest pixel centre (cv2's own is off-centre)."""
        rows, columns = (
            ((np.arange(n) + (lead(self.ratio, start) + 0.5)) / self.ratio).astype(np.intp).clip(max=side - 1)
            for start, n, side in zip(self[1:3], self[3:], part.shape, strict=True)
        )
        if self.ratio < 1:
            return part.take(rows, 0).take(columns, 1)
        return part.take(columns, 1).take(rows, 0)


def lead(ratio: float, start: int) -> int:
    """How many resized pixels from source pixel `start` on are also made from the source pixel before."""
    return max(0, int(np.ceil((ratio - 1) / 2))) if start else 0


def largest_share(mask: Mask) -> float:
    """Share of the commonest class among the labelled pixels; 1 where none is labelled."""
    counts = cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()  # several times faster than np.bincount
    counts[IGNORE] = 0
    labelled = counts.sum(dtype=np.float64)
    return float(counts.max() / labelled) if labelled else 1.0


class ScaledCrop(A.DualTransform):  # type: ignore[misc]
    """Resize by a factor from U(scale), relative to the box or to the picture's own size; crop; flip.

    A crop of which one class has more than `cat_max_ratio` of the labelled pixels is drawn again, up to 10
    times. A picture smaller than the crop is padded at the right and below: image `fill`, mask IGNORE.
    Flip (left to right, with probability `flip`) and `photometric` are done where they cost least.
    The factor can be given from outside as `factor=...` beside image and mask: a reader that knew it may have
    decoded the image at 1/2, 1/4 or 1/8 of the mask's size. So can `source=...`, a CropSource, of which no more is read
    than is looked at: image and mask stand for nothing then.
    """

    def __init__(
        self,
        crop_size: Sequence[int],
        resize_box: Sequence[int] | None = None,
        scale: Sequence[float] = (0.5, 2.0),
        cat_max_ratio: float = 0.75,
        flip: float = 0.5,
        photometric: Photometric | Levels | None = None,
        fill: Sequence[float] = PAD_COLOUR,
    ):
        super().__init__(p=1.0)
        self.crop_size = (int(crop_size[0]), int(crop_size[1]))
        self.resize_box = None if resize_box is None else tuple(resize_box)
        self.scale = (float(scale[0]), float(scale[1]))
        self.cat_max_ratio, self.flip = cat_max_ratio, flip
        self.photometric, self.fill = photometric, tuple(fill)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the view and the photometric distortion, and cut the view's part out of image and mask."""
        source: CropSource = data.get("source") or held(data["image"], data["mask"])
        factor = data.get("factor") or self.py_random.uniform(*self.scale)
        ratio, reduce = factor * box_ratio(source.size, self.resize_box), source.reduce
        view = self.draw_view(source.size, ratio, reduce)
        mask = source.mask(*view.region(source.size))
        for _ in range(CROP_TRIES):
            if self.cat_max_ratio >= 1 or largest_share(mask) <= self.cat_max_ratio:
                break
            view = self.draw_view(source.size, ratio, reduce)
            mask = source.mask(*view.region(source.size))
        distortion = self.photometric.draw(self.py_random) if self.photometric else None
        flip = self.py_random.random() < self.flip
        image = source.image(*view.region(source.size, reduce))
        drawn = {"view": view, "distortion": distortion, "flip": flip, "reduce": reduce}
        return {**drawn, "image_part": image, "mask_part": mask}

    def draw_view(self, size: Size, ratio: float, reduce: int = 1) -> View:
        """A crop of a picture (H, W) resized by `ratio`, at any of the source's pixels alike."""
        starts, lengths = [], []
        for length, crop in zip(size, self.crop_size, strict=True):
            last = int(length - (crop + lead(ratio, 1)) / ratio)
            starts.append(self.py_random.randint(0, last) // reduce * reduce if last > 0 else 0)
            lengths.append(min(crop, max(1, round(length * ratio))))
        return View(ratio, *starts, *lengths)

    def apply(
        self,
        img: Picture,
        view: View,
        image_part: Picture,
        distortion: Distortion | Shift | None,
        flip: bool,
        reduce: int,
        **params: Any,
    ) -> Picture:
        """Image (H, W, C), whose part the view needs -> (crop height, crop width, C)."""
        part = image_part
        upscaling = view.ratio * reduce > 1
        if distortion and upscaling:
            part = distortion.apply(part)
        part = view.resample(part, reduce)
        if distortion and not upscaling:
            part = distortion.apply(part)
        seen: Picture = _finish(part, flip, self.crop_size, self.fill)
        return seen

    def apply_to_mask(self, mask: Mask, view: View, mask_part: Mask, flip: bool, **params: Any) -> Mask:
        """Mask (H, W), whose part the view needs -> (crop height, crop width)."""
        seen: Mask = _finish(view.resample_mask(mask_part), flip, self.crop_size, (IGNORE,))
        return seen


def _finish(part: Any, flip: bool, size: Size, fill: tuple[float, ...]) -> Any:
    """Flip and pad, an image or a mask."""
    below, right = size[0] - part.shape[0], size[1] - part.shape[1]
    if part.ndim == 3 and len(fill) != 3:  # OpenCV pads with four numbers at the most
        whole = np.empty((*size, len(fill)), part.dtype)
        whole[:] = fill
        whole[: part.shape[0], : part.shape[1]] = part[:, ::-1] if flip else part
        return whole
    if flip:
        part = cv2.flip(part, 1)
    if below or right:
        part = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_CONSTANT, value=fill)
    return part

"""What a training crop is cut from: an image and its mask in memory, or their files, of which it alone is read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scaseg.data.by_pillow import Picture
from scaseg.data.folder import UPRIGHT, FolderDataset, sizes_differ
from scaseg.data.labels import Mask
from scaseg.data.masks import mask_by_region
from scaseg.data.regions import in_parts
from scaseg.data.sizes import Size


@dataclass(frozen=True)
class CropSource:
    """Image and mask by regions (top, bottom, left, right), rows and columns [top, bottom) and [left, right).

    size: of the mask, (H, W). reduce: the image comes at 1/reduce of it, and its regions are of that image.
    """

    size: Size
    reduce: int
    image: Callable[[int, int, int, int], Picture]
    mask: Callable[[int, int, int, int], Mask]


def held(image: Picture, mask: Mask) -> CropSource:
    """Of an image (H, W, C) and a mask (H, W) in memory; the image may be a JPEG's, at 1/2, 1/4 or 1/8 of its size."""
    size = mask.shape[0], mask.shape[1]
    return CropSource(
        size,
        _reduction((image.shape[0], image.shape[1]), size),
        lambda top, bottom, left, right: image[top:bottom, left:right],
        lambda top, bottom, left, right: mask[top:bottom, left:right],
    )


@contextmanager
def in_files(source: FolderDataset, i: int) -> Iterator[CropSource | None]:
    """Of sample i's files; None where the image's must be read whole, and where decoded files are kept (`cache`).

    A mask's may be read whole beside an image that is not. Raises UserError where the two differ in size; ids that the
    classes do not have are found in crops alone.
    """
    pair = source.pairs[i]
    if source.cache is not None or pair.mask is None:
        yield None
        return
    with in_parts(pair.image, source.form) as image:
        if image is None or not image.same:
            yield None
            return
        with mask_by_region(pair.mask, source.mask_pixels == UPRIGHT) as ids:
            if ids.size != image.size:
                raise sizes_differ(pair, ids.size, source.mask_pixels, source.form)

            def mask(top: int, bottom: int, left: int, right: int) -> Mask:
                return source.labels.encode(ids.read(top, bottom, left, right), str(pair.mask))

            yield CropSource(image.size, 1, image.read, mask)


def _reduction(stored: Size, size: Size) -> int:
    for reduce in (1, 2, 4, 8):
        if stored[0] == -(-size[0] // reduce) and stored[1] == -(-size[1] // reduce):
            return reduce
    raise ValueError(f"an image of {stored} does not belong to a mask of {size}")

"""Training samples of which the crop alone is read, against the same files read whole: bit for bit."""

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch.utils.data import DataLoader

from scaseg.data import masks, tiff_pieces
from scaseg.data.augment import Augment
from scaseg.data.crop_source import in_files
from scaseg.data.datasets import CounterBatches, TrainSamples, collate_train
from scaseg.data.image_folder import ImageFolder
from scaseg.form import Form
from tests.data.test_folder import says

RNG = np.random.default_rng(0)
SIZE = 150, 203
PHOTO = cv2.GaussianBlur(RNG.integers(0, 256, (*SIZE, 3), np.uint8), (5, 5), 2)
WIDE = RNG.integers(0, 65536, (*SIZE, 5)).astype(np.uint16)
IDS = cv2.resize(RNG.integers(0, 3, (7, 9), np.uint8), SIZE[::-1], interpolation=cv2.INTER_NEAREST)
TILES = {"tile": (32, 32), "compression": "deflate"}
BLACK = np.zeros((3, 256), np.uint16)
FLIP = {"_target_": "albumentations.HorizontalFlip", "p": 0.5}


class Whole:
    """Stands for a cache, beside which files are read whole; it keeps nothing."""

    def get(self, path, decode, *options):
        return decode(path, *options)


def folder(root, wide=False):
    """Pictures in tiles, in strips, and plain."""
    kinds: list[dict] = [TILES, {"compression": "lzw", "rowsperstrip": 16}, {}]
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for n, kind in enumerate(kinds):
        light = {"photometric": "minisblack" if wide else "rgb", "planarconfig": "contig"}
        tifffile.imwrite(root / f"images/{n}.tif", WIDE + n if wide else PHOTO + n, **light, **kind)
    return root


def sources(root, form, suffix):
    found = []
    for _ in range(2):
        source = ImageFolder(root, "all", mask_suffix=suffix, classes=["a", "b", "c"])
        source.form = form
        found.append(source)
    found[1].cache = Whole()
    return found


def put_masks(root, suffix):
    for n, image in enumerate(sorted((root / "images").iterdir())):
        if suffix == ".png":
            Image.fromarray(IDS).save(root / f"masks/{image.stem}.png")
        else:
            light = ({"photometric": "palette", "colormap": BLACK}, {"photometric": "minisblack"})[n % 2]
            tifffile.imwrite(root / f"masks/{image.stem}.tif", IDS, **light, **TILES)


@pytest.mark.parametrize(("wide", "suffix"), [(False, ".tif"), (False, ".png"), (True, ".tif")])
def test_samples_are_those_of_files_read_whole(wide, suffix, tmp_path):
    root = folder(tmp_path, wide)
    put_masks(root, suffix)
    form = Form(5, "uint16", mean=(3e4,) * 5, std=(2e4,) * 5) if wide else Form()
    parts, whole = sources(root, form, suffix)
    for augment in (
        Augment(crop_size=[48, 64]),
        Augment(crop_size=[64, 64], scale=[1, 1], cat_max_ratio=0.4, transforms=[FLIP]),
        Augment(crop_size=[160, 256], resize_box=[160, 120]),
    ):
        one, other = (TrainSamples(source, augment, 7, form) for source in (parts, whole))
        for n in range(3 * len(parts)):
            with in_files(parts, one.drawn(n)[1]) as files:
                assert files is not None and files.size == SIZE
            a, b = one[n], other[n]
            assert all(torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in ("image", "mask")), n


def test_arrays_too(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    np.save(tmp_path / "images/a.npy", WIDE)
    np.save(tmp_path / "images/b.npy", np.moveaxis(WIDE, 2, 0))
    put_masks(tmp_path, ".png")
    form = Form(5, "uint16", mean=(3e4,) * 5, std=(2e4,) * 5)
    one, other = (TrainSamples(one, Augment(crop_size=[48, 64]), 0, form) for one in sources(tmp_path, form, ".png"))
    assert all(torch.equal(one[n][key], other[n][key]) for n in range(6) for key in ("image", "mask"))


def test_a_resumed_stream_is_the_tail_of_the_whole(tmp_path):
    root = folder(tmp_path)
    put_masks(root, ".tif")
    samples = TrainSamples(sources(root, Form(), ".tif")[0], Augment(crop_size=[48, 64]), 0)

    def stream(start):
        return list(DataLoader(samples, batch_sampler=CounterBatches(start, 12, 2), collate_fn=collate_train))

    for a, b in zip(stream(6), stream(0)[3:], strict=True):
        assert all(torch.equal(a[key], b[key]) for key in ("image", "mask"))


def test_no_tile_beside_the_crop_is_read(tmp_path, monkeypatch):
    root = folder(tmp_path)
    for name in ("1.tif", "2.tif"):
        (root / "images" / name).unlink()
    put_masks(root, ".tif")
    monkeypatch.setattr(masks, "read_mask", None)
    seen = []
    once = tiff_pieces.Pieces._decoded
    monkeypatch.setattr(
        tiff_pieces.Pieces, "_decoded", lambda *given: (seen.append(one[1:]) or one for one in once(*given))
    )
    source = sources(root, Form(), ".tif")[0]
    samples = TrainSamples(source, Augment(crop_size=[32, 32], scale=[1, 1], cat_max_ratio=1), 0)
    samples[0]
    assert 0 < len(seen) <= 2 * 4 + 4  # of 35 each: two by two of the image and of the mask, three where it lies so


def test_what_is_wrong_is_named(tmp_path):
    root = folder(tmp_path)
    for name in ("1.tif", "2.tif"):
        (root / "images" / name).unlink()
    mask = root / "masks/0.tif"
    for ids, said in (
        (IDS[:-1], ("differ in size", "0.tif is 203x150", "203x149")),
        (IDS + 3, ("masks/0.tif", "does not have")),
    ):
        tifffile.imwrite(mask, ids, photometric="minisblack", **TILES)
        samples = TrainSamples(sources(root, Form(), ".tif")[0], Augment(crop_size=[48, 64]), 0)
        with says(*said):
            samples[0]
    tifffile.imwrite(mask, IDS, photometric="minisblack", **TILES)
    for path in (mask, root / "images/0.tif"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with says(str(path), "damaged or cut short"):
            for n in range(8):
                samples[n]
        path.write_bytes(data)

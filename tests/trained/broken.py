"""A folder of images of which some are damaged, odd or no images at all."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Picture = np.ndarray[Any, Any]


def good_files(folder: Path, count: int, photo: Picture) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        turned = np.roll(photo, number, axis=1)
        Image.fromarray(turned).save(folder / f"good_{number:04d}.{('jpg', 'png')[number % 2]}")


def odd_files(folder: Path, photo: Picture) -> tuple[dict[str, Picture], list[str]]:
    """Twenty files: those that can be read, with the RGB picture each one shows, and those that cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(photo)
    jpeg, png = _bytes(picture, "JPEG"), _bytes(picture, "PNG")
    readable: dict[str, Picture] = {}
    broken = {
        "empty.jpg": b"",
        "empty.png": b"",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut_late.jpg": jpeg[:-200],
        "cut.png": png[: len(png) // 2],
        "cut_header.png": png[:20],
        "text.jpg": b"this is no picture\n" * 50,
        "text.png": "not a picture: äöü".encode(),
        "html.jpg": b"<!doctype html><html>404</html>",
        "noise.jpg": jpeg[:4] + np.random.default_rng(0).bytes(500),
    }
    for name, content in broken.items():
        (folder / name).write_bytes(content)

    def write(name: str, image: Image.Image, shown: Picture, **options: Any) -> None:
        image.save(folder / name, **options)
        readable[name] = shown

    grey16 = photo[..., 0].astype(np.uint16) * 256 + 17
    write("grey16.png", Image.fromarray(grey16), np.repeat(photo[..., :1], 3, 2))
    cmyk = picture.convert("CMYK")
    cmyk.save(folder / "cmyk.jpg", quality=100, subsampling=0)
    readable["cmyk.jpg"] = np.asarray(Image.open(folder / "cmyk.jpg").convert("RGB"))
    palette = picture.quantize(32)
    write("palette.png", palette, np.asarray(palette.convert("RGB")))
    write("grey.png", picture.convert("L"), np.repeat(np.asarray(picture.convert("L"))[..., None], 3, 2))
    alpha = picture.convert("RGBA")
    alpha.putalpha(255)
    write("alpha.png", alpha, photo)
    for orientation, turns in ((3, 2), (6, -1), (8, 1)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        write(f"exif{orientation}.png", picture, np.rot90(photo, turns), exif=exif)
    write("one.png", Image.fromarray(photo[:1, :1]), photo[:1, :1])
    line = np.tile(photo, (1, 313, 1))[:2, :30000]
    write("line.png", Image.fromarray(line), line)
    return readable, list(broken)


def _bytes(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()

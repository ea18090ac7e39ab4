import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scaseg.browse import main
from scaseg.data import draw
from scaseg.data.browse import HEAD, contact_sheet, histogram, pixels_of
from scaseg.data.datasets import TrainSamples
from scaseg.data.labels import IGNORE, LabelTable
from scaseg.data.shapes import Shapes
from scaseg.data.voc import VOC
from tests.data.layouts import write
from tests.data.test_datasets import AUGMENT


def test_sheet_shows_what_training_sees():
    samples = TrainSamples(Shapes(size=[64, 80], length=7), AUGMENT, 3)
    sheet = contact_sheet(samples, 5)
    assert sheet.shape[1] == 4 * 306
    assert sheet.shape[0] > 3 * (225 + HEAD)  # three rows of crops of 48 x 64 at 300 pixels' width, and the legend
    first = np.asarray(Image.fromarray(samples[0]["image"].numpy()).resize((300, 225)), np.int16)
    assert np.abs(sheet[HEAD + 3 : HEAD + 228, 3:303] - first).mean() < 12
    assert (sheet == contact_sheet(samples, 5)).all()


class Drawn(Shapes):
    """Shapes whose upper rows are ignored, under names of any length."""

    def read(self, i):
        image, mask = super().read(i)
        mask[:8] = IGNORE
        return image, mask

    def name(self, i):
        return "a/" + "b" * 300 + str(i)


def test_names_padding_and_what_is_ignored_are_said(monkeypatch):
    said = []
    monkeypatch.setattr(draw, "write", lambda picture, text, x, y, scale: said.append((text, x, picture.shape[1])))
    samples = TrainSamples(Shapes(size=[64, 80], length=3), AUGMENT, 3)
    contact_sheet(samples, 2)
    assert [text for text, *_ in said][:2] == [samples.source.name(samples.drawn(n)[1]) for n in (0, 1)]
    assert not {"ignored", "padding (ignored)"} & {text for text, *_ in said}
    said.clear()
    contact_sheet(TrainSamples(Drawn(size=[64, 80], length=3), replace(AUGMENT, crop_size=[320, 320]), 3), 1)
    assert said[0][0].startswith("a/b") and said[0][0].endswith(f"b{said[0][0][-1]}") and ".." in said[0][0]
    assert {"ignored", "padding (ignored)"} <= {text for text, *_ in said}
    for text, x, width in said:
        assert x + draw.text_width(text, draw.SMALL) <= width


def test_ignored_pixels_are_unlike_every_class():
    labels = LabelTable(("black",), ((0, 0, 0),), {0: 0, 255: IGNORE})
    image = np.full((60, 60, 3), 100, np.uint8)
    mask = np.zeros((60, 60), np.uint8)
    mask[:, 30:] = IGNORE
    shown = draw.overlay(image, mask, labels)
    assert len(np.unique(shown[:, :30])) == 1
    assert len(np.unique(shown[:, 30:])) == 2
    assert (draw.overlay(image, np.zeros_like(mask), labels) == 40).all()


@pytest.mark.parametrize("width", [60, 480])
def test_a_legend_has_room_for_every_name(width):
    names = ("Straße", "道路", "x", "a class of a name that is longer than any legend is wide " * 3)
    labels = LabelTable(names, ((9, 9, 9),) * 4, dict(enumerate(range(4))))
    strip = draw.legend(labels, width, more={"ignored": None})
    assert strip.shape[1] == width
    assert (strip[:, -3:] == 255).all()  # nothing runs over the edge
    assert draw.shortened("abcdef", 10_000, draw.SMALL) == "abcdef"
    assert draw.shortened("abcdef" * 9, 1, draw.SMALL) == "a..f"


def test_pixels_are_counted(tmp_path):
    source = VOC(write("voc", tmp_path, count=5), "train")
    pixels = pixels_of(source)
    masks = np.concatenate([source.read(i)[1].ravel() for i in range(5)])
    assert pixels.tolist() == [*(int((masks == k).sum()) for k in range(21)), int((masks == IGNORE).sum())]
    assert pixels_of(source, 2).sum() == 2 * 40 * 56
    shares = histogram(pixels, source.labels, "a title")
    assert shares.shape[0] == 30 + 16 * 22
    pixels[7] = 0
    assert histogram(pixels, source.labels, "one is absent").shape == shares.shape


@pytest.mark.parametrize("split", ["train", "test"])
def test_command(split, tmp_path, monkeypatch, capsys):
    write("voc", tmp_path / "voc")
    monkeypatch.chdir(tmp_path)
    arguments = ["dataset=voc", "data_dir=voc", f"split={split}", "samples=3", "augment.crop_size=[32,48]"]
    arguments.append("augment.before=[{_target_: albumentations.Perspective, p: 1.0}]")
    monkeypatch.setattr(sys, "argv", ["scaseg.browse", *arguments])
    main()
    written = capsys.readouterr().out.split()
    kinds = ("samples", "classes") if split == "train" else ("samples",)
    assert written == [f"browse/voc_{split}_{kind}.png" for kind in kinds]
    for path in written:
        with Image.open(path) as picture:
            assert picture.width > 300
    monkeypatch.setattr(sys, "argv", ["scaseg.browse", "dataset=voc", "data_dir=voc", "samples=0"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "samples=0" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["scaseg.browse", *arguments, "output=/proc/x"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "error: output=/proc/x: /proc cannot be written to" in capsys.readouterr().err

import sys

import numpy as np
import pytest
from PIL import Image

from scaseg.browse import main
from scaseg.data.browse import contact_sheet, histogram, pixels_of
from scaseg.data.datasets import TrainSamples
from scaseg.data.labels import IGNORE
from scaseg.data.shapes import Shapes
from scaseg.data.voc import VOC
from tests.data.layouts import write
from tests.data.test_datasets import AUGMENT


def test_sheet_shows_what_training_sees():
    samples = TrainSamples(Shapes(size=[64, 80], length=7), AUGMENT, 3)
    sheet = contact_sheet(samples, 5)
    assert sheet.shape[1] == 4 * 306
    assert sheet.shape[0] > 3 * 225  # three rows of crops of 48 x 64 at 300 pixels' width, and the legend
    first = np.asarray(Image.fromarray(samples[0]["image"].numpy()).resize((300, 225)), np.int16)
    assert np.abs(sheet[3:228, 3:303] - first).mean() < 12
    assert (sheet == contact_sheet(samples, 5)).all()


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

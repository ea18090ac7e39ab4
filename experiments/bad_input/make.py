"""What a user sees for bad input: runs the commands on faulty data of the official layout, writes README.md.

python experiments/bad_input/make.py
"""

import json
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent
TINY = (
    "dataset=camvid augment.crop_size=[32,64] training.max_steps=2 training.val_every=2 training.batch_size=2"
    " hardware.accelerator=cpu"
)
EXPORT = "scaseg.prepare dataset=folder source=own data_dir=new workers=0"


def camvid(root: Path) -> Path:
    """Four images a split, in CamVid's layout."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in (split, f"{split}annot"):
            (root / kind).mkdir(parents=True)
        for name in "abcd":
            cv2.imwrite(str(root / split / f"{name}.jpg"), generator.integers(0, 255, (48, 64, 3), np.uint8))
            cv2.imwrite(str(root / f"{split}annot" / f"{name}.png"), generator.integers(0, 12, (48, 64), np.uint8))
    return root


def wrong_id(root: Path) -> None:
    cv2.imwrite(str(root / "trainannot/b.png"), np.full((48, 64), 77, np.uint8))


def wrong_size(root: Path) -> None:
    cv2.imwrite(str(root / "trainannot/b.png"), np.zeros((40, 64), np.uint8))


def truncated(root: Path) -> None:
    file = root / "train/c.jpg"
    file.write_bytes(file.read_bytes()[:-500])


def empty_split(root: Path) -> None:
    for folder in ("train", "trainannot"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()


def truncated_png(root: Path) -> None:
    file = root / "trainannot/c.png"
    file.write_bytes(file.read_bytes()[:-500])


def rgb_mask(root: Path) -> None:
    cv2.imwrite(str(root / "trainannot/c.png"), np.zeros((48, 64, 3), np.uint8))


def mask_of_16_bits(root: Path) -> None:
    cv2.imwrite(str(root / "trainannot/c.png"), np.zeros((48, 64), np.uint16))


def list_too_long(root: Path) -> None:
    (root / "train.txt").write_text("a\nb\nc\nd\ne\n")


def duplicate_in_list(root: Path) -> None:
    (root / "train.txt").write_text("a\nb\na\n")


def two_files_for_a_name(root: Path) -> None:
    shutil.copy(root / "train/a.jpg", root / "train/a.png")


def half_extracted(root: Path) -> None:
    for name in "bcd":
        (root / f"trainannot/{name}.png").unlink()


def several_faults(root: Path) -> None:
    wrong_id(root)
    truncated(root)
    (root / "valannot/a.png").write_bytes(b"")


def archive(root: Path) -> Path:
    """The data as a release's archive would have them, and not yet unpacked."""
    root = root.rename(root.with_name("CamVid"))
    shutil.make_archive(str(root.parent / "downloads/CamVid"), "zip", root.parent, "CamVid")
    shutil.make_archive(str(root.parent / "downloads/VOCtrainval_11-May-2012"), "tar", root.parent, "CamVid")
    shutil.rmtree(root)
    return root.parent / "downloads/CamVid.zip"


def archive_cut_short(root: Path) -> None:
    file = archive(root)
    file.write_bytes(file.read_bytes()[:-3000])


def archive_that_leaves(root: Path) -> None:
    with zipfile.ZipFile(archive(root), "a") as packed:
        packed.writestr("CamVid/../../outside.png", b"")


def hole(root: Path) -> None:
    file = root / "train/c.jpg"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    file.write_bytes(data)


def jpeg_mask(root: Path) -> None:
    file = root / "trainannot/b.png"
    cv2.imwrite(str(file.with_suffix(".jpg")), cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    file.with_suffix(".jpg").rename(file)


def upright_mask(root: Path) -> None:
    """An image that is noted as turned by a quarter, and a mask drawn on it as viewers show it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(root / "train/b.jpg") as image:
        image.load()
    image.save(root / "train/b.jpg", exif=exif)
    cv2.imwrite(str(root / "trainannot/b.png"), np.zeros((64, 48), np.uint8))


def latin_1(root: Path) -> None:
    (root / "train.txt").write_bytes("a\nstraße\n".encode("latin-1"))


def folder(root: Path, images: str, masks: str, ids: Sequence[int], classes: str) -> None:
    """The images as a user's own: names with a {}, the ids that masks hold, the table."""
    generator = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for name in "abcdefgh":
        shutil.copy(root / "train/a.jpg", root / "images" / images.format(name))
        mask = generator.choice(np.array(ids, np.uint8), (48, 64))
        cv2.imwrite(str(root / "masks" / masks.format(name)), mask)
    (root / "classes.yaml").write_text(classes)


def binary_masks(root: Path) -> None:
    folder(root, "{}.jpg", "{}.png", (0, 255), "[ground, crack]\n")


def other_suffixes(root: Path) -> None:
    folder(root, "{}_leftImg8bit.jpg", "{}_gtFine_labelIds.png", (0, 1), "[ground, crack]\n")


def masks_beside(root: Path) -> None:
    folder(root, "{}.jpg", "{}_mask.png", (0, 1), "[ground, crack]\n")
    for file in (root / "masks").iterdir():
        file.rename(root / "images" / file.name)
    (root / "masks").rmdir()


def linked_away(root: Path) -> None:
    archive(root)
    (root.parent / "elsewhere").mkdir()
    root.mkdir()
    (root / "train").symlink_to(root.parent / "elsewhere")


def five_bands(root: Path) -> None:
    """A TIFF of five bands, and a sound photo, to predict."""
    (root.parent / "photos").mkdir()
    shutil.copy(root / "train/a.jpg", root.parent / "photos/a.jpg")
    tags = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 122), (277, 5), (278, 8), (279, 320))
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (root.parent / "photos/b.tif").write_bytes(head + bytes(320))


def cut_video(root: Path) -> None:
    (root.parent / "photos").mkdir()
    file = root.parent / "photos/clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(9):
        writer.write(cv2.imread(str(root / "train/a.jpg")))
    writer.release()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def results_of_another(root: Path) -> None:
    """photos/a.jpg, and results of another picture called a."""
    for name in ("photos", "others"):
        (root.parent / name).mkdir()
        shutil.copy(root / "train/a.jpg", root.parent / name / "a.jpg")
    run(PREDICT.replace("input=photos", "input=others"), root.parent)


def foreign_class(root: Path) -> None:
    """A checkpoint whose decoder is a class of a module that lies beside it."""
    path = root.parent / "runs/done/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["scaseg"]["config"]["decoder"]["_target_"] = "beside.Decoder"
    torch.save(checkpoint, path)
    (root.parent / "beside.py").write_text("print('this module runs')\n")


def as_it_is(root: Path) -> None:
    pass


PREDICT = "scaseg.predict ckpt=runs/done input=photos output=out hardware.accelerator=cpu"


def own_files(root: Path) -> None:
    """A user's folder of configurations, each with a fault of its own."""
    folder = root.parent / "own" / "experiment"
    folder.mkdir(parents=True)
    (folder / "cut.yaml").write_text("# @package _global_\ntraining: {max_steps: [1\nseed: }\n")
    (folder / "list.yaml").write_text("- seed: 1\n")
    (folder / "typo.yaml").write_text("# @package _global_\ntraining: {max_step: 10}\n")
    (folder / "latin.yaml").write_bytes("# @package _global_\nlogger: {project: Straße}\n".encode("latin-1"))


def three_values(root: Path) -> None:
    """Masks of 0, 128 and 255, beside their images."""
    root.rename(root.with_name("own"))
    own = root.with_name("own")
    (own / "train").rename(own / "images")
    for file in (own / "trainannot").iterdir():
        drawn = np.zeros((48, 64), np.uint8)
        drawn[:20, :30], drawn[20:24, :30] = 255, 128
        cv2.imwrite(str(file), drawn)
    (own / "trainannot").rename(own / "masks")


def labelme(root: Path, **changes: object) -> Path:
    """A JSON beside each image of train, as LabelMe writes it; `changes` of one of them."""
    own = (root / "train").rename(root.with_name("own"))
    corners = [[10, 10], [50, 12], [30, 40]]
    for file in sorted(own.iterdir()):
        shapes = [{"label": label, "points": corners, "shape_type": "polygon"} for label in ("road", "car")]
        about = {"version": "5.5.0", "shapes": shapes, "imagePath": file.name, "imageData": None}
        about |= {"imageHeight": 48, "imageWidth": 64} | (changes if file.stem == "b" else {})
        file.with_suffix(".json").write_text(json.dumps(about))
    return own


def without_images(root: Path) -> None:
    for file in labelme(root).glob("*.jpg"):
        file.unlink()


def resized_since(root: Path) -> None:
    labelme(root, imageHeight=96, imageWidth=128)


def table_too_short(root: Path) -> None:
    (labelme(root).parent / "table.yaml").write_text("- background\n- road\n")


def folder_of_two_words(root: Path) -> None:
    root.rename(root.with_name("my camvid (1)"))


CASES: list[tuple[str, Callable[[Path], object], str]] = [
    ("unknown backbone", as_it_is, f"scaseg.train backbone=mit_b9 {TINY}"),
    ("unknown key", as_it_is, f"scaseg.train decoder.attnn=sca {TINY}"),
    ("wrong value", as_it_is, f"scaseg.train decoder.attn=sda {TINY}"),
    ("missing folder", as_it_is, f"scaseg.train {TINY} data_dir=nowhere"),
    ("mask with an id outside the table", wrong_id, f"scaseg.train {TINY}"),
    ("image and mask of different sizes", wrong_size, f"scaseg.train {TINY}"),
    ("truncated JPEG", truncated, f"scaseg.train {TINY}"),
    ("truncated PNG", truncated_png, f"scaseg.train {TINY}"),
    ("RGB mask", rgb_mask, f"scaseg.train {TINY}"),
    ("16-bit mask", mask_of_16_bits, f"scaseg.train {TINY}"),
    ("empty split", empty_split, f"scaseg.train {TINY}"),
    ("half-extracted archive", half_extracted, f"scaseg.train {TINY}"),
    ("list naming a missing image", list_too_long, f"scaseg.train {TINY}"),
    ("list naming an image twice", duplicate_in_list, f"scaseg.train {TINY}"),
    ("two files for one name", two_files_for_a_name, f"scaseg.train {TINY}"),
    ("verifying what is there", several_faults, "scaseg.prepare dataset=camvid workers=0"),
    ("fewer images than the release has", as_it_is, "scaseg.prepare dataset=camvid workers=0"),
    ("archive cut short", archive_cut_short, "scaseg.prepare dataset=camvid archives=downloads"),
    ("archive that would leave the folder", archive_that_leaves, "scaseg.prepare dataset=camvid archives=downloads"),
    ("archive of another kind of content", archive, "scaseg.prepare dataset=voc archives=downloads"),
    ("no classes for a user's own images", as_it_is, "scaseg.train dataset=folder"),
    ("scales that are none", as_it_is, f"scaseg.train {TINY} protocol.scales=[0.0]"),
    ("total batch that does not divide", as_it_is, f"scaseg.train {TINY} training.batch_size_per_device=3"),
    (
        "checkpoint of another architecture",
        as_it_is,
        f"scaseg.train {TINY} lpm=none ckpt_path=runs/done/checkpoints/last.ckpt",
    ),
    ("checkpoint that is none", as_it_is, "scaseg.evaluate ckpt=camvid/train/a.jpg"),
    (
        "checkpoint that names a class of somebody else's",
        foreign_class,
        "scaseg.evaluate ckpt=runs/done/checkpoints/last.ckpt",
    ),
    ("JPEG with a hole of 200 zeros", hole, f"scaseg.train {TINY}"),
    ("mask that is a JPEG inside", jpeg_mask, f"scaseg.train {TINY}"),
    ("mask of an image's other orientation", upright_mask, f"scaseg.train {TINY}"),
    ("list in Latin-1", latin_1, f"scaseg.train {TINY}"),
    ("masks of 0 and 255", binary_masks, "scaseg.prepare dataset=folder workers=0"),
    ("images and masks of other suffixes", other_suffixes, "scaseg.train dataset=folder"),
    ("masks beside their images", masks_beside, "scaseg.train dataset=folder"),
    ("masks of 0, 128 and 255", three_values, EXPORT),
    ("export without its images", without_images, EXPORT),
    ("image that was resized since it was labelled", resized_since, EXPORT),
    ("table without one of the labels", table_too_short, f"{EXPORT} dataset.classes=table.yaml"),
    ("folder of no format of labels", as_it_is, EXPORT.replace("own", "camvid")),
    ("folder that a link leads out of", linked_away, "scaseg.prepare dataset=camvid archives=downloads"),
    ("TIFF of five bands to predict", five_bands, PREDICT),
    ("video cut short", cut_video, PREDICT),
    ("results of another picture", results_of_another, PREDICT),
    ("output that is the input", five_bands, PREDICT.replace("output=out", "output=photos")),
    ("typo in a choice", as_it_is, "scaseg.train experiment=camvid_cpuu"),
    ("typo in an optional choice", as_it_is, "scaseg.train debug=slow"),
    ("typo in a launcher", as_it_is, "scaseg.train --multirun hydra/launcher=slurmm seed=0,1"),
    ("key without its section", as_it_is, "scaseg.train max_steps=5"),
    ("the same with a plus", as_it_is, "scaseg.train +max_steps=5"),
    ("a word of another framework", as_it_is, "scaseg.train epochs=5"),
    ("key that needs to be there", as_it_is, "scaseg.train ~training.lr"),
    ("text for a number", as_it_is, "scaseg.train training.max_steps=many"),
    ("value of another list", as_it_is, "scaseg.train training.precision=16"),
    ("list without brackets", as_it_is, "scaseg.train augment.crop_size=64,64"),
    ("several values without --multirun", as_it_is, "scaseg.train seed=0,1"),
    ("one wrong value among several", as_it_is, "scaseg.train --multirun training.decay=published,none"),
    ("variable that was not set", as_it_is, "scaseg.train dataset=camvid data_dir="),
    ("blanks around the =", as_it_is, "scaseg.train training.lr = 1e-3"),
    ("dashes", as_it_is, "scaseg.train --max_steps 5"),
    ("argument without a key", as_it_is, "scaseg.predict ckpt=runs/done street.jpg output=out"),
    ("value of two words, unquoted", folder_of_two_words, "scaseg.train dataset=camvid data_dir=my camvid (1)"),
    ("value of two words, quoted", folder_of_two_words, "scaseg.browse dataset=voc 'data_dir=my camvid (1)'"),
    ("key of the checkpoint", as_it_is, "scaseg.evaluate ckpt=runs/done/checkpoints/last.ckpt dataset=voc"),
    ("no dataset", as_it_is, "scaseg.prepare"),
    ("own YAML that is none", own_files, "scaseg.train hydra.searchpath=[own] experiment=cut"),
    ("own YAML that is a list", own_files, "scaseg.train hydra.searchpath=[own] experiment=list"),
    ("own YAML in another encoding", own_files, "scaseg.train hydra.searchpath=[own] experiment=latin"),
    ("own YAML with a typo", own_files, "scaseg.train --config-dir own experiment=typo"),
    ("folder of own YAML that is not there", as_it_is, "scaseg.train hydra.searchpath=[nowhere]"),
    ("figure of no finished run", as_it_is, "scaseg.report runs=runs figure=miou.png figure_dataset=voc"),
    ("all tables in one CSV file", as_it_is, "scaseg.report table=all format=csv"),
    ("place that cannot be written to", as_it_is, "scaseg.browse dataset=camvid output=/proc/browse"),
    ("dashboard without a team", as_it_is, "scaseg.dashboard runs=runs save=false"),
]


def run(command: str, folder: Path) -> tuple[int, str]:
    data = " data_dir=camvid" if " dataset=" in command and "data_dir" not in command and "ckpt=" not in command else ""
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command + data)], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = [line for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
    text = "\n".join(lines).replace(str(folder), "FOLDER").replace(str(HERE.parents[1]), "CHECKOUT")
    return done.returncode, text


def main() -> None:
    parts = [
        "# What bad input says\n",
        "Written by `python experiments/bad_input/make.py`, which breaks a small dataset in CamVid's layout.",
        "Standard error as it is, standard output where there is none, the folder's own path replaced;",
        "`data_dir=camvid` is given where none is shown.\n",
    ]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        camvid(whole / "camvid")
        code, text = run(f"scaseg.train {TINY}", whole)
        if code:
            raise SystemExit(f"the sound dataset does not train:\n{text}")
        made = next((whole / "runs").iterdir())
        for title, breaks, command in CASES:
            place = Path(folder) / title.replace(" ", "_")
            root = camvid(place / "camvid")
            if "runs" in command:
                shutil.copytree(made, place / "runs/done")
            breaks(root)
            before = sorted(p.name for p in (place / "runs").glob("*"))
            code, text = run(command, place)
            if "Traceback" in text:
                raise SystemExit(f"{title}: a fault of ours, not a message\n{text}")
            left = sorted(p.name for p in (place / "runs").glob("*") if p.name not in before)
            parts.append(f"## {title}\n\n```\n$ python -m {command}\n{text}\n```\n")
            parts.append(f"exit code {code}; new run folders: {', '.join(left) or 'none'}\n")
            print(title, code)
    (HERE / "README.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()

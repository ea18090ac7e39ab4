"""A run is known by what determines its result: other data, classes or weights are another run, a moved one is not."""

import shutil
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest
import torch

from scaseg.data import fingerprint
from scaseg.data.image_folder import ImageFolder
from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.runs.asked import asked, name_of
from tests.training.test_resume import Cut, CutOffError
from tests.training.tiny import QUIET, camvid, config, folder_of, on_camvid, on_own, own, run

pytestmark = QUIET


def name(data: Path, *overrides: str) -> str:
    return asked(config(Path("runs"), *on_own(data), *overrides)).config.name


def test_a_moved_folder_is_the_same_run_and_another_never(tmp_path: Path) -> None:
    first = own(tmp_path / "a")
    known = name(first)
    copy = shutil.copytree(first, tmp_path / "elsewhere" / "b")
    assert name(copy) == known
    names = {known}
    for number, other in enumerate(
        (
            own(tmp_path / "noise", seed=1),
            own(tmp_path / "ids", ids=(2, 1, 0)),  # masks of the same sizes in bytes
            own(tmp_path / "classes", names="abd"),
        ),
        2,
    ):
        names.add(name(other))
        assert len(names) == number


@pytest.mark.parametrize("file", ["images/0.png", "masks/7.png", "train.txt", "classes.yaml"])
def test_what_changes_in_place_makes_another_run(file: str, tmp_path: Path) -> None:
    data = own(tmp_path / "a")
    before, path = name(data), data / file
    if path.suffix == ".png":
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        cv2.imwrite(str(path), 2 - picture if "masks" in file else 255 - picture)
    else:
        text = path.read_text()
        path.write_text(text.replace("5\n", "") if file == "train.txt" else text.replace("b", "e"))
    assert name(data) != before


def test_colours_and_places_change_no_figure(tmp_path: Path) -> None:
    data = own(tmp_path / "a")
    before = name(data)
    (data / "classes.yaml").write_text("- a\n- {name: b, colour: [1, 2, 3]}\n- c\n")
    (data / "notes.txt").write_text("of the user's")
    assert name(data) == before


def test_files_of_benchmarks_count_too(tmp_path: Path) -> None:
    names = [asked(config(tmp_path, *on_camvid(camvid(tmp_path / str(count), count)))).config.name for count in (4, 5)]
    assert len(set(names)) == 2


def test_weights_are_known_by_what_they_hold(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(9)}, tmp_path / "a.pth")
    shutil.copy(tmp_path / "a.pth", tmp_path / "b.pth")
    torch.save({"x": torch.ones(9)}, tmp_path / "c.pth")
    names = [asked(config(tmp_path, f"backbone.weights={tmp_path / place}.pth")).config.name for place in "abc"]
    assert names[0] == names[1] != names[2]
    assert name_of(config(tmp_path, f"backbone.weights={tmp_path / 'c.pth'}"), {}) == names[2]


def test_a_sweep_gives_the_names_that_its_jobs_have(tmp_path: Path) -> None:
    known: dict[str, dict[str, str]] = {}
    for seed in (0, 1):
        for data in (own(tmp_path / f"{seed}{i}", seed=i) for i in (0, 1)):
            cfg = config(tmp_path, *on_own(data), f"seed={seed}")
            assert name_of(cfg, known) == asked(cfg).config.name
    assert len(known) == 4


def test_another_folder_is_no_finished_run_and_does_not_go_on_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = own(tmp_path / "a"), own(tmp_path / "b", seed=1)
    with pytest.raises(CutOffError):
        run(config(tmp_path / "runs", *on_own(a)), Cut("on_train_batch_end", 4))
    capsys.readouterr()
    trained = run(config(tmp_path / "runs", *on_own(b)))
    assert "is done" not in capsys.readouterr().out
    assert trained["run"] != folder_of(config(tmp_path / "runs", *on_own(a))).name
    again = run(config(tmp_path / "runs", *on_own(shutil.move(b, tmp_path / "moved"))))
    assert again["run"] == trained["run"] and "is done" in capsys.readouterr().out
    last = folder_of(config(tmp_path / "runs", *on_own(a))) / "checkpoints/last.ckpt"
    with pytest.raises(UserError, match=r"was trained on other data than data_dir=.*moved holds \(the training images"):
        run(config(tmp_path / "new", *on_own(tmp_path / "moved"), f"ckpt_path={last}"))
    assert not (tmp_path / "new").exists()


def test_a_large_split_is_known_by_every_name_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "MOST_OPENED", 2)
    data = own(tmp_path / "a")
    before = fingerprint.of_split(ImageFolder(data, "all"))
    with (data / "images/3.png").open("ab") as file:
        file.write(b"\0")
    assert fingerprint.of_split(ImageFolder(data, "all")) != before


def test_a_large_file_is_known_by_its_beginning_middle_and_end(tmp_path: Path) -> None:
    path, content = tmp_path / "a.bin", np.zeros(300_000, np.uint8)
    path.write_bytes(content.tobytes())
    seen = {fingerprint.of_file(path)}
    for place in (0, 150_000, 299_999):
        content[place] = 1
        path.write_bytes(content.tobytes())
        seen.add(fingerprint.of_file(path))
    assert len(seen) == 4
    with pytest.raises(UserError, match=r"none\.bin cannot be read: No such file"):
        fingerprint.of_file(tmp_path / "none.bin")


def test_drawn_scenes_have_no_files() -> None:
    assert fingerprint.of_split(Shapes(None, "val")) == fingerprint.of_split(Shapes(None, "val"))

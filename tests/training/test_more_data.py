"""more_data=: a training that draws from further folders too, predicted masks among them."""

import json
import shutil
from pathlib import Path

import scaseg.torchvision_fix

import cv2
import numpy as np
import pytest
import torch

import scaseg
from scaseg.config import compose, run_config
from scaseg.data.datasets import trained_on
from scaseg.data.image_folder import ImageFolder
from scaseg.errors import UserError
from scaseg.predict.options import PredictConfig
from scaseg.predict.run import predict
from scaseg.runs.asked import asked, name_of
from scaseg.runs.earlier import read_config
from scaseg.runs.records import leave
from scaseg.schema import Device, Run
from scaseg.trained.card import model_card
from scaseg.trained.inputs import find_inputs
from scaseg.trained.model import TrainedModel
from scaseg.typed import to_plain
from tests.training.test_resume import Cut, CutOffError, Seen
from tests.training.tiny import QUIET, config, folder_of, on_own, own, run

pytestmark = QUIET


def more(folder: Path, weight: float = 0.5, **keys: str) -> str:
    given = "".join(f", {key}: {value}" for key, value in keys.items())
    return f"more_data=[{{data_dir: {folder}, weight: {weight}{given}}}]"


def mixed(tmp_path: Path, *overrides: str) -> Run:
    for number, name in enumerate("ab"):
        if not (tmp_path / name).exists():
            own(tmp_path / name, seed=number)
    return config(tmp_path / "runs", *on_own(tmp_path / "a"), more(tmp_path / "b"), *overrides)


def test_a_cut_off_training_goes_on_bit_for_bit_and_draws_as_it_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, parts = Seen(), Seen()
    run(mixed(tmp_path), whole)
    cfg = mixed(tmp_path, "output_dir=" + str(tmp_path / "again"))
    with pytest.raises(CutOffError):
        run(cfg, parts, Cut("on_train_batch_end", 5))
    del parts.sums[4:]  # the last checkpoint's step
    with caplog.at_level("INFO"):
        run(cfg, parts)
    assert parts.sums == whole.sums
    assert "66.7% of folder's train (6 images), 33.3% of" in caplog.text
    weights = [
        torch.load(folder_of(one) / "checkpoints/last.ckpt", weights_only=True) for one in (mixed(tmp_path), cfg)
    ]
    one, other = (found["state_dict"] for found in weights)
    assert all(torch.equal(one[key], other[key]) for key in one)
    alone = Seen()
    run(config(tmp_path / "runs", *on_own(tmp_path / "a")), alone)
    assert alone.sums != whole.sums


def test_what_a_run_is_counts_the_folders_content_and_not_its_place(tmp_path: Path) -> None:
    name = asked(mixed(tmp_path)).config.name
    plain = asked(config(tmp_path, *on_own(tmp_path / "a"))).config
    assert name != plain.name and "more_data" not in plain.identity()
    moved = shutil.copytree(tmp_path / "b", tmp_path / "moved")
    elsewhere = config(tmp_path, *on_own(tmp_path / "a"), more(moved))
    assert asked(elsewhere).config.name == name == name_of(elsewhere, {})
    names = {name, plain.name, asked(config(tmp_path, *on_own(tmp_path / "a"), more(moved, 1.0))).config.name}
    known: dict[str, dict[str, str]] = {}
    for file in ("images/0.png", "masks/7.png", "classes.yaml"):
        path = moved / file
        if path.suffix == ".png":
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert picture is not None
            cv2.imwrite(str(path), 2 - picture if "masks" in file else 255 - picture)
        else:
            path.write_text("- {name: a, id: 2}\n- {name: b, id: 1}\n- {name: c, id: 0}\n")
        names.add(name_of(elsewhere, {}))
        name_of(elsewhere, known)
    assert len(names) == 6
    both = config(
        tmp_path, *on_own(tmp_path / "a"), f"more_data=[{{data_dir: {moved}}}, {{data_dir: {tmp_path / 'b'}}}]"
    )
    assert len(asked(both).more) == 2 and [one.weight for one in both.more_data] == [1.0, 1.0]
    assert read_config(to_plain(asked(both).config)).name == asked(both).config.name


def test_a_finished_run_of_other_masks_is_another_and_cannot_be_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(mixed(tmp_path))
    record = leave(folder_of(mixed(tmp_path)), tmp_path / "records")
    left = json.loads((record / "result.json").read_text())
    assert left["config"]["more_data"][0]["data_dir"] == "b" and read_config(left["config"]).name == record.name
    last = folder_of(mixed(tmp_path)) / "checkpoints/last.ckpt"
    model = scaseg.load(last)
    assert isinstance(model, TrainedModel) and "for each sample of it 0.5 of `b`" in model_card(model)
    (tmp_path / "b/masks/0.png").unlink()
    (tmp_path / "b/images/0.png").unlink()
    capsys.readouterr()
    assert asked(mixed(tmp_path)).config.name != first["run"]
    with pytest.raises(UserError, match=r"was trained on other data .*\(the images or masks of more_data differ\)"):
        run(mixed(tmp_path, f"ckpt_path={last}"))


def test_predicted_masks_are_learned_from_beside_true_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teacher = config(tmp_path / "runs", *on_own(own(tmp_path / "a")))
    run(teacher)
    photos = own(tmp_path / "photos", seed=5) / "images"
    options = PredictConfig(
        str(folder_of(teacher)), str(photos), str(tmp_path / "pseudo"), confidence=0.34, hardware=Device("cpu")
    )
    predict(options, find_inputs(options.input, options.output))
    said = capsys.readouterr().out
    key = said.partition("python -m scaseg.train ... '")[2].partition("'")[0]
    cfg = config(tmp_path / "runs", *on_own(tmp_path / "a"), key)
    (source,) = asked(cfg).more
    assert len(source) == 8 and source.labels.names == ("a", "b", "c")
    masks = np.stack([source.truth(i) for i in range(8)])
    share = 100 * (masks != 255).mean()
    assert f"kept:    {share:.1f} % of 16,384 pixels" in said and set(np.unique(masks)) <= {0, 1, 2, 255}
    assert run(cfg)["status"] == "done"


def test_what_is_not_right_is_one_message_that_names_the_entry(tmp_path: Path) -> None:
    cfg = mixed(tmp_path)
    assert cfg.more_data[0].split == "all"

    def refused(match: str, folder: Path, **keys: str) -> None:
        with pytest.raises(UserError, match=match):
            asked(config(tmp_path / "runs", *on_own(tmp_path / "a"), more(folder, **keys)))

    refused(r"entry 1 \(.*nowhere\): no .*classes\.yaml, which lists the dataset's classes", tmp_path / "nowhere")
    two = own(tmp_path / "two", seed=2)
    (two / "classes.yaml").write_text("- a\n- b\n")
    refused("its classes.yaml has 2 classes and the dataset 3: the same names", two)
    refused("has 3 classes and the dataset 3, b and x first", own(tmp_path / "x", seed=3, names="axc"))
    lacking = own(tmp_path / "lacking", seed=4)
    (lacking / "masks/3.png").unlink()
    refused(r"entry 1 .*no mask for 3", lacking)
    shutil.rmtree(lacking / "masks")
    refused(r"entry 1 .*no folder .*masks", lacking)
    refused("validates.*: take them out", tmp_path / "a")  # its own val split
    copied = own(tmp_path / "copied", seed=6)
    shutil.copy(tmp_path / "a/images/6.png", copied / "images/0.png")
    refused(r"1 of its 8 images are of the split that validates \(val\), the first .*0\.png", copied)
    assert len(asked(config(tmp_path, *on_own(tmp_path / "a"), more(tmp_path / "a", split="train"))).more[0]) == 6
    empty = own(tmp_path / "empty", seed=7, ids=(255, 255, 255))
    with pytest.raises(UserError, match=r"empty: no pixel of its 8 masks is labelled.*lower confidence"):
        run(config(tmp_path / "runs", *on_own(tmp_path / "a"), more(empty)))
    assert not (tmp_path / "runs").exists()


def test_keys_are_checked_as_all_keys_are(tmp_path: Path) -> None:
    for weight in ("0", "-1", "nan"):
        with pytest.raises(UserError, match=r"more_data\.weight="):
            run_config(compose("train", [f"more_data=[{{data_dir: x, weight: {weight}}}]"]))
    with pytest.raises(UserError, match=r"more_data\.split=every: choose one of all"):
        run_config(compose("train", ["more_data=[{data_dir: x, split: every}]"]))


def test_figures_on_images_that_were_predicted_for_training_are_known(tmp_path: Path) -> None:
    a, b = (ImageFolder(own(tmp_path / name, seed=seed), "all") for name, seed in (("a", 0), ("b", 1)))
    shutil.copy(tmp_path / "a/images/2.png", tmp_path / "b/images/5.png")
    assert trained_on(None, a) == 0 and trained_on(None, a, [b]) == 1
    assert trained_on(ImageFolder(tmp_path / "a", "train"), a, [b]) == 6

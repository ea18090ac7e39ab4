"""A run that was cut off and resumed ends as the one that was not: bit for bit, on the CPU."""

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from omegaconf import DictConfig

from scaseg.errors import UserError
from tests.conftest import ROOT
from tests.training.tiny import QUIET, command, config, execute, folder_of, rows, run

pytestmark = QUIET
FIGURES = ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "best", "step", "config")
VARIANTS = {
    "plain": [],
    "accumulation": ["training.batch_size_per_device=1"],
    "ema": ["training.ema_decay=0.8"],
    "ema and accumulation": ["training.ema_decay=0.8", "training.batch_size_per_device=2"],
    "workers": ["hardware.num_workers=2"],
}
START, END, VALIDATION = "on_train_batch_start", "on_train_batch_end", "on_validation_start"
CUTS = [  # a hook, which comes before those of the run itself, and the step; checkpoints are at 3, 4, 6 and 8
    [(START, 0)],
    [(END, 2)],
    [(START, 2)],  # rows and no checkpoint
    [(END, 3)],
    [(START, 3)],
    [(VALIDATION, 4)],
    [("on_validation_end", 4)],
    [(START, 4)],
    [(END, 8)],
    [("on_validation_end", 8)],
    [("on_train_end", 8)],
    [(START, 3), (VALIDATION, 4), (END, 5), ("on_train_end", 8)],
]


class CutOffError(Exception):
    pass


class Cut(Callback):
    """Raises in one hook at one step; where several batches make up a step, at one of them."""

    def __init__(self, hook: str, step: int, batch: int | None = None) -> None:
        def cut(trainer: Trainer, pl_module: Any, *args: Any) -> None:
            if trainer.global_step == step and (batch is None or args[-1] == batch):
                raise CutOffError

        setattr(self, hook, cut)


class Seen(Callback):
    """What is unlike in every batch: the images' sums."""

    def __init__(self) -> None:
        self.sums: list[list[int]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: dict[str, Any], batch_idx: int) -> None:
        self.sums.append(batch["image"].long().sum((1, 2, 3)).tolist())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any], Seen]]:
    """Uninterrupted runs by variant, made when they are asked for."""

    class Runs(dict[str, tuple[Path, dict[str, Any], Seen]]):
        def __missing__(self, variant: str) -> tuple[Path, dict[str, Any], Seen]:
            cfg, seen = config(tmp_path_factory.mktemp("whole"), *VARIANTS[variant]), Seen()
            self[variant] = folder_of(cfg), run(cfg, seen), seen
            return self[variant]

    return Runs()


def interrupted(cfg: DictConfig, *cuts: Cut) -> dict[str, Any]:
    for cut in cuts:
        with pytest.raises(CutOffError):
            run(cfg, cut)
        assert not (folder_of(cfg) / "result.json").exists()
    return run(cfg)


def assert_equal_runs(folder: Path, expected: Path, train_rows: bool = True) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (torch.load(f / "checkpoints" / name, weights_only=True) for f in (folder, expected))
        for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers"):
            assert (part in ours) == (part in theirs)
            assert_same(ours.get(part), theirs.get(part), f"{name} {part}")
        assert ours["global_step"] == theirs["global_step"]
        assert ours["callbacks"]["Checkpoints"] == theirs["callbacks"]["Checkpoints"]
        assert ours["callbacks"]["Journal"]["history"] == theirs["callbacks"]["Journal"]["history"]
    assert logged(folder, train_rows) == logged(expected, train_rows)


def assert_same(ours: Any, theirs: Any, where: str) -> None:
    if isinstance(theirs, torch.Tensor):
        assert torch.equal(ours, theirs), where
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{where} {key}")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(mine, other, f"{where} {i}")
    else:
        assert ours == theirs, where


def logged(folder: Path, train_rows: bool = True) -> list[dict[str, str]]:
    """All rows of metrics.csv, or those of validations, without what depends on the clock."""
    return [
        {k: v for k, v in row.items() if k not in ("train/images_per_s", "train/data_wait")} for row in rows(folder)
    ]


@pytest.mark.parametrize("cuts", CUTS, ids=lambda cuts: " ".join(f"{hook}@{step}" for hook, step in cuts))
def test_resumed_run_ends_as_the_uninterrupted_one(cuts: list[tuple[str, int]], whole: Any, tmp_path: Path) -> None:
    expected, result, _ = whole["plain"]
    cfg = config(tmp_path)
    resumed = interrupted(cfg, *(Cut(*cut) for cut in cuts))
    assert {k: resumed[k] for k in FIGURES if k != "config"} == {k: result[k] for k in FIGURES if k != "config"}
    assert_equal_runs(folder_of(cfg), expected)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "plain"])
def test_so_it_is_with_every_option(variant: str, whole: Any, tmp_path: Path) -> None:
    expected, result, _ = whole[variant]
    cfg = config(tmp_path, *VARIANTS[variant])
    within = {"accumulation": 13, "ema and accumulation": 6}.get(variant)  # between two optimiser steps
    resumed = interrupted(cfg, Cut(END, 3, within), Cut(START, 7))
    assert resumed["per_class"] == result["per_class"]
    assert_equal_runs(folder_of(cfg), expected)


def test_workers_change_nothing(whole: Any) -> None:
    assert_equal_runs(whole["workers"][0], whole["plain"][0])


def test_randomness_is_on_and_no_sample_comes_twice(whole: Any, tmp_path: Path) -> None:
    folder, _, seen = whole["plain"]
    cfg = config(tmp_path, "decoder.drop_path=0", "decoder.dropout=0")
    run(cfg)
    ours, theirs = (torch.load(f / "checkpoints/last.ckpt", weights_only=True) for f in (folder, folder_of(cfg)))
    assert any(not torch.equal(ours["state_dict"][key], theirs["state_dict"][key]) for key in ours["state_dict"])
    samples = [value for batch in seen.sums for value in batch]
    assert len(samples) == 32
    assert len(set(samples)) > 28  # 11 scenes, in other crops and colours at each epoch


def test_a_resumed_run_reads_on_and_not_from_the_start(whole: Any, tmp_path: Path) -> None:
    _, _, expected = whole["plain"]
    cfg, before, after = config(tmp_path), Seen(), Seen()
    with pytest.raises(CutOffError):
        run(cfg, before, Cut(END, 5))
    run(cfg, after)
    assert before.sums == expected.sums[:5]
    assert after.sums == expected.sums[4:]


def test_the_clock_goes_on(whole: Any, tmp_path: Path) -> None:
    cfg = config(tmp_path)
    resumed = interrupted(cfg, Cut(START, 6))
    saved = torch.load(folder_of(cfg) / "checkpoints/last.ckpt", weights_only=True)["callbacks"]["Journal"]
    assert 0 < saved["wall_time"] < resumed["wall_time_s"]
    text = (folder_of(cfg) / "log.txt").read_text()
    assert text.index("starting") < text.index("CutOffError") < text.index("resuming")


def start_and_stop(arguments: list[str], folder: Path, number: signal.Signals) -> tuple[int, str]:
    """Run the command until some rows after its first validation, then send the signal -> exit status, stderr."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (folder / "metrics.csv").exists() or int(rows(folder)[-1]["step"] if rows(folder) else 0) < 26:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    return process.returncode, told


@pytest.mark.slow
def test_kill_nine_and_the_same_command(tmp_path: Path) -> None:
    longer = ["training.max_steps=60", "training.val_every=20"]
    started, folder = command(tmp_path / "cut", *longer), folder_of(config(tmp_path / "cut", *longer))
    status, _ = start_and_stop(started, folder, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    assert 20 <= torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] < 60
    again = execute(started)
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr
    cfg = config(tmp_path / "whole", *longer)
    run(cfg)
    assert_equal_runs(folder, folder_of(cfg))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    longer = ["training.max_steps=200", "training.val_every=20"]
    folder = folder_of(config(tmp_path, *longer))
    status, told = start_and_stop(command(tmp_path, *longer), folder, number)
    assert status != 0
    assert re.fullmatch(rf"{folder} was stopped; the same command goes on from step \d+", told.splitlines()[-1])
    assert "Traceback" not in told
    assert told.splitlines()[-1] in (folder / "log.txt").read_text()


def test_ckpt_path_says_where_to_go_on(whole: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ckpt_path=last: .* does not exist.*Runs in .*: none"):
        run(config(tmp_path, "ckpt_path=last"))
    assert not list(tmp_path.iterdir())
    with pytest.raises(CutOffError):
        run(config(tmp_path), Cut(END, 4))
    with pytest.raises(UserError, match=r"has a checkpoint already. Resume with ckpt_path=last, or .*fresh=true"):
        run(config(tmp_path, "ckpt_path=null"))
    with pytest.raises(UserError, match=f"Runs in .*: {folder_of(config(tmp_path)).name}"):
        run(config(tmp_path, "ckpt_path=last", "seed=1"))
    with pytest.raises(UserError, match=r"ckpt_path=nowhere.ckpt: no such file"):
        run(config(tmp_path, "ckpt_path=nowhere.ckpt"))
    run(config(tmp_path, "ckpt_path=last"))
    assert_equal_runs(folder_of(config(tmp_path)), whole["plain"][0])


def test_a_file_as_ckpt_path_goes_on_from_there_in_a_run_of_its_own(whole: Any, tmp_path: Path) -> None:
    old, _, _ = whole["plain"]
    before = (old / "checkpoints/best.ckpt").read_bytes()
    cfg = config(tmp_path, f"ckpt_path={old / 'checkpoints/last.ckpt'}", "training.max_steps=12")
    seen = Seen()
    result = run(cfg, seen)
    assert result["step"] == 12
    assert len(seen.sums) == 4
    assert {int(row["step"]) for row in rows(folder_of(cfg))} == {10, 12}
    assert (old / "checkpoints/best.ckpt").read_bytes() == before


def test_fresh_start_keeps_the_old_folder(tmp_path: Path) -> None:
    cfg = config(tmp_path, "training.max_steps=2", "training.val_every=2")
    name = folder_of(cfg).name
    first = run(cfg)
    (folder_of(cfg) / "note.txt").write_text("mine")
    for count in (1, 2):
        fresh = config(tmp_path, "training.max_steps=2", "training.val_every=2", "fresh=true")
        again = run(fresh)
        assert again["per_class"] == first["per_class"]
        assert sorted(p.name for p in tmp_path.iterdir()) == [name, *(f"{name}.old-{i + 1}" for i in range(count))]
    assert (tmp_path / f"{name}.old-1" / "note.txt").read_text() == "mine"
    assert (tmp_path / f"{name}.old-1" / "result.json").exists()
    assert not (folder_of(cfg) / "note.txt").exists()


def test_what_is_asked_now_holds_and_what_was_is_said(
    whole: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From step 8 on the rate is that of the new recipe, for both groups; so are decay and betas."""
    caplog.set_level("INFO")
    last = whole["plain"][0] / "checkpoints/last.ckpt"
    asked = [
        "training.lr=2e-3",
        "training.weight_decay=0.5",
        "optimizer.adamw.betas=[0.8,0.9]",
        "training.max_steps=12",
    ]
    cfg = config(tmp_path, f"ckpt_path={last}", *asked, "training.log_every=1", "training.decoder_lr_mult=3")
    result = run(cfg)
    said = (
        "training.max_steps=12 (was 8)",
        "training.lr=0.002 (was 0.001)",
        "optimizer.adamw.betas=[0.8, 0.9] (was [0.9, 0.999])",
        "training.log_every=1 (was 2)",
    )
    assert all(text in caplog.text for text in said)
    lr = {int(row["step"]): float(row["train/lr"]) for row in rows(folder_of(cfg)) if row["train/lr"]}
    assert lr == {step: pytest.approx(6e-3 * (12 - step) / (12 - 2)) for step in (9, 10, 11, 12)}
    (optimizer,) = torch.load(folder_of(cfg) / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"]
    for group in optimizer["param_groups"]:
        rate = 6e-3 if group["name"].startswith("decoder") else 2e-3
        decay = 0 if group["name"].endswith("no_decay") else 0.5
        assert (group["initial_lr"], group["weight_decay"], tuple(group["betas"])) == (rate, decay, (0.8, 0.9))
    assert result["best"]["step"] == 12  # the best.ckpt of the other run is not of this one
    assert {path.name for path in (folder_of(cfg) / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_what_cannot_hold_is_refused(whole: Any, tmp_path: Path) -> None:
    last = whole["plain"][0] / "checkpoints/last.ckpt"
    with pytest.raises(UserError, match=r"is arranged for training.decay=published, and .*weights="):
        run(config(tmp_path, f"ckpt_path={last}", "training.decay=no_norm_or_bias", "training.max_steps=12"))
    with pytest.raises(UserError, match=r"is of step 8, and training.max_steps=4: ask for more steps, or"):
        run(config(tmp_path, f"ckpt_path={last}", "training.max_steps=4"))
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:The checkpoint was not created with WeightAveraging")
def test_an_average_may_begin_and_end_with_another_recipe(whole: Any, tmp_path: Path) -> None:
    without, averaged = (whole[name][0] / "checkpoints/last.ckpt" for name in ("plain", "ema"))
    begins = config(tmp_path, f"ckpt_path={without}", "training.max_steps=12", "training.ema_decay=0.5")
    ends = config(tmp_path, f"ckpt_path={averaged}", "training.max_steps=12")
    for cfg, kept in ((begins, True), (ends, False)):
        run(cfg)
        saved = torch.load(folder_of(cfg) / "checkpoints/last.ckpt", weights_only=True)
        assert ("current_model_state" in saved) == kept
    # without the average, training goes on from the weights that were trained, as it does with it
    withit = config(tmp_path, f"ckpt_path={averaged}", "training.max_steps=12", "training.ema_decay=0.8")
    run(withit)
    ours, theirs = (torch.load(folder_of(c) / "checkpoints/last.ckpt", weights_only=True) for c in (ends, withit))
    assert_same(ours["state_dict"], theirs["current_model_state"], "weights")


def test_a_step_in_other_parts_is_validated_at_the_same_steps(tmp_path: Path) -> None:
    """Other devices or memory make other parts of a step; Lightning counts parts."""
    cfg = config(tmp_path, "training.batch_size_per_device=1")
    with pytest.raises(CutOffError):
        run(cfg, Cut(END, 5))
    other = config(
        tmp_path, "training.batch_size_per_device=2", f"ckpt_path={folder_of(cfg) / 'checkpoints/last.ckpt'}"
    )
    run(other)
    assert [int(row["step"]) for row in rows(folder_of(other)) if row["val/mIoU"]] == [8]


def test_a_run_that_started_from_a_file_goes_on_from_its_own_checkpoint(whole: Any, tmp_path: Path) -> None:
    last = whole["plain"][0] / "checkpoints/last.ckpt"
    cfg, seen = config(tmp_path, f"ckpt_path={last}", "training.max_steps=16"), Seen()
    with pytest.raises(CutOffError):
        run(cfg, Cut(END, 13))
    run(cfg, seen)
    assert len(seen.sums) == 4  # from step 12
    plain = config(tmp_path, "training.max_steps=16")
    assert folder_of(plain) != folder_of(cfg)  # the start determines the result


@pytest.mark.parametrize("variant", ["plain", "ema"])
def test_a_run_cut_off_after_its_last_step_is_evaluated_as_it_was(variant: str, whole: Any, tmp_path: Path) -> None:
    """With an average: the average, and not the weights that it is of."""
    cfg = config(tmp_path, *VARIANTS[variant])
    again = interrupted(cfg, Cut("on_train_end", 8))
    assert again["per_class"] == whole[variant][1]["per_class"]

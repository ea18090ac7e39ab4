"""Loss, optimizer, schedule and logger are choices: every YAML is made, a stranger's too, and what is wrong is said."""

from dataclasses import replace
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg.choices import CONF_DIR
from scaseg.compare.contenders import identity_of
from scaseg.config import compose, run_config
from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.renamed import renamed
from scaseg.runs.earlier import read_config
from scaseg.training.recipe import build_logger
from scaseg.training.task import SegmentationTask
from scaseg.typed import to_plain
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, TINY, config, rows, run

__all__ = ["cli"]
pytestmark = QUIET
SHIPPED = [
    f"{group}={path.stem}"
    for group in ("loss", "optimizer", "schedule", "logger")
    for path in sorted(Path(CONF_DIR, group).glob("*.yaml"))
]


def task(*overrides: str) -> SegmentationTask:
    return SegmentationTask(run_config(compose("train", [*TINY, *overrides])), Shapes.labels)


@pytest.mark.parametrize("choice", SHIPPED)
def test_every_choice_is_made(choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    made = task(choice)
    made.configure_optimizers()
    logits = torch.randn(1, 8, 4, 4, requires_grad=True)
    made.loss(logits, torch.randint(0, 8, (1, 16, 16))).backward()
    assert logits.grad is not None and logits.grad.abs().max() > 0
    for name, part in made.config.logger.items():
        assert build_logger(name, part, made.config, tmp_path).name


def test_what_is_said_of_others_waits_until_these_are_chosen() -> None:
    """A benchmark's YAML says how its cross-entropy is averaged; without a cross-entropy that is no term."""
    voc = run_config(compose("train", ["dataset=voc", "loss=[dice]"]))
    assert list(voc.loss) == ["dice"]
    for name in ("ade20k", "cityscapes", "coco_stuff164k", "voc"):
        average = run_config(compose("train", [f"dataset={name}"])).loss["cross_entropy"].values["average"]
        assert average == "all"
    both = run_config(compose("train", ["dataset=voc", "loss=[cross_entropy,dice]"]))
    assert both.loss["cross_entropy"].values["average"] == "all"
    assert len({voc.name, both.name, run_config(compose("train", ["dataset=voc"])).name}) == 3


def test_terms_of_all_kinds_train_together(tmp_path: Path) -> None:
    terms = "loss=[cross_entropy,dice,focal,lovasz,tversky,boundary]"
    given = ["loss.lovasz.weight=0.5", "loss.tversky.gamma=1.5", "loss.cross_entropy.label_smoothing=0.1"]
    for options in ([terms, *given, "training.batch_size_per_device=2"], ["loss=[cross_entropy,lovasz]"]):
        done = run(config(tmp_path, *options, "training.log_every=1", "training.max_steps=4"))
        losses = [float(row["train/loss"]) for row in rows(tmp_path / done["run"]) if row["train/loss"]]
        assert len(losses) == 4
        assert all(0 < loss < 20 for loss in losses)


def test_a_strangers_loss_and_schedule_are_one_file_and_one_yaml_each(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "from scaseg.losses.term import Term\n"
        "from scaseg.schedules.schedule import Schedule\n\n\n"
        "class Squared(Term):\n"
        "    def weighed(self, logits, target):\n"
        "        return logits.square().mean(), (target != 255).sum()\n\n\n"
        "class Half(Schedule):\n"
        "    def __call__(self, remaining):\n"
        "        return 0.5\n"
    )
    for group, name, kind in (("loss", "squared", "Squared"), ("schedule", "half", "Half")):
        (tmp_path / "conf" / group).mkdir(parents=True)
        text = f"# @package {group}.{name}\n_target_: mine.{kind}\n"
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    status, _, err = cli(
        "train", search, *TINY, "loss=[cross_entropy,squared]", "schedule=half", "training.log_every=1"
    )
    assert status == 0, err
    (last,) = Path("runs").glob("*/checkpoints/last.ckpt")
    (state,) = torch.load(last, weights_only=True)["lr_schedulers"]
    assert state["_last_lr"][0] == pytest.approx(0.5 * state["base_lrs"][0])
    status, _, err = cli("evaluate", f"ckpt={last}", "hardware.num_workers=0", "pictures=0", "allow=[mine]")
    assert status == 0, err


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    run(config(tmp_path / "first"))
    (last,) = (tmp_path / "first").glob("*/checkpoints/last.ckpt")
    other = ["optimizer.adamw._target_=torch.optim.Adam", f"ckpt_path={last}"]
    with pytest.raises(UserError, match=r"state is that of torch.optim.AdamW, and optimizer=adamw is asked"):
        run(config(tmp_path / "second", *other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["loss=dise"], "loss=dise: no such choice; did you mean dice?"),
        (["loss.dice.weight=2"], "loss.dice.weight: loss=dice is not chosen; loss=[cross_entropy,dice] does"),
        (["loss=[dice]", "loss.dice.weight=x"], "loss.dice.weight=x: a number"),
        (["loss.cross_entropy.class_weights=3"], "loss.cross_entropy.class_weights=3: a list of numbers"),
        (["loss.cross_entropy.average=some"], "loss.cross_entropy.average=some: choose one of labelled, all"),
        (["loss.cross_entropy.class_weights=most"], "class_weights=most: a list of numbers, one a class, or auto"),
        (
            ["loss.cross_entropy.label_smoothing=2"],
            "loss.cross_entropy.label_smoothing=2 must lie between 0 and 1",
        ),
        (["loss=focal", "loss.focal.gamma=-1"], "loss.focal.gamma=-1 must lie between 0 and 100"),
        (["loss=focal", "loss.focal.gamma=null"], "loss.focal.gamma=None: a number"),
        (
            ["loss=focal", "loss.focal.class_weights=[1,2]"],
            "loss.focal.class_weights has 2 weights, dataset=shapes has 8",
        ),
        (["loss=lovasz", "loss.lovasz.classes=some"], "loss.lovasz.classes=some: choose one of present, all"),
        (["loss=tversky", "loss.tversky.alpha=2"], "loss.tversky.alpha=2 must lie between 0 and 1"),
        (["loss=tversky", "loss.tversky.gamma=0"], "loss.tversky.gamma=0 must lie between 0.1 and 10"),
        (["loss=tversky", "loss.tversky.smooth=0"], "loss.tversky.smooth=0 must be at least 1e-06"),
        (["loss=tversky", "loss.tversky.alpha=0", "loss.tversky.beta=0"], "no mistake would cost anything"),
        (["loss=boundary", "loss.boundary.weight=-1"], "loss.boundary.weight=-1 must be at least 0"),
        (["+optimizer.adamw.speed=1"], "optimizer.adamw: torch.optim.AdamW has no option speed; it has lr, betas"),
        (["schedule.poly.power=-1"], "schedule.poly.power=-1 must be at least 0"),
        (["optimizer=null"], "optimizer=null: no such choice; the choices: "),
        (["optimizer.adamw._target_=os.system"], "optimizer.adamw._target_=os.system is not an optimizer"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, options: list[str], message: str) -> None:
    status, _, err = cli("train", *TINY, *options)
    assert status == 2
    assert message in err
    assert not Path("runs").exists()


def test_earlier_keys_are_taken_for_todays(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["training.loss.dice=0.5", "training.betas=[0.8,0.9]", "logger.mode=offline", "decoder.weights=x"]
    assert renamed("train", given) == [
        *("loss.dice.weight=0.5", "optimizer.adamw.betas=[0.8,0.9]", "logger.wandb.mode=offline", "weights=x"),
        "loss=[cross_entropy,dice]",
    ]
    assert "note: training.betas= is optimizer.adamw.betas= now" in capsys.readouterr().err
    assert renamed("train", ["+decoder.weights_sha256=ab"]) == ["weights_sha256=ab"]


def test_a_configuration_from_before_the_groups_is_the_run_that_it_was() -> None:
    new = run_config(compose("train", ["loss=[cross_entropy,dice]", "loss.dice.weight=0.5", "schedule.poly.power=0.9"]))
    plain = to_plain(new)
    for key in ("loss", "optimizer", "schedule", "logger", "weights", "weights_sha256"):
        del plain[key]
    loss = {"ohem": False, "ohem_threshold": 0.7, "ohem_min_kept": 100_000, "dice": 0.5, "class_weights": None}
    plain["training"] |= {"betas": [0.9, 0.999], "poly_power": 0.9, "loss": {**loss, "average": "labelled"}}
    plain["decoder"]["weights"] = None
    assert read_config(plain).name == new.name


def test_an_option_that_came_later_renames_no_run_and_parts_no_seeds() -> None:
    """At its default, that is: a configuration from before it reads as one that has it."""
    new = run_config(compose("train", [*TINY, "seed=1"]))
    plain = to_plain(run_config(compose("train", [*TINY])))
    assert plain["loss"]["cross_entropy"].pop("label_smoothing") == 0
    before = read_config(plain)
    assert before.loss["cross_entropy"].option("label_smoothing") == 0
    assert replace(before, seed=1).name == new.name
    assert identity_of(before) == identity_of(new)
    smoothed = run_config(compose("train", [*TINY, "seed=1", "loss.cross_entropy.label_smoothing=0.1"]))
    assert smoothed.name != new.name
    assert identity_of(smoothed) != identity_of(new)
    mine = {**plain, "loss": {"cross_entropy": {"_target_": "mine.Loss", "name": "cross_entropy"}}}
    assert "label_smoothing" not in read_config(mine).loss["cross_entropy"].values

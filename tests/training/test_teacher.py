"""A training with a teacher: what it learns, that it resumes bit for bit, and what is left of it in what it writes."""

from pathlib import Path

import scaseg.torchvision_fix

import pytest
import torch

import scaseg
from scaseg.choices import CONF_DIR
from scaseg.config import compose, run_config
from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.training.task import SegmentationTask
from scaseg.training.teacher import load_teacher
from tests.test_cli import Cli, cli
from tests.training.test_recipes import checkpoint
from tests.training.test_resume import Cut, CutOffError, assert_equal_runs
from tests.training.tiny import QUIET, TINY, config, folder_of, rows, run

__all__ = ["cli"]
pytestmark = QUIET
STEPS = ["training.max_steps=6", "training.val_every=3", "training.checkpoint_every=2", "pictures=0"]
WIDER = ["backbone.channels=[16,16,40,64]", "seed=5", "decoder=segformer"]
SHIPPED = sorted(path.stem for path in Path(CONF_DIR, "distillation").glob("*.yaml"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cfg = config(tmp_path_factory.mktemp("teacher"), *STEPS, *WIDER)
    run(cfg)
    return folder_of(cfg)


@pytest.mark.parametrize(
    "terms", [*SHIPPED, f"{','.join(SHIPPED)}] distillation.channel_wise.maps=[logits,stage1,stage2,stage4"]
)
def test_every_term_trains_resumes_bit_for_bit_and_leaves_an_ordinary_checkpoint(
    terms: str, teacher: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in teacher.rglob("*") if path.is_file()}
    given = [*STEPS, f"teacher={teacher}", *f"distillation=[{terms}]".split(" ")]
    whole, parts = (config(tmp_path / name, *given) for name in ("whole", "parts"))
    result = run(whole)
    with pytest.raises(CutOffError):
        run(parts, Cut("on_train_batch_start", 3))
    assert run(parts)["per_class"] == result["per_class"]
    assert_equal_runs(folder_of(parts), folder_of(whole))
    one = checkpoint(whole)
    assert any(key.startswith("distillation.") for key in one["state_dict"]) is ("stage1" in terms)
    plain = config(tmp_path / "plain", *STEPS)
    run(plain)
    assert any(not torch.equal(value, one["state_dict"][key]) for key, value in checkpoint(plain)["state_dict"].items())
    assert {path: path.read_bytes() for path in before} == before  # the teacher is as it was
    taught = [float(row["train/distillation"]) for row in rows(folder_of(whole)) if row["train/loss"]]
    assert len(taught) == 3 and all(loss > 0 for loss in taught)
    scaseg.save_pretrained(folder_of(whole), tmp_path / "saved")
    card = (tmp_path / "saved" / "README.md").read_text()
    assert f"- teacher: `{teacher.name}/last.ckpt`, {terms.partition(',')[0]} (" in card
    assert (
        scaseg.load(tmp_path / "saved").segmentor.state_dict().keys()
        == scaseg.load(folder_of(plain)).segmentor.state_dict().keys()
    )


def test_evaluation_needs_no_teacher(cli: Cli, teacher: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.symlink_to(teacher)
    options = ["distillation=[channel_wise]", "distillation.channel_wise.maps=[stage1]"]
    cfg = config(tmp_path / "runs", *STEPS, f"teacher={moved}", *options)
    result, folder = run(cfg), folder_of(cfg)
    moved.unlink()
    status, out, err = cli("evaluate", f"ckpt={folder}", "hardware.num_workers=0", "pictures=0")
    assert status == 0, err
    assert f"{result['mIoU']:.2f}" in out


def test_a_student_that_is_its_teacher_pays_nothing(teacher: Path) -> None:
    cfg = run_config(compose("train", [*TINY, *WIDER, f"teacher={teacher}", "distillation=[soft_labels,channel_wise]"]))
    its = load_teacher(str(teacher), Shapes.labels)
    task = SegmentationTask(cfg, Shapes.labels, its)
    task.model.load_state_dict(its.segmentor.state_dict())
    task.model.eval()
    images, maps = torch.rand(2, 3, 32, 64) * 255, []
    logits = task.model(images, maps)
    assert task.distillation is not None
    assert float(task.distillation(images, logits, maps).detach()) == pytest.approx(0, abs=1e-6)
    assert not any(p.requires_grad for p in its.segmentor.parameters())
    assert not any("teacher" in key for key in task.state_dict())


def test_the_same_training_is_the_same_run_wherever_its_teacher_lies(teacher: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied.ckpt"
    copied.write_bytes((teacher / "checkpoints/last.ckpt").read_bytes())
    taught = [config(tmp_path, f"teacher={path}", "distillation=[soft_labels]") for path in (teacher, copied)]
    one, other, plain = (folder_of(cfg).name for cfg in (*taught, config(tmp_path)))
    assert one == other != plain


def test_what_is_wrong_is_said(cli: Cli, teacher: Path, tmp_path: Path) -> None:
    for options, message in (
        (["teacher=nowhere", "distillation=[soft_labels]"], "error: teacher=nowhere: no such file or folder"),
        ([f"teacher={teacher}", "distillation=[cwd]"], "distillation=cwd: no such choice; "),
        ([f"teacher={teacher}"], "choose by what it teaches, distillation=[soft_labels], [channel_wise] or both"),
        (["distillation=[soft_labels]"], "distillation=[soft_labels]: give the trained model that teaches"),
        (["distillation.soft_labels.temperature=2"], "distillation=soft_labels is not chosen"),
        (
            [f"teacher={teacher}", "distillation=[soft_labels]", "distillation.soft_labels.temperature=0"],
            "temperature=0 must lie between 0.001",
        ),
        (
            [f"teacher={teacher}", "distillation=[channel_wise]", "distillation.channel_wise.maps=[stage9]"],
            "maps=['stage9']: one or more of logits, stage1",
        ),
    ):
        status, _, err = cli("train", *TINY, *options)
        assert (status, message in err) == (2, True), (options, err)
    assert not Path("runs").exists()


def test_a_teacher_of_other_classes_is_refused(teacher: Path) -> None:
    from dataclasses import replace

    others = replace(Shapes.labels, names=tuple(reversed(Shapes.labels.names)))
    with pytest.raises(UserError, match=r"tells 8 classes .* must tell the same in the same order"):
        load_teacher(str(teacher), others)

"""The W&B workspace and report of a sweep, built without account or network."""

from pathlib import Path

import pytest

from scaseg.errors import UserError
from scaseg.report.dashboard import describe, report, save, workspace
from scaseg.report.runs import collect
from tests.report.folders import run_folder

# of wandb-workspaces about its own code
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")


def sweep(root: Path, *overrides: str) -> str:
    for seed in (0, 1):
        for attention in ("ca", "sca"):
            name = f"{attention}-{seed}"
            run_folder(root, name, 40.0 + seed, f"decoder.attn={attention}", f"seed={seed}", *overrides)
    return str(root)


def test_both_hold_the_sweep_and_its_classes(tmp_path: Path) -> None:
    pytest.importorskip("wandb_workspaces")
    runs, _ = collect(sweep(tmp_path, "logger=wandb", "logger.wandb.group=table5-1"))
    made = describe(runs, "team", None, None)
    assert (made.entity, made.project, made.group, made.keys) == ("team", "scaseg", "table5-1", ("decoder.attn",))
    view = workspace(made)._to_model().model_dump_json(by_alias=True)
    # a runset asks W&B for its id as soon as it is turned into JSON, all else is built here
    models = []
    for block in report(made, runs).blocks:
        panels = getattr(block, "panels", None)
        models += [block._to_model()] if panels is None else [panel._to_model() for panel in panels]
        assert all(runset.filters == "Metric('Group') = 'table5-1'" for runset in getattr(block, "runsets", []))
    text = "\n".join(model.model_dump_json(by_alias=True) for model in models)
    assert "table5-1" in view
    for said in ("GFLOPs", "val/mIoU", "pictures", *(f"val/IoU/class {i}" for i in range(8))):
        assert said in view
        assert said in text
    assert "40.50 ± 0.71 (n = 2)" in text


def test_what_the_runs_leave_open_is_asked_for(tmp_path: Path) -> None:
    runs, _ = collect(sweep(tmp_path, "logger=wandb"))
    all_at_once = (
        r"no common logger.wandb.entity \(none\), logger.wandb.group \(none\): give entity=\.\.\. group=\.\.\.$"
    )
    with pytest.raises(UserError, match=all_at_once):
        describe(runs, None, None, None)
    with pytest.raises(UserError, match=r"no common logger.wandb.group \(none\): give group="):
        describe(runs, "team", None, None)


def test_what_wandb_does_not_take_is_one_message() -> None:
    class Part:
        url = "https://wandb"

        def save(self) -> None:
            raise ConnectionError("no network\nmore")

    with pytest.raises(UserError, match=r"W&B did not take it \(no network\); save=false builds it alone"):
        save([Part()])

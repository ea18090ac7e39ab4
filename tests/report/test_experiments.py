"""The sweeps of Tables IV-VIII: every job composes, makes the rows, and yields to the command line."""

import importlib
from dataclasses import replace
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from experiments.placed import placed
from scaseg.choices import CONF_DIR
from scaseg.config import compose, run_config
from scaseg.report.published import rows_of
from scaseg.report.runs import collect
from scaseg.report.runs_table import runs_table
from scaseg.report.table import markdown
from scaseg.report.table_rows import row_keys
from scaseg.runs.earlier import read_config
from scaseg.runs.result import read_result
from tests.conftest import ROOT


def jobs(table: int, *arguments: str) -> list[list[str]]:
    """The jobs of `python -m scaseg.train --multirun experiment=tableN ...`, as Hydra's own sweeper lists them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # plugins are imported anew by Hydra

    params = OmegaConf.load(f"{CONF_DIR}/experiment/table{table}.yaml").hydra.sweeper.params
    asked = [*(f"{key}={value}" for key, value in params.items()), f"experiment=table{table}", *arguments]
    (batch,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(asked), None)
    return batch


def test_the_sweep_of_the_decoders_makes_the_rows() -> None:
    batch = jobs(4)
    assert len(batch) == 48
    made = {tuple(sorted(option for option in job if option.startswith(("backbone=", "decoder=")))) for job in batch}
    for row in rows_of(4, ours=False):
        if row.overrides:
            assert tuple(f"{key}={row.overrides[key]}" for key in ("backbone", "decoder")) in made, row
    for job in jobs(4, "backbone=mit_b0", "dataset=camvid"):
        cfg = compose("train", job)
        assert (cfg.backbone.name, cfg.dataset.name) == ("mit_b0", "camvid")


@pytest.mark.parametrize(("table", "number"), [(5, 12), (6, 10), (7, 8), (8, 8)])
def test_the_sweep_makes_the_rows(table: int, number: int) -> None:
    batch = jobs(table)
    assert len(batch) == number
    made: list[dict[str, Any]] = []
    for job in batch:
        cfg = compose("train", job)
        assert cfg.dataset.name == "shapes"
        made.append(
            {
                "backbone": cfg.backbone.name,
                "decoder": cfg.decoder.name,
                "lpm": cfg.decoder.lpm,
                "classifier": cfg.decoder.classifier,
                **{f"decoder.{key}": cfg.decoder[key] for key in ("attn", "qk_channels", "clb_stages")},
            }
        )
    for row in rows_of(table):
        keys = row_keys(row)
        if keys["decoder"] == "scaseg":
            assert any(all(job[key] == value for key, value in keys.items()) for job in made), row


def test_the_command_line_wins() -> None:
    batch = jobs(5, "backbone=mit_b1", "lpm=se", "seed=0,1,2", "dataset=voc")
    assert len(batch) == 9
    configs = [compose("train", job) for job in batch]
    assert {cfg.backbone.name for cfg in configs} == {"mit_b1"}
    assert {cfg.dataset.name for cfg in configs} == {"voc"}
    assert {(cfg.decoder.attn, cfg.seed) for cfg in configs} == {
        (attn, seed) for attn in ("sa", "ca", "sca") for seed in (0, 1, 2)
    }


def test_the_lengths_tables_are_those_of_its_records() -> None:
    """Byte for byte; and their names are those that today's experiment=length asks for, so that a sweep skips them."""
    module = importlib.import_module("experiments.length.make")
    readme = (ROOT / "experiments/length/README.md").read_text()
    for place, table in module.tables().items():
        assert placed(place, table) in readme
    for record in sorted((ROOT / "experiments/length/records").iterdir()):
        kept = read_config(read_result(record)["config"])
        recipe, weights = kept.training, kept.backbone.weights
        asked = [f"training.lr={recipe.lr}", f"training.decoder_lr_mult={recipe.decoder_lr_mult}", f"seed={kept.seed}"]
        asked += [f"training.max_steps={recipe.max_steps}", f"training.val_every={recipe.val_every}"]
        asked += [f"optimizer={','.join(kept.optimizer)}"]
        given = ["experiment=length", f"decoder={kept.decoder.name}", f"backbone.weights={weights}", *asked]
        run = run_config(compose("train", given))
        assert replace(run, fingerprints=kept.fingerprints).name == kept.name == record.name


@pytest.mark.parametrize(
    ("folder", "table", "baseline"),
    [("table5", "camvid", None), ("table7", "camvid", "1"), ("recipes", "table", "1")],
)
def test_tables_on_camvid_are_those_of_their_records(folder: str, table: str, baseline: str | None) -> None:
    runs, problems = collect(str(ROOT / "experiments" / folder / "records"))
    made = markdown(runs_table(runs, problems, baseline))
    assert (ROOT / "experiments" / folder / f"{table}.md").read_text() == made
    for run in runs:
        assert run.folder.name == run.config.name


@pytest.mark.parametrize("name", ["ranks", "keys"])
def test_tables_of_what_was_made_smaller_are_those_of_their_figures(name: str) -> None:
    module = importlib.import_module(f"experiments.smaller.{name}")
    readme = (ROOT / "experiments/smaller/README.md").read_text()
    assert placed(name, module.table(module.kept())) in readme

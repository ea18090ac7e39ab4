"""What people type: what is meant is done, and what is not understood is one line with the right spelling."""

import copy
import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import scaseg.torchvision_fix  # noqa: F401

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT_STR
from omegaconf import DictConfig

from scaseg.arguments import checked
from scaseg.commands import command
from scaseg.config_errors import ELSEWHERE, explained
from scaseg.errors import UserError
from scaseg.overrides import Known
from scaseg.report.__main__ import ReportConfig
from scaseg.schema import Training
from tests.commands import main_of
from tests.conftest import ROOT

COMPOSED: dict[tuple[str, ...], DictConfig] = {}
CHOICES_OF: dict[tuple[str, ...], list[str]] = {}
COMMANDS = sorted(path.stem for path in (ROOT / "conf").glob("*.yaml"))
for name in COMMANDS:  # their schemas
    main_of(name)


@pytest.fixture(autouse=True)
def _composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One composition for all that are alike: a hundred cases of it take long."""
    composed, choices = Known._composed, Known.choices

    def folders(of: Known) -> list[str]:
        return [*of.search, *(source.path for source in GlobalHydra.instance().config_loader().get_sources())]

    def compose(self: Known, texts: Sequence[str]) -> DictConfig:
        key = (self.command, *folders(self), *texts)
        if key not in COMPOSED:
            COMPOSED[key] = composed(self, texts)
        return copy.deepcopy(COMPOSED[key])

    def choose(self: Known, group: str) -> list[str]:
        key = (group, *folders(self))
        if key not in CHOICES_OF:
            CHOICES_OF[key] = choices(self, group)
        return CHOICES_OF[key]

    monkeypatch.setattr(Known, "_composed", compose)
    monkeypatch.setattr(Known, "choices", choose)


def refused(command: str, *arguments: str) -> str:
    with pytest.raises(UserError) as error:
        checked(command, arguments)
    return str(error.value)


def said(command: str, *arguments: str) -> object:
    """What Hydra reads after the last argument's =."""
    handed = checked(command, [*arguments, "--cfg", "job"])[-3]
    return OverridesParser.create().parse_override(handed).value()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("max_steps=5", "max_steps: no such key; did you mean training.max_steps=5?"),
        ("+max_steps=5", "max_steps: no such key; did you mean training.max_steps=5?"),
        ("++max_steps=5", "max_steps: no such key; did you mean training.max_steps=5?"),
        ("lr=1", "lr: no such key; did you mean training.lr=1?"),
        ("+training.max_step=1", "training.max_step: no such key; did you mean training.max_steps=1?"),
        ("optimizer.lr=1", "optimizer.lr: no such key; did you mean training.lr=1?"),
        ("workers=2", "workers: no such key; did you mean hardware.num_workers=2?"),
        ("epochs=3", "epochs: no such key; did you mean training.max_steps=3?"),
        ("data=voc", "data: no such key; did you mean dataset=voc?"),
        ("net=mit_b1", "net: no such key; did you mean backbone=mit_b1?"),
        ("training={lrr:1}", "training.lrr: no such key; did you mean training.lr?"),
        ("nonsense=1", "nonsense: no such key; all keys: python -m scaseg.train --help"),
        ("+decoder.attnn=sa", "decoder.attnn: no such key; did you mean decoder.attn=sa?"),
        ("decoder.depth=3", "decoder.depth: no such key; where its class takes it, +decoder.depth=3 adds it"),
        ("~training.lr", "~training.lr: no key can be taken out; where it may be empty, training.lr=null empties it"),
        ("~logger", "~logger: no group can be taken out; logger=... chooses one of csv, mlflow, tensorboard, wandb"),
        ("", "'': arguments are key=value; all keys: python -m scaseg.train --help"),
        ("hydra.launcher.max_paralel=2", "did you mean hydra.launcher.max_parallel=2?"),
        ("experiment=camvid_cpuu", "experiment=camvid_cpuu: no such choice; did you mean camvid_cpu? The choices: "),
        ("+experiment=camvid_cpuu", "experiment=camvid_cpuu: no such choice; did you mean camvid_cpu? The choices: "),
        ("experiment=[camvid_cpu,foo]", "experiment=foo: no such choice; the choices: camvid_cpu, "),
        ("experiment=", "experiment=: no such choice; the choices: camvid_cpu, "),
        ("backbone.name=mit_b9", "only a label of backbone=mit_b0; backbone=... chooses one of edaformer_b, "),
        ("dataset=voc dataset.name=ade20k", "dataset.name=ade20k: only a label of dataset=voc; dataset=... chooses"),
        ("debug=slow", "debug=slow: no such choice; the choices: fast, overfit"),
        ("backbone=null", "backbone=null: no such choice; the choices: edaformer_b, "),
        ("backbone=a(1)", "backbone=a(1): no such choice"),
        ("hydra/launcher=slurmm", "hydra/launcher=slurmm: no such choice; did you mean slurm?"),
        ("hydra/sweeper=", "hydra/sweeper=: no such choice; the choices: basic, optuna"),
        ("experiment=table5,table6", "experiment=table5,table6: several choices are a sweep, which needs --multirun"),
        ("--multirun experiment=table5,foo", "experiment=foo: no such choice; the choices: camvid_cpu, "),
        ("-m backbone=glob(mat*)", "backbone=glob(mat*): no such choice"),
        ("seed=0,1", "seed=0,1: several values are a sweep, which needs --multirun"),
        ("-m seed=0,x", "seed=x: must be a whole number"),
        ("-m training.decay=published,gone", "training.decay=gone: choose one of published, no_norm_or_bias"),
        ("training.max_steps=many", "training.max_steps=many: must be a whole number"),
        ("training.max_steps=1e5", "training.max_steps=1e5: must be a whole number, as training.max_steps=100000"),
        ("training.lr=1e-3x", "training.lr=1e-3x: must be a number"),
        ("training.lr=", "training.lr=: must be a number"),
        ("training.compile=maybe", "training.compile=maybe: must be true or false"),
        ("training.lr=null", "training.lr=null: cannot be null"),
        ("augment.scale=[null,1]", "augment.scale=[null,1]: cannot hold null"),
        ("protocol.mode=slid", "protocol.mode=slid: choose one of whole, slide"),
        ("augment.crop_size=64", "augment.crop_size=64: must be a list in brackets"),
        ("augment.crop_size=64,64", "augment.crop_size=64,64: must be a list, as augment.crop_size=[64,64]"),
        ("augment.crop_size=(64,64)", "must be a list in brackets, as augment.crop_size=[64,64]"),
        ("augment.crop_size=[a,b]", "augment.crop_size=[a,b]: each must be a whole number"),
        ("augment=5", "augment=5: holds keys of its own"),
        ("data_dir=", "data_dir= has no value; null stands for none"),
        ("training.lr= 1e-3", "training.lr= 1e-3: no blanks around the =: training.lr=1e-3"),
        ("training.lr =1e-3", "training.lr = 1e-3: no blanks around the =: training.lr=1e-3"),
        ("training.lr = 1e-3", "training.lr = 1e-3: no blanks around the =: training.lr=1e-3"),
        ("seed 3", "seed 3: arguments are key=value: seed=3"),
        ("max_steps 3", "max_steps 3: arguments are key=value: training.max_steps=3"),
        ("seed:3", "seed:3: arguments are key=value: seed=3"),
        ("--experiment=table5", "--experiment=table5: arguments are key=value, without dashes: experiment=table5"),
        ("fresh", "fresh: arguments are key=value: fresh=true"),
        ("voc", "voc: arguments are key=value: dataset=voc"),
        ("data_dir=my photos", "photos: arguments are key=value: 'data_dir=my photos'"),
        ("augment.crop_size=[64, 64]", "64]: arguments are key=value: 'augment.crop_size=[64, 64]'"),
        ("=5", "=5: arguments are key=value; all keys: python -m scaseg.train --help"),
        ("--max_steps 5", "--max_steps 5: arguments are key=value, without dashes: training.max_steps=5"),
        ("--data-dir=x", "--data-dir=x: arguments are key=value, without dashes: data_dir=x"),
        ("-seed 3", "-seed 3: arguments are key=value, without dashes: seed=3"),
        ("--fresh", "--fresh: arguments are key=value, without dashes: fresh=true"),
        ("-o", "-o: arguments are key=value, without dashes; all keys: python -m scaseg.train --help"),
        ("--multirun --cfg job", "--multirun and --cfg at once: give one of them"),
        ("--cfg yaml", "argument --cfg/-c: invalid choice: 'yaml'"),
        ("--cfg job -p trainng.lr", "trainng.lr: no such key; did you mean training.lr?"),
        ("--resolve", "--resolve goes with --cfg or --help"),
        ("--config-dir nowhere", "--config-dir nowhere: no such folder"),
        ("hydra.searchpath=[nowhere]", "hydra.searchpath: no folder nowhere"),
        ("hydra.searchpath=conf", "hydra.searchpath=conf: must be a list: hydra.searchpath=[conf]"),
        ("--config-name trian", "trian"),
    ],
)
def test_the_right_spelling_is_said(arguments: str, message: str) -> None:
    told = refused("train", *arguments.split(" "))
    assert message in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("evaluate", ["dataset=voc"], "dataset: no key of scaseg.evaluate, which takes it from the checkpoint"),
        ("evaluate", ["+dataset=voc"], "dataset: no key of scaseg.evaluate, which takes it from the checkpoint"),
        ("evaluate", [], "ckpt must be given: ckpt=..."),
        ("predict", ["protocol.mod=slide"], "protocol.mod: no such key; did you mean protocol.mode=slide?"),
        ("predict", ["protocol.mode=slid"], "protocol.mode=slid: choose one of whole, slide"),
        ("predict", ["checkpoint=x"], "checkpoint: no such key; did you mean ckpt=x?"),
        ("predict", ["street.jpg"], "street.jpg: arguments are key=value: input=street.jpg"),
        ("predict", ["m.ckpt", "a.jpg", "o"], "m.ckpt: arguments are key=value: ckpt=m.ckpt input=a.jpg output=o"),
        ("evaluate", ["+dataset.ignore_ids=[2]"], "dataset.ignore_ids: no key of scaseg.evaluate, which takes it from"),
        ("predict", ["+decoder.attn=sa"], "decoder.attn: no key of scaseg.predict, which takes it from the checkpoint"),
        ("predict", ["+protocol.foo=1"], "protocol.foo: no such key; all keys: "),
        ("train", ["training.max_steps 5"], "training.max_steps 5: arguments are key=value: training.max_steps=5"),
        ("train", [str(ROOT)], f"arguments are key=value: data_dir={ROOT}"),
        ("compare", ["runs/x", "runs/y"], "runs/x: arguments are key=value: 'ckpt=[runs/x,runs/y]'"),
        ("figures", ["8", "runs/x"], "8: arguments are key=value: figure=8 'ckpt=[runs/x]'"),
        ("validate", ["OUT"], "OUT: arguments are key=value: submission=OUT"),
        ("predict", ["ckpt=m", "input=a, b.jpg"], "one text is put in quotes: 'input=\"a, b.jpg\"'"),
        ("prepare", [], "dataset must be given: dataset=... (one of ade20k, camvid, "),
        ("validate", ["dataset=vok"], "dataset=vok: no such choice; did you mean voc?"),
        ("browse", ["dataset=voc", "backbone=mit_b0"], "backbone: no such key"),
        ("benchmark", ["suite=lodaer"], "suite=lodaer: choose one of loader, metric, "),
        ("compare", ["images=a"], "images=a: must be a list in brackets"),
        ("report", ["--runs", "x"], "--runs x: arguments are key=value, without dashes: runs=x"),
    ],
)
def test_of_every_command(command: str, arguments: list[str], message: str) -> None:
    assert message in refused(command, *arguments)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("my folder/a (1).jpg", "my folder/a (1).jpg"),
        ('it\'s [x] {y} = 5, "z".jpg', 'it\'s [x] {y} = 5, "z".jpg'),
        ("Bücher/Größe.jpg", "Bücher/Größe.jpg"),
        ("a#b&c!d^e$f%g@h", "a#b&c!d^e$f%g@h"),
        ("~/a.jpg", str(Path("~/a.jpg").expanduser())),
        ("[abc]", "[abc]"),
        ("{abc}", "{abc}"),
        ("photo(1)", "photo(1)"),
        ("1_000", "1_000"),
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("true", "true"),
        ("'quoted, as Hydra reads it'", "quoted, as Hydra reads it"),
        ('"photos/**/*.jpg"', "photos/**/*.jpg"),
        ("photos/**/*.jpg", "photos/**/*.jpg"),
        ("a\nb.jpg", "a\nb.jpg"),
        (os.fsdecode(b"M\xfcller.jpg"), os.fsdecode(b"M\xfcller.jpg")),
    ],
)
def test_a_text_is_what_the_shell_handed_over(value: str, read: str) -> None:
    assert str(said("predict", f"input={value}")) == read


def test_a_comma_of_a_file_that_is_there_is_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.jpg").touch()
    assert said("predict", "input=a,b.jpg") == "a,b.jpg"
    assert checked("train", ["-m", "data_dir=a,b.jpg"]) == ["-m", "data_dir=a,b.jpg"]


def test_a_text_of_any_length_is_a_text() -> None:
    long = ",".join(map(str, range(400)))
    assert "several values are a sweep" in refused("predict", f"input={long}")
    assert "arguments are key=value" in refused("predict", "ckpt=m", "input=a", long)


def test_a_part_that_is_null_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        checked("train", ["--cfg", "job", "-p", "data_dir"])
    assert (stop.value.code, capsys.readouterr().out) == (None, "null\n")


def test_lists_of_texts_are_read_as_typed() -> None:
    assert said("demo", "ckpt=[runs/a (1),~/b]") == ["runs/a (1)", str(Path("~/b").expanduser())]
    assert said("compare", "images=[a=b, c]") == ["a=b", "c"]
    assert said("compare", "images=[a,b]") == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "handed"),
    [
        ("training.lr=1e-3 seed=3", "training.lr=1e-3 seed=3"),
        ("+experiment=camvid_cpu", "experiment=camvid_cpu"),
        ("training.lr=1 -m seed=0,1 fresh=true", "training.lr=1 seed=0,1 fresh=true -m"),
        ("training.lr=1 --cfg job seed=1", "training.lr=1 seed=1 --cfg job"),
        ("+training.lr=1e-3 ++seed=3", "training.lr=1e-3 seed=3"),
        ("experiment=null debug=null", ""),
        ("+backbone.eps=1e-5", "+backbone.eps=1e-5"),
        ("backbone=timm backbone.name=pvt_v2_b1", "backbone=timm backbone.name=pvt_v2_b1"),
        ("optimizer.adamw.betas.0=0.8", "optimizer.adamw.betas.0=0.8"),
        ("training={lr:1}", "training={lr:1}"),
        ("-m experiment=table5,table6 seed=range(0,3)", "-m experiment=table5,table6 seed=range(0,3)"),
        ("-m lpm=glob(*)", "-m lpm=glob(*)"),
        ("lpm=se --multirun seed=0,1", "lpm=se seed=0,1 --multirun"),
        ("lpm=se -c job seed=1 -p seed", "lpm=se seed=1 -c job -p seed"),
        ("-m experiment=search training.lr=interval(0,1)", "-m experiment=search training.lr=interval(0,1)"),
        (
            "+hydra.job.env_set.X=1 hydra.launcher.max_parallel=2",
            "+hydra.job.env_set.X=1 hydra.launcher.max_parallel=2",
        ),
        ("~hydra.sweeper.params.lpm", "~hydra.sweeper.params.lpm"),
        ("hydra/launcher=basic", "hydra/launcher=basic"),
        ("output_dir=${oc.env:HOME}/runs", "output_dir=${oc.env:HOME}/runs"),
        ("-c job -p training", "-c job -p training"),
        ("-c job -p _global_", "-c job -p _global_"),
        ("hydra.mode=MULTIRUN seed=0,1", "hydra.mode=MULTIRUN seed=0,1"),
        ("-cjob --package=seed", "-cjob --package=seed"),
        ("--info defaults", "--info defaults"),
        ("-sc query=bash", "-sc query=bash"),
        ("--hydra-help", "--hydra-help"),
    ],
)
def test_what_hydra_takes_stays(arguments: str, handed: str) -> None:
    assert checked("train", arguments.split(" ")) == handed.split()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder of configurations, sound and not."""
    files = {
        "experiment/mine.yaml": "# @package _global_\ntraining: {max_steps: 7}\n",
        "experiment/bad.yaml": "# @package _global_\na: [1\nb: }\n",
        "experiment/twice.yaml": "# @package _global_\nseed: 1\nseed: 2\n",
        "experiment/list.yaml": "- a\n",
        "experiment/text.yaml": "hello\n",
        "experiment/empty.yaml": "",
        "experiment/headless.yaml": "seed: 3\n",
        "experiment/unknown.yaml": "# @package _global_\ntraining: {lrr: 1}\n",
        "experiment/kind.yaml": "# @package _global_\ntraining: {max_steps: many}\n",
        "experiment/gone.yaml": "# @package _global_\ndefaults:\n  - override /backbone: mit_b9\n",
        "experiment/late.yaml": "# @package _global_\ndefaults:\n  - override /debug: fast\n",
        "decoder/mine.yaml": "_target_: mine.Mine\nname: mine\nwidth: 12\n",
        "mytrain.yaml": "defaults:\n  - train\n  - _self_\nseed: 7\n",
        "cluster/big.yaml": "# @package _global_\nhardware: {devices: 8}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "experiment/latin.yaml").write_bytes(
        "# @package _global_\nlogger: {project: Müller}\n".encode("latin-1")
    )
    return tmp_path


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("bad", "experiment/bad.yaml, line 3: no YAML that can be read ("),
        ("twice", "experiment/twice.yaml, line 3: no YAML that can be read (found duplicate key seed)"),
        ("list", "experiment/list.yaml: holds a list, and must hold keys with values"),
        ("text", "experiment/text.yaml: holds a str, and must hold keys with values"),
        ("latin", "experiment/latin.yaml: not UTF-8 (byte 39); save it as UTF-8"),
        ("headless", "experiment/headless.yaml: its first line must be `# @package _global_`"),
        ("unknown", "experiment/unknown.yaml: training.lrr: no such key; did you mean training.lr?"),
        ("kind", "experiment/kind.yaml: training.max_steps: must be a whole number"),
        ("gone", "backbone=mit_b9: no such choice; did you mean mit_b"),
        ("late", "experiment/late.yaml: cannot choose debug: it is not among the groups before experiment"),
        ("min", "experiment=min: no such choice; did you mean mine?"),
    ],
)
def test_a_fault_in_the_users_own_files_is_named(own: Path, choice: str, message: str) -> None:
    search = ["--config-dir", str(own)] if choice == "list" else [f"hydra.searchpath=[{own}]"]
    assert message in refused("train", *search, f"experiment={choice}")


def test_the_users_own_files_are_used(own: Path) -> None:
    search = f"hydra.searchpath=[file://{own}]"
    for arguments in (["experiment=mine"], ["decoder=mine", "decoder.width=3"], ["+cluster=big"]):
        assert checked("train", [search, *arguments]) == [search, *arguments]
    odd = own.parent / "of my own (1)"
    own.rename(odd)
    handed = checked("train", [f"hydra.searchpath=[{odd}]", "experiment=mine"])
    assert handed == [f'hydra.searchpath=["{odd}"]', "experiment=mine"]
    odd.rename(own)
    whole = ["--config-dir", str(own), "--config-name", "mytrain"]
    assert checked("train", [*whole, "training.lr=1"]) == [*whole, "training.lr=1"]
    assert "did you mean training.lr=1?" in refused("train", *whole, "lr=1")
    assert "a group of your own is added with +: +cluster=big" in refused("train", search, "cluster=big")
    assert "decoder.widht: no such key; did you mean decoder.width=3?" in refused(
        "train", search, "decoder=mine", "decoder.widht=3"
    )


def test_choices_are_lightnings() -> None:
    assert set(Training.__dataclass_fields__["precision"].metadata["choices"]) == set(get_args(_PRECISION_INPUT_STR))


def test_what_is_said_elsewhere_is_a_key_of_some_command() -> None:
    from scaseg.arguments import _hydra

    known = set()
    with _hydra():
        for command in COMMANDS:
            of_it = Known(command, [], False)
            known |= {*of_it.groups, *of_it.keys}
    for word, keys in ELSEWHERE.items():
        assert set(keys) <= known, word


PROGRAM = """
import contextlib, io, sys

from tests.commands import main_of

for command in sys.argv[1].split(","):
    more = (["-h"], ["--cfg", "job"], ["--info", "defaults"], ["--hydra-help"]) if command == "validate" else ()
    for arguments in (["--help"], *more):
        sys.argv = [f"scaseg.{command}", *arguments]
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            try:
                main_of(command)()
            except SystemExit as stop:
                assert not stop.code, (command, arguments)
        text = shown.getvalue()
        if arguments[0] in ("--help", "-h"):
            assert f"python -m scaseg.{command}" in text and "== Keys (key=value)" in text, (command, text)
        if command in ("browse", "prepare", "validate") and arguments[0] == "--help":
            import pathlib
            from scaseg.choices import CONF_DIR
            for path in pathlib.Path(CONF_DIR, "dataset").glob("*.yaml"):
                assert path.stem in text.partition("== Keys")[0], (command, path.stem)
        assert "torch" not in sys.modules, (command, arguments)
print("all")
"""


def test_what_hydra_says_of_a_missing_launcher_is_the_package_to_install() -> None:
    error = MissingConfigException("Could not find", "hydra/launcher/submitit_slurm", ["basic"])
    assert explained(error) == "hydra/launcher=slurm needs submitit: pip install 'scaseg[slurm]'"


def test_a_disk_that_refuses_is_named_and_a_fault_of_ours_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(error: BaseException) -> Any:
        @command("report", ReportConfig)
        def main(cfg: ReportConfig) -> None:
            raise error

        return main

    monkeypatch.setattr(sys, "argv", ["scaseg.report"])
    with pytest.raises(SystemExit, match="2"):
        failing(PermissionError(errno.EACCES, "Permission denied", "/x/y"))()
    assert capsys.readouterr().err.endswith("error: /x/y: Permission denied\n")
    for error in (FileNotFoundError(errno.ENOENT, "No such file", "/x/y"), OSError("a decoder's"), KeyError("k")):
        with pytest.raises(type(error)):
            failing(error)()
    with pytest.raises(SystemExit, match="130"):
        failing(KeyboardInterrupt())()
    assert capsys.readouterr().err.endswith("stopped by Ctrl-C\n")
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m scaseg.train --help | head -1; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode in (0, 141)


def test_every_command_tells_about_itself_without_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, ",".join(COMMANDS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "all\n"
    assert done.stderr == "" or "error" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "given", "now"),
    [
        ("predict", ["ckpt=x", "input=y", "output=z", "device=cuda:1"], "hardware.accelerator=cuda:1"),
        ("demo", ["ckpt=x", "threads=2"], "hardware.threads=2"),
        ("evaluate", ["ckpt=x", "export=out"], "submission=out"),
        ("validate", ["dataset=camvid", "export=out"], "submission=out"),
        ("compare", ["b='runs/*b*'", "a=runs/a"], 'ckpt=["runs/a","runs/*b*"]'),
        ("figures", ["figure=6", "a=my runs/a"], 'ckpt=["my runs/a"]'),
    ],
)
def test_keys_of_earlier_versions_are_taken_and_their_new_names_said(
    command: str, given: list[str], now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert now in checked(command, given)
    assert capsys.readouterr().err.startswith("note: ")

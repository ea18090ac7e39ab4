"""TensorBoard and MLflow, read back by their own readers, hold what metrics.csv holds, after a run was killed too."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import yaml
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_metric_name
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

from scaseg.runs.asked import asked
from scaseg.schema import Run
from scaseg.training.matrix_picture import matrix_picture
from scaseg.typed import dotted
from tests.conftest import ROOT
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, TINY, command, config, execute, folder_of, rows, run

__all__ = ["cli"]
pytestmark = [*QUIET, pytest.mark.filterwarnings("ignore:The ``noload`` loader")]  # of what MLflow imports
OPTIONS = ["logger=[csv,tensorboard,mlflow]", "training.log_every=1", "logger.mlflow.tags=['seed=0']"]
LOCAL = """
import os, socket, sys
connect, look_up = socket.socket.connect, socket.getaddrinfo
def refuse(what):
    with open(os.environ["CALLS"], "a") as file:
        print(what, file=file)
    raise OSError("no network in this test")
socket.socket.connect = lambda self, to: refuse(to) if self.family != socket.AF_UNIX else connect(self, to)
socket.getaddrinfo = lambda host, *more, **options: refuse(host)
"""
KILLED = """
import signal
from pathlib import Path
import scaseg.torchvision_fix
from lightning.pytorch import Callback
from tests.training.tiny import config, run
class Kill(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 5:
            os.kill(os.getpid(), signal.SIGKILL)
run(config(Path(sys.argv[1]), *sys.argv[2:]), Kill())
"""
CI = (
    "CI",
    "PYTEST_CURRENT_TEST",
    "GITHUB_ACTIONS",
    "DO_NOT_TRACK",
    "MLFLOW_DISABLE_TELEMETRY",
)  # MLflow is quiet there


@dataclass(frozen=True)
class Done:
    """A run that was killed after its fifth step, which is logged and in no checkpoint, and went on."""

    folder: Path
    config: Run
    before: list[dict[str, str]]  # the rows when it was killed
    run_id: str  # MLflow's at that time
    calls: list[str]  # what was asked of the network

    @property
    def client(self) -> Any:
        return client(self.folder.parent / "mlflow")


def client(folder: Path) -> Any:
    return MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def only_run(client: Any) -> Any:
    (found,) = client.search_runs([client.get_experiment_by_name("scaseg").experiment_id])
    return found


@contextlib.contextmanager
def recorded(calls: list[str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda host, *_, **__: calls.append(host))
        patch.setattr(socket.socket, "connect", lambda _, to: calls.append(to))
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    runs = tmp_path_factory.mktemp("runs")
    environment = {key: value for key, value in os.environ.items() if key not in CI} | {"CALLS": str(runs / "calls")}
    killed = subprocess.run(
        [sys.executable, "-c", LOCAL + KILLED, str(runs), *OPTIONS],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    calls = (runs / "calls").read_text().splitlines() if (runs / "calls").exists() else []
    cfg = config(runs, *OPTIONS)
    folder = folder_of(cfg)
    before, run_id = rows(folder), only_run(client(runs / "mlflow")).info.run_id
    with recorded(calls):
        run(cfg)
    return Done(folder, asked(cfg).config, before, run_id, calls)


def expected(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Of metrics.csv: (step, value) of each column."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows(folder):
        for name, text in row.items():
            if name != "step" and text:
                found.setdefault(name, []).append((int(row["step"]), float(text)))
    return found


def events(folder: Path) -> EventAccumulator:
    read = EventAccumulator(str(folder), STORE_EVERYTHING_SIZE_GUIDANCE)
    return read.Reload()


def test_nothing_is_asked_of_the_network_or_of_the_terminal(done: Done) -> None:
    assert done.calls == []


def test_tensorboard_holds_each_value_once(done: Done) -> None:
    assert max(int(row["step"]) for row in done.before) > 4  # logged twice, but for what is taken back
    assert len(list(done.folder.glob("events.out.tfevents.*"))) == 2
    read, wanted = events(done.folder), expected(done.folder)
    assert {step for step, _ in wanted["train/loss"]} == set(range(1, 9))
    assert set(read.Tags()["scalars"]) == {*wanted, "model/GFLOPs"}
    for name, values in wanted.items():
        held = [(event.step, event.value) for event in read.Scalars(name)]
        assert held == [(step, float(np.float32(value))) for step, value in values], name
    ((step, value),) = [(event.step, event.value) for event in read.Scalars("model/GFLOPs")]
    assert step == 0
    assert value > 0


def test_mlflow_holds_each_value_once_in_the_run_that_was_begun(done: Done) -> None:
    found, wanted = only_run(done.client), expected(done.folder)
    assert (found.info.run_id, found.info.run_name) == (done.run_id, done.folder.name)
    assert found.info.status == "FINISHED"
    assert found.data.tags["tags"] == "seed=0"
    assert set(found.data.metrics) == {*wanted, "GFLOPs"}
    for name, values in wanted.items():
        history = done.client.get_metric_history(done.run_id, name)
        assert sorted((one.step, one.value) for one in history) == values, name
        assert found.data.metrics[name] == values[-1][1], name
    assert len(done.client.get_metric_history(done.run_id, "GFLOPs")) == 1


def test_pictures_are_those_of_the_run_in_both(done: Done, tmp_path: Path) -> None:
    def png(path: str | Path | io.BytesIO) -> Any:
        return np.asarray(Image.open(path))

    def artifact(path: str) -> Any:
        return png(done.client.download_artifacts(done.run_id, path, str(tmp_path)))

    read = events(done.folder)
    assert set(read.Tags()["images"]) == {"confusion_matrix", "pictures/val_00000", "pictures/val_00010"}
    shown = {
        tag: {one.step: png(io.BytesIO(one.encoded_image_string)) for one in read.Images(tag)}
        for tag in read.Tags()["images"]
    }
    assert all(list(steps) == [4, 8] for steps in shown.values())
    for step in (4, 8):
        sheet = png(done.folder / "pictures" / f"step_{step:06d}.png")  # rows of image, truth and prediction
        assert (artifact(f"pictures/step_{step:06d}.png") == sheet).all()
        assert (shown["pictures/val_00000"][step][:120] == sheet[:120]).all()
        assert (artifact(f"confusion_matrix/step_{step:06d}.png") == shown["confusion_matrix"][step]).all()
    assert len(done.client.list_artifacts(done.run_id, "pictures")) == 2
    counts = Path(done.client.download_artifacts(done.run_id, "confusion_matrix.csv", str(tmp_path))).read_text()
    assert sum(int(cell) for line in counts.splitlines()[1:] for cell in line.split(",")[1:]) == 11 * 32 * 64


def test_the_whole_configuration_is_in_both(done: Done, tmp_path: Path) -> None:
    written = (done.folder / "config.yaml").read_text()
    assert Path(done.client.download_artifacts(done.run_id, "config.yaml", str(tmp_path))).read_text() == written
    params = only_run(done.client).data.params
    flat = dotted(yaml.safe_load(written))
    assert params == {key: str(value) for key, value in flat.items()}
    assert params["training.max_steps"] == "8"
    (text,) = events(done.folder).Tensors("config/text_summary")
    (content,) = text.tensor_proto.string_val
    assert "".join(f"{line[4:]}\n" for line in content.decode().split("\n")) == written
    plugin = events(done.folder).summary_metadata["_hparams_/session_start_info"].plugin_data
    assert b"training.max_steps" in plugin.content


def test_a_fresh_start_is_a_run_of_its_own(done: Done, tmp_path: Path) -> None:
    from scaseg.training.loggers.mlflow import MlflowLog

    store, here = str(done.folder.parent / "mlflow"), tmp_path / "runs" / done.folder.name
    fresh = MlflowLog(replace(done.config, fresh=True), here, folder=store)
    assert fresh.run_id != done.run_id
    assert MlflowLog(done.config, here, folder=store).run_id == fresh.run_id
    done.client.delete_run(fresh.run_id)
    assert MlflowLog(done.config, here, folder=store).run_id == done.run_id


@pytest.mark.slow
def test_jobs_of_a_sweep_make_their_store_together(tmp_path: Path) -> None:
    sweep = ["--multirun", "hydra/launcher=local", "hydra.launcher.max_parallel=3", "seed=0,1,2"]
    done = execute(command(tmp_path, "logger=mlflow", "training.max_steps=2", "training.warmup_steps=0", *sweep))
    assert done.returncode == 0, done.stdout + done.stderr
    found = client(tmp_path / "mlflow").search_runs(["1"])
    assert sorted(one.data.tags["tags"] for one in found) == ["seed=0", "seed=1", "seed=2"]
    assert {one.data.tags["group"] for one in found} == {found[0].data.tags["group"]}
    assert all(one.data.metrics["val/mIoU"] > 0 and one.info.status == "FINISHED" for one in found)


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_missing_package_is_named(name: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = (name, f"torch.utils.{name}", f"scaseg.training.loggers.{name}")
    for module in [one for one in sys.modules if one.startswith(behind)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    status, _, err = cli("train", *TINY, f"logger={name}")
    assert status == 2
    assert f"logger={name} needs the package {name}: pip install 'scaseg[{name}]'" in err
    assert not Path("runs").exists()


def test_names_that_mlflow_does_not_take_stay_apart() -> None:
    from scaseg.training.loggers.mlflow import as_key

    names = ["wall (brick)", "wall [brick]", "door;gate", "a//b", "..", "a/.", "Straße", "50 %", "traffic light"]
    keys = [as_key(f"val/IoU/{name}") for name in names]
    for key in keys:
        _validate_metric_name(key)
    assert len(set(keys)) == len(names)
    assert keys[-3] == "val/IoU/Straße"


@pytest.mark.parametrize(("classes", "width"), [(2, 440), (19, 800), (171, 700)])
def test_a_matrix_has_a_readable_size(classes: int, width: int) -> None:
    matrix = np.eye(classes, dtype=np.int64) * 100
    matrix[1] = 0
    picture = matrix_picture(matrix, [f"class {i}" for i in range(classes)])
    assert picture.shape[1] <= width
    assert picture.dtype == np.uint8
    dark = (picture == (20, 60, 140)).all(-1).any(1)
    assert dark.sum() > 0

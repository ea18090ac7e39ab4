"""MLflow: the run's curves, pictures, confusion matrix and configuration, in a store on disk; nothing goes out."""

import fcntl
import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import scaseg.torchvision_fix  # noqa: F401

import yaml
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.schema import Run
from scaseg.training.matrix_picture import matrix_picture
from scaseg.training.pictures import Sample, sheet
from scaseg.typed import dotted, to_plain

STORE, ARTIFACTS, LOCK = "mlflow.db", "artifacts", "mlflow.lock"
RUN_TAG = "scaseg.run"
WAIT = 120  # seconds for the other jobs of a sweep, which write to the same store
PARAMS_AT_ONCE = 100  # MLflow takes no more


class MlflowLog(MLFlowLogger):
    """A run in MLflow's SQLite store, found again by the run folder's name, so that a resumed run goes on in it.

    folder: of the store; None: `mlflow` beside the run's folder, where it holds all runs of one output_dir.
    experiment: MLflow's name for what runs are listed under. Raises UserError where the package is missing.
    """

    def __init__(
        self,
        run: Run,
        run_folder: Path,
        experiment: str = "scaseg",
        folder: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        _import_mlflow()
        self.folder = (run_folder.parent / "mlflow" if folder is None else Path(folder)).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("a") as lock:  # where jobs of a sweep make the tables together, some fail
            fcntl.lockf(lock, fcntl.LOCK_EX)
            super().__init__(
                experiment_name=experiment,
                run_name=run.name,
                tracking_uri=f"sqlite:///{self.folder / STORE}?timeout={WAIT}",
                artifact_location=(self.folder / ARTIFACTS).as_uri(),
                tags={
                    RUN_TAG: run.name,
                    **({"group": group} if group else {}),
                    **({"tags": ", ".join(tags)} if tags else {}),
                },
            )
        self.run = run

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """MLflow's client, once there is a run; Lightning's own would start another for each session."""
        if not self._initialized:
            self._experiment_id = self._find_experiment()
            self._run_id = self._find_run() or self._start_run()
            self._initialized = True
            self._write_config()
        return self._mlflow_client

    def _find_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self._experiment_name
        found = self._mlflow_client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._mlflow_client.create_experiment(name, self._artifact_location))
            except MlflowException:  # another job of the sweep was faster
                found = self._mlflow_client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise UserError(f"logger.mlflow.experiment={name} was deleted from {self.folder / STORE}: name another")
        return str(found.experiment_id)

    def _find_run(self) -> str | None:
        """The id of the run's latest start; none where it is to start afresh, which keeps the earlier one."""
        if self.run.fresh:
            return None
        wanted = f"tags.`{RUN_TAG}` = '{self.run.name}'"
        order = ["attributes.start_time DESC"]
        found = self._mlflow_client.search_runs([self._experiment_id], wanted, max_results=1, order_by=order)
        return str(found[0].info.run_id) if found else None

    def _start_run(self) -> str:
        made = self._mlflow_client.create_run(self._experiment_id, run_name=self._run_name, tags=self.tags)
        return str(made.info.run_id)

    def _write_config(self) -> None:
        """As config.yaml, and as params; these keep their first value, for MLflow does not let them change."""
        from mlflow.entities import Param

        plain, client = to_plain(self.run), self._mlflow_client
        client.log_text(self._run_id, yaml.safe_dump(plain, sort_keys=False), "config.yaml")
        there = client.get_run(self._run_id).data.params
        flat = {as_key(key): str(value) for key, value in dotted(plain).items()}
        new = [Param(key, value) for key, value in flat.items() if key not in there]
        for i in range(0, len(new), PARAMS_AT_ONCE):
            client.log_batch(self._run_id, params=new[i : i + PARAMS_AT_ONCE])

    def rewind(self, step: int) -> None:
        """See scaseg.training.media.Rewinds. MLflow has no call that takes metrics back, so its tables are told."""
        last = step or -1  # a new start repeats step 0 too
        client, run_id = self.experiment, self.run_id
        with closing(sqlite3.connect(self.folder / STORE, timeout=WAIT)) as store, store:
            store.execute("DELETE FROM metrics WHERE run_uuid = ? AND step > ?", (run_id, last))
            store.execute("DELETE FROM latest_metrics WHERE run_uuid = ?", (run_id,))
            store.execute(
                "INSERT INTO latest_metrics (key, value, timestamp, is_nan, run_uuid, step)"
                " SELECT key, value, timestamp, is_nan, run_uuid, max(step) FROM metrics WHERE run_uuid = ?"
                " GROUP BY key",
                (run_id,),
            )
        artifacts = Path(unquote(urlsplit(client.get_run(run_id).info.artifact_uri).path))
        for path in artifacts.glob("*/step_*.png"):
            if int(path.stem.removeprefix("step_")) > last:
                path.unlink()
        client.update_run(run_id, status="RUNNING")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """As Lightning's, which drops signs from names that MLflow does not take, where two classes may become one."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        row = [Metric(as_key(name), float(value), now, step or 0) for name, value in metrics.items()]
        self.experiment.log_batch(self.run_id, metrics=row, synchronous=True)

    def summarise(self, values: Mapping[str, float]) -> None:
        """See scaseg.training.media.Shows; once, at step 0."""
        there = self.experiment.get_run(self.run_id).data.metrics
        self.log_metrics({name: value for name, value in values.items() if as_key(name) not in there}, 0)

    def show(self, samples: Sequence[Sample], matrix: Tensor, labels: LabelTable, step: int) -> None:
        """As artifacts; of the matrix also the counts, confusion_matrix.csv, those of the last validation.

        MLflow's image charts put all params before the image, which is then out of sight.
        """
        client, run_id, counts = self.experiment, self.run_id, matrix.cpu().numpy()
        if samples:
            client.log_image(run_id, sheet(samples, labels), f"pictures/step_{step:06d}.png")
        client.log_image(run_id, matrix_picture(counts, labels.names), f"confusion_matrix/step_{step:06d}.png")
        lines = [
            ["truth \\ prediction", *labels.names],
            *([name, *row] for name, row in zip(labels.names, counts.tolist(), strict=True)),
        ]
        client.log_text(run_id, "".join(",".join(map(str, line)) + "\n" for line in lines), "confusion_matrix.csv")


def as_key(name: str) -> str:
    """A name that MLflow takes: other signs become their numbers between underscores, so that no two become one."""
    key = re.sub(r"[^\w\-. /]", lambda sign: f"_{ord(sign[0]):x}_", name)
    parts = key.split("/")  # MLflow takes none that a path would lose
    return "/".join("_" if not part else part.replace(".", "_2e_") if part in (".", "..") else part for part in parts)


def _import_mlflow() -> None:
    """Whole and quiet. Raises UserError where a package is missing."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read where it is imported
    try:
        with warnings.catch_warnings():
            # of SQLAlchemy 2.1 about MLflow's tables
            warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    except ImportError as error:
        package = (error.name or "mlflow").partition(".")[0]
        raise UserError(f"logger=mlflow needs the package {package}: pip install 'scaseg[mlflow]'") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)

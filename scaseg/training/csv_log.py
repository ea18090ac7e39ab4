import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from scaseg.files import replacing


class CsvLog(Logger):
    """metrics.csv: one row a logged step, columns fixed from the start, each row on disk at once.

    A resumed run calls `rewind` to drop the rows after its checkpoint; Lightning's own CSV logger would delete
    the file instead.
    """

    def __init__(self, path: Path, columns: list[str]) -> None:
        super().__init__()
        self.path = path
        self.columns = ["step", *columns]

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    def rewind(self, step: int) -> None:
        """Keep the rows up to `step`, which a resumed run does not write again."""
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if row["step"].isdigit() and int(row["step"]) <= step]
        with replacing(self.path) as beside, beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row; a name outside the columns is a ValueError."""
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if new:
                writer.writeheader()
            writer.writerow({"step": step, **metrics})

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml in the run folder holds them."""

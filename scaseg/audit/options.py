"""What python -m scaseg.audit takes. Imports nothing heavy."""

from dataclasses import dataclass, field

from scaseg.config import TrainConfig
from scaseg.errors import UserError
from scaseg.schema import SEMANTIC, Which
from scaseg.typed import Yaml, number, one_of


@dataclass
class AuditConfig(TrainConfig):
    """The command's keys: those of a training, and its own."""

    dataset: Yaml = field(default_factory=dict)
    split: str | None = None  # whose masks; null: the dataset's train_split
    folds: int = number(4, 2)  # trainings, each without the images that it then judges
    folds_of: str = one_of("groups", "groups", "images")  # groups: images of one of dataset.groups stay in one fold
    ckpt: str | None = None  # a trained model that judges instead: a run's folder, a checkpoint or a saved folder
    checkpoint: Which = Which.last
    least_region: float = number(0.003, 0, 1)  # share of an image below which a region is not looked at
    output: str | None = None  # a folder; null: under audits
    allow: list[str] = field(default_factory=list)  # packages whose classes a checkpoint may name; ours need none

    def check(self) -> None:
        super().check()
        if self.ckpt is None and "_target_" not in self.dataset:
            raise UserError(
                "whose masks? dataset=folder data_dir=DIR, or another dataset; or a trained model, ckpt=RUN"
            )
        if self.hardware.world_size > 1:
            raise UserError(
                f"hardware.devices={self.hardware.devices} num_nodes={self.hardware.num_nodes}: an audit's trainings"
                " follow each other in one process; leave both at 1"
            )
        if self.task != SEMANTIC:
            raise UserError(f"task={self.task}: an audit judges by the best of all classes' scores; leave it out")
        if self.records is not None:
            raise UserError(f"records={self.records}: an audit's trainings leave no records; leave it out")

"""What python -m scaseg.demo takes. Imports nothing heavy."""

from dataclasses import dataclass, field
from typing import Any

from scaseg.errors import UserError
from scaseg.schema import Device
from scaseg.typed import REQUIRED, Checked, number


@dataclass
class DemoConfig(Checked):
    """The command's keys."""

    ckpt: Any = REQUIRED  # one model, or a list of them, each whatever scaseg.load takes
    port: int = number(7860, 0, 65535)  # 0: any that is free
    max_mb: int = number(20, 1)  # of an uploaded file
    max_megapixels: int = number(16, 1)  # of an uploaded image
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Device = field(default_factory=Device)

    def check(self) -> None:
        if not self.paths or not all(isinstance(path, str) for path in self.paths):
            raise UserError(f"ckpt={self.ckpt}: a path, or a list of paths in brackets")

    @property
    def paths(self) -> list[str]:
        """Of the models, one or several."""
        return self.ckpt if isinstance(self.ckpt, list) else [self.ckpt]

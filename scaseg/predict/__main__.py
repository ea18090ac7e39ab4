"""python -m scaseg.predict: masks of a file, a folder, a pattern or a video."""

import sys
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from scaseg.commands import command


@dataclass
class PredictConfig:
    """What python -m scaseg.predict takes; protocol holds changes to the checkpoint's own."""

    ckpt: str = MISSING  # a checkpoint, a run's folder, or a folder of scaseg.save_pretrained
    input: str = MISSING  # a file, a folder, a pattern in quotes, a video
    output: str = MISSING  # a folder
    write: str = "both"  # masks, overlays, both
    overwrite: bool = False
    protocol: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 4  # images of one size at once
    max_pixels: int = 2**25  # seen by the model at once, without windows
    device: str = "auto"  # cpu, cuda, cuda:1; auto: cuda where it is
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    threads: int | None = None  # torch's on a CPU; null: torch's choice


_schema = OmegaConf.structured(PredictConfig)
OmegaConf.set_struct(_schema.protocol, False)  # protocol.KEY=... and not +protocol.KEY=...
ConfigStore.instance().store(name="predict_schema", node=_schema)


@command("predict")
def main(cfg: DictConfig) -> None:
    """Parse, check, and call scaseg.predict.run.predict; exit status 1 where a file failed."""
    from scaseg.config import merge_protocol
    from scaseg.errors import UserError
    from scaseg.trained.inputs import find_inputs

    if cfg.write not in ("masks", "overlays", "both"):
        raise UserError(f"write={cfg.write}: masks, overlays or both")
    for key in ("batch_size", "max_pixels"):
        if cfg[key] < 1:
            raise UserError(f"{key}={cfg[key]} must be at least 1")
    found = find_inputs(cfg.input, cfg.output)
    from scaseg.predict.run import predict

    outcome = predict(cfg, found, lambda saved: merge_protocol(saved, cfg.protocol))
    if outcome.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

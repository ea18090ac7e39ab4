"""python -m scaseg.demo: a web page on this machine where one drops an image and sees its masks."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from scaseg.commands import command


@dataclass
class DemoConfig:
    """What python -m scaseg.demo takes."""

    ckpt: Any = MISSING  # one model, or a list of them: checkpoints, runs' folders, folders of scaseg.save_pretrained
    port: int = 7860
    max_mb: int = 20  # of an uploaded file
    max_megapixels: int = 16  # of an uploaded image
    device: str = "auto"
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    threads: int | None = None


ConfigStore.instance().store(name="demo_schema", node=DemoConfig)


@command("demo")
def main(cfg: DictConfig) -> None:
    """Parse, check, and call scaseg.demo.serve.serve."""
    from scaseg.config import plain
    from scaseg.errors import UserError

    if not 0 <= cfg.port < 65536:
        raise UserError(f"port={cfg.port}: 1 to 65535, or 0 for any that is free")
    for key in ("max_mb", "max_megapixels"):
        if cfg[key] < 1:
            raise UserError(f"{key}={cfg[key]} must be at least 1")
    options = plain(cfg)
    paths = options["ckpt"] if isinstance(options["ckpt"], list) else [options["ckpt"]]
    if not paths or not all(isinstance(path, str) for path in paths):
        raise UserError(f"ckpt={options['ckpt']}: a path, or a list of paths in brackets")
    from scaseg.demo.serve import serve

    serve(paths, options)


if __name__ == "__main__":
    main()

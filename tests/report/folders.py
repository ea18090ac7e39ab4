import json
from pathlib import Path
from typing import Any

from scaseg.config import compose, run_config
from scaseg.typed import to_plain


def run_folder(root: Path, name: str, miou: float, *overrides: str, **result: Any) -> Path:
    """A finished run as training leaves it, as far as a report reads it."""
    config = run_config(compose("train", list(overrides)))
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("")
    finished = {
        "status": "done",
        "run": name,
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "decoder": config.decoder.name,
        "seed": config.seed,
        "config": to_plain(config),
        "mIoU": miou,
        "per_class": {f"class {i}": {"iou": miou} for i in range(8)},
        "params": 4_000_000,
    }
    (folder / "result.json").write_text(json.dumps({**finished, **result}))
    return folder

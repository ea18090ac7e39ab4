"""Two versions of the code beside each other: `python -m tests.same_numbers BEFORE AFTER`, folders of checkouts.

For every decoder that both have a short training, an evaluation, a prediction and an export, by the commands of either:
the tensors of the last checkpoint and of the export, the figures and the masks must be the same, bit for bit, on this
CPU.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

TINY = (
    *("backbone.channels=[8,16,40,32]", "backbone.depths=[1,1,1,1]", "dataset.size=[64,64]", "dataset.length=8"),
    *("augment.crop_size=[64,64]", "training.max_steps=4", "training.val_every=2", "training.batch_size=2"),
    *("training.warmup_steps=1", "hardware.num_workers=0", "hardware.accelerator=cpu", "pictures=0", "seed=3"),
)
FIGURES = ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "step", "encoder_params", "decoder_params")
Digests = dict[str, dict[str, str]]  # of what a step left, by step and name


def main(before: str, after: str) -> int:
    """A table, and exit status 1 where anything differs."""
    image = np.random.default_rng(0).integers(0, 256, (80, 96, 3), dtype=np.uint8)
    different = 0
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}: {before} beside {after}")
    decoders = [{path.stem for path in Path(checkout, "conf/decoder").glob("*.yaml")} for checkout in (before, after)]
    for decoder in sorted(set.intersection(*decoders)):
        with tempfile.TemporaryDirectory() as folder:
            Image.fromarray(image).save(f"{folder}/image.png")
            found = [
                _digests(Path(checkout).resolve(), Path(folder, str(i)), decoder) for i, checkout in _two(before, after)
            ]
        cells = []
        for step in found[0]:
            names = found[0][step].keys() | found[1][step].keys()
            wrong = sorted(name for name in names if found[0][step].get(name) != found[1][step].get(name))
            different += bool(wrong)
            cells.append(
                f"{step}: {f'DIFFERENT ({len(wrong)} of {len(names)}, first {wrong[0]})' if wrong else 'same'}"
            )
        print(f"{decoder:<11}", ", ".join(cells), flush=True)
    return int(different > 0)


def _two(before: str, after: str) -> list[tuple[int, str]]:
    return [(0, before), (1, after)]


def _digests(checkout: Path, folder: Path, decoder: str) -> Digests:
    folder.mkdir()
    _run(checkout, folder, "train", f"decoder={decoder}", *TINY)
    (last,) = folder.glob("runs/*/checkpoints/last.ckpt")
    run = last.parent.parent
    _run(
        checkout, folder, "evaluate", f"ckpt={last}", "split=test", "hardware.num_workers=0", "hardware.accelerator=cpu"
    )
    _run(checkout, folder, "predict", f"ckpt={last}", f"input={folder.parent}/image.png", "output=out", "write=masks")
    _run(checkout, folder, "export", f"ckpt={last}", "format=safetensors", "file=saved")
    (evaluation,) = run.glob("evaluation/*/result.json")
    saved = torch.load(last, weights_only=True)
    from safetensors.torch import load_file

    return {
        "training": _of({"weights": saved["state_dict"], "optimizer": saved["optimizer_states"]})
        | _of(_figures(run / "result.json")),
        "evaluation": _of(_figures(evaluation)),
        "prediction": _of({path.name: np.asarray(Image.open(path)) for path in folder.glob("out/masks/*.png")}),
        "export": _of(load_file(folder / "saved" / "model.safetensors")),
    }


def _figures(result: Path) -> dict[str, Any]:
    content = json.loads(result.read_text())
    return {key: content[key] for key in FIGURES}


def _run(checkout: Path, folder: Path, command: str, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", f"scaseg.{command}", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: scaseg.{command} {' '.join(arguments)}\n{done.stderr[-2000:]}")


def _of(content: Any, name: str = "") -> dict[str, str]:
    """A digest of every leaf, by its path."""
    if isinstance(content, Mapping):
        content = content.items()
    elif isinstance(content, list | tuple):
        content = enumerate(content)
    else:
        exact = np.asarray(content).tobytes() if isinstance(content, torch.Tensor | np.ndarray) else None
        return {name: hashlib.sha256(exact or repr(content).encode()).hexdigest()}
    return {key: digest for part, value in content for key, digest in _of(value, f"{name}.{part}").items()}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    raise SystemExit(main(*sys.argv[1:]))

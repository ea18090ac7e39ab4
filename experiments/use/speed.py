"""Time of onnxruntime beside eager PyTorch, and of the first mask beside torch's own import: ratios of one run.

python experiments/use/speed.py onnx mit_b0 1        backbone, threads
python experiments/use/speed.py first CKPT           seconds in fresh processes, alternating
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROUNDS = 9
SIZE = (512, 512)

IMPORT = """
import time; start = time.perf_counter()
import torch
print(time.perf_counter() - start)
"""
FIRST = """
import time; start = time.perf_counter()
import scaseg
model = scaseg.load({path!r})
import numpy
image = numpy.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=numpy.uint8)
model.predict(image)
first = time.perf_counter() - start
import torch
height, width = model.seen_size((360, 480))
batch = torch.from_numpy(image).permute(2, 0, 1)[None, :, :height, :width]
with torch.inference_mode():
    start = time.perf_counter()
    model.segmentor(batch)
print(first, time.perf_counter() - start)
"""


def onnx(backbone: str, threads: int) -> None:
    """Logits of 150 classes for one image, interleaved rounds."""
    import scaseg.torchvision_fix  # noqa: F401

    import torch

    from scaseg.config import compose, run_config
    from scaseg.exported.graph import capture
    from scaseg.exported.onnx_file import write_onnx
    from scaseg.exported.sessions import onnx_session
    from scaseg.models.build import build_segmentor

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    config = run_config(compose("train", [f"backbone={backbone}", "dataset=ade20k"]))
    segmentor = build_segmentor(config.backbone, config.decoder, 150).eval().requires_grad_(False)
    images = torch.rand(1, 3, *SIZE) * 255
    ways: dict[str, Callable[[], object]] = {"eager PyTorch": lambda: segmentor(images)}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for strip in ("exact", "spline"):
            file = Path(folder, f"{strip}.onnx")
            with torch.inference_mode(False):
                write_onnx(capture(segmentor, "logits", strip), file, "logits", {})
            run = onnx_session(file, threads).run
            ways[f"onnxruntime, {strip}"] = lambda run=run: run(images.numpy())
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS + 1):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if number:  # the first round warms up
                    times[name].append(time.perf_counter() - start)
    eager = times["eager PyTorch"]
    for name, taken in times.items():
        ratio = median(a / b for a, b in zip(taken, eager, strict=True))
        print(f"{backbone}, {threads} threads, {name}: {1e3 * median(taken):.0f} ms, ratio {ratio:.2f}")


def first(path: str) -> None:
    """Fresh processes, alternating."""
    ratios = []
    for _ in range(5):
        imported = _seconds(IMPORT)[0]
        mask, forward = _seconds(FIRST.format(path=str(Path(path).resolve())))
        ratios.append(mask / (imported + forward))
        print(f"import torch {imported:.2f} s, bare forward {forward:.2f} s, first mask {mask:.2f} s: {ratios[-1]:.2f}")
    print(f"median ratio {median(ratios):.2f}")


def _seconds(code: str) -> list[float]:
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [float(number) for number in told.stdout.split()]


if __name__ == "__main__":
    if sys.argv[1] == "onnx":
        onnx(sys.argv[2], int(sys.argv[3]))
    else:
        first(sys.argv[2])

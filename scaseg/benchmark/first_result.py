"""The first result of a fresh process, for suite=runtime: its seconds from the start, and the most memory it held.

python -m scaseg.benchmark.first_result eager|compile|onnxruntime|openvino FILE HEIGHT WIDTH THREADS
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

BEGUN = time.perf_counter() - time.process_time()  # with what the interpreter took before this line


def main(way: str, file: str, height: int, width: int, threads: int) -> None:
    """Load, compute logits of one image, print."""
    images = np.random.default_rng(0).integers(0, 256, (1, 3, height, width)).astype(np.float32)
    if way in ("eager", "compile"):
        import scaseg.torchvision_fix  # noqa: F401

        import torch

        torch.set_num_threads(threads)
        model = torch.load(file, weights_only=False)
        if way == "compile":
            from scaseg.benchmark.runtime import compiled

            model = compiled(model)
        with torch.inference_mode(way == "eager"):
            model(torch.from_numpy(images))
    else:
        from scaseg.exported.sessions import open_session

        open_session(Path(file), way, threads).run(images)
    print(json.dumps({"seconds": time.perf_counter() - BEGUN, "mebibytes": _most_memory()}))


def _most_memory() -> float:
    """In MiB, of this program alone: what getrusage tells is at least what the process held that started it."""
    if (status := Path("/proc/self/status")).is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS, in bytes


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

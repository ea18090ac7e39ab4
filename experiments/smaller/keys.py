"""Fewer keys at test time, and what that costs: README's table of key ratios.

python -m experiments.smaller.keys DATA_DIR RUN...: evaluates each run on val at each size and ratio and keeps the
figures in keys.json, from which what is there already is not done again. python -m experiments.smaller.keys time RUN:
times the ratios, on a machine that does nothing else. Both write the table.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import torch

import scaseg
from experiments.placed import put
from scaseg.files import write_json
from scaseg.machine import processor_name
from scaseg.report.statistics import summarise
from scaseg.schema import EvaluateConfig, Hardware
from scaseg.trained.model import TrainedModel
from scaseg.training.evaluate import evaluate
from scaseg.training.key_ratios import times
from scaseg.typed import Json

HERE = Path(__file__).parent
KEPT = HERE / "keys.json"
RATIOS = (1, 2, 4)
BOXES = {"480 x 360, as stored": None, "960 x 720": [960, 720], "1365 x 1024": [1365, 1024]}  # width x height
SIZE = (1024, 2048)


def evaluated(run: Path, data_dir: Path, size: str, ratio: int) -> float:
    """Val mIoU."""
    hardware = Hardware("cpu", num_workers=0, threads=1)
    protocol = {"box": BOXES[size], "key_ratio": ratio}
    with tempfile.TemporaryDirectory() as place:
        output = f"{place}/of"
        options = EvaluateConfig(str(run), "val", None, str(data_dir), protocol, pictures=0, output=output)
        options.hardware = hardware
        miou = evaluate(options)["mIoU"]
    assert miou is not None
    return miou


def timed(run: Path) -> Json:
    """Of one image's pass on one thread, by turns with the first ratio's: median and quartiles of the shares."""
    torch.set_num_threads(1)
    model = scaseg.load(run)
    assert isinstance(model, TrainedModel)
    found = [[one.ratio.median, one.ratio.lower, one.ratio.upper] for one in times(model, RATIOS, SIZE)]
    return {"shares": found, "machine": f"one thread of {processor_name()}, torch {torch.__version__}"}


def table(found: Json) -> str:
    """A row a ratio."""
    mious: dict[str, dict[str, list[float]]] = found["mious"]
    heads = ["key_ratio", "share of the time at 1024 x 2048", *(f"val mIoU, {size}" for size in mious)]
    rows = [f"| {' | '.join(heads)} |", "|" + "--:|" * len(heads)]
    for place, ratio in enumerate(RATIOS):
        share, lower, upper = found["time"]["shares"][place]
        cells = [f"{ratio}", f"{share:.2f} ({lower:.2f} to {upper:.2f})"]
        for runs in mious.values():
            cells.append(_cell([one[place] for one in runs.values()], [one[0] for one in runs.values()]))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"{found['time']['machine']}.", ""])


def _cell(mious: Sequence[float], whole: Sequence[float]) -> str:
    changes = [one - other for one, other in zip(mious, whole, strict=True)]
    change = f", {mean(changes):+.2f} ({', '.join(f'{x:+.2f}' for x in changes)})" if any(changes) else ""
    return summarise(list(mious)).text() + change


def kept() -> Json:
    """What keys.json holds."""
    found: Json = json.loads(KEPT.read_text()) if KEPT.exists() else {"mious": {}, "time": None}
    return found


def main() -> None:
    """See above."""
    found = kept()
    if sys.argv[1:2] == ["time"]:
        found["time"] = timed(Path(sys.argv[2]))
        write_json(KEPT, found)
    for size in BOXES:
        for run in map(Path, sys.argv[2:] if sys.argv[1:2] != ["time"] else []):
            of_run = found["mious"].setdefault(size, {}).setdefault(run.name, [])
            for ratio in RATIOS[len(of_run) :]:
                of_run.append(evaluated(run, Path(sys.argv[1]), size, ratio))
                write_json(KEPT, found)
    if found["time"]:
        put(HERE / "README.md", {"keys": table(found)})


if __name__ == "__main__":
    main()

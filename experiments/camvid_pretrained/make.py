"""Per-class IoU of several seeds as a table, from the result.json files that `scaseg.evaluate` wrote.

python experiments/camvid_pretrained/make.py RESULT.json...
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev


def main(*files: str) -> None:
    results = [json.loads(Path(file).read_text()) for file in files]
    (split,) = {result["split"] for result in results}  # one split, one protocol, one number of steps
    ((step, images, _),) = {(r["step"], r["images"], json.dumps(r.get("protocol"), sort_keys=True)) for r in results}
    seeds = [result["seed"] for result in results]
    if len(set(seeds)) < len(seeds):
        raise SystemExit(f"one seed twice: {seeds}")
    print(f"{split}, {images} images, step {step}\n")
    print("| class | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean ± std |")
    print("|---|" + "--:|" * (len(seeds) + 1))
    for name in results[0]["per_class"]:
        print(row(name, [result["per_class"][name]["iou"] for result in results]))
    print(row("**mIoU**", [result["mIoU"] for result in results]))
    print(row("pixel accuracy", [result["pixel_accuracy"] for result in results]))


def row(name: str, values: list[float]) -> str:
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + f" | {mean(values):.2f}{spread} |"


if __name__ == "__main__":
    main(*sys.argv[1:])

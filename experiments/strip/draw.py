"""python -m experiments.strip.draw RUNS PICTURE: exact and spline beside each other, from their metrics.csv."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

from scaseg.report.curves import series

STAGES = ("stage_1", "stage_2", "stage_3", "stage_4")


def draw(runs: Path, picture: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    results = [json.loads(path.read_text()) for path in sorted(runs.glob("*/result.json"))]
    by_form = {result["config"]["decoder"]["strip"]: (runs / result["run"], result) for result in results}
    figure, (loss, logits, error) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for form, style in (("exact", {"linewidth": 3, "alpha": 0.5}), ("spline", {"linewidth": 1.2, "color": "black"})):
        folder, result = by_form[form]
        steps, values = series(folder / "metrics.csv", "train/loss")
        loss.plot(steps, values, label=f"{form}: val mIoU {result['mIoU']:.2f}", **style)
        print(f"{form}: loss at step {steps[-1]} {values[-1]:.4f}, val mIoU {result['mIoU']:.2f}")
    for stage in STAGES:
        for axes, what in ((logits, "range"), (error, "error")):
            steps, values = series(by_form["spline"][0] / "metrics.csv", f"strip/{what}/{stage}")
            axes.plot(steps, values, label=stage.replace("_", " "))
            print(f"spline: largest strip/{what}/{stage} {max(values):.3g}")
    loss.set(xlabel="step", ylabel="training loss", title="the same training, two forms")
    logits.set(xlabel="step", ylabel="R", title="range of the logits")
    error.set(xlabel="step", ylabel="error / half the spread of v", title="spline against float64", yscale="log")
    for axes in (loss, logits, error):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))

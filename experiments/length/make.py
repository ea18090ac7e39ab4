"""README's tables and its figure from the records: `python -m experiments.length.make`."""

from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

from experiments.placed import put
from scaseg.report.curves import save
from scaseg.report.measured import Measured, measured
from scaseg.report.runs import Run, collect
from scaseg.runs.result import read_result

HERE = Path(__file__).parent
FIGURE = HERE / "length.png"
DECODERS = ("scaseg", "segformer", "umixformer", "metaseg")
BASELINE = "segformer"
OPTIMIZERS = {"adamw": "o-", "muon": "s--"}  # and how they are drawn
SHORT = 480  # steps of the trials

Rates = tuple[float, float]


def by(optimizer: str, runs: list[Run]) -> list[Run]:
    """Those of an optimizer."""
    return [run for run in runs if optimizer in run.config.optimizer]


def rates(run: Run) -> Rates:
    """The encoder's, and the decoder's as a multiple."""
    return run.config.training.lr, run.config.training.decoder_lr_mult


def chosen(runs: list[Run]) -> dict[str, Rates]:
    """Of each decoder the rates of its best trial."""
    trials = [run for run in runs if run.config.training.max_steps == SHORT and run.seed == 0]
    best = {run.decoder: run for run in sorted(trials, key=lambda run: run.miou)}
    return {name: rates(best[name]) for name in DECODERS if name in best}


def trials_table(runs: list[Run]) -> str:
    """A row a decoder, a column a pair of rates: mIoU of seed 0."""
    trials = {(run.decoder, rates(run)): run for run in runs if run.config.training.max_steps == SHORT and not run.seed}
    columns = sorted({asked for _, asked in trials})
    rows = ["| decoder | " + " | ".join(f"{lr:g} x {mult:g}" for lr, mult in columns) + " |"]
    rows.append("|---|" + "--:|" * len(columns))
    for decoder in DECODERS:
        figures = [f"{trials[decoder, one].miou:.2f}" if (decoder, one) in trials else "not run" for one in columns]
        rows.append(f"| {decoder} | " + " | ".join(figures) + " |")
    return "\n".join([*rows, ""])


def by_length(runs: list[Run], best: dict[str, Rates]) -> dict[int, tuple[list[str], Measured]]:
    """By steps: the decoders that have runs of it at these rates, and what they measured."""
    rows: dict[int, dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if rates(run) == best[run.decoder]:
            rows[run.config.training.max_steps][run.decoder][run.seed] = run
    found = {}
    for steps, of in sorted(rows.items()):
        names = [name for name in DECODERS if name in of]
        bases = {i: names.index(BASELINE) for i in range(len(names))} if BASELINE in names else {}
        found[steps] = names, measured("camvid", [of[name] for name in names], bases)
    return found


def worst_class(run: Run) -> tuple[float, str]:
    """IoU of the class that it learned least, and its name."""
    classes = read_result(run.folder)["per_class"] or {}
    return min((one["iou"], name) for name, one in classes.items() if one["iou"] is not None)


def length_table(runs: list[Run], best: dict[str, Rates]) -> str:
    """A row for each length and decoder."""
    heads = ["steps", "decoder", "val mIoU", "95 %", "mIoU an image", "worst tenth", "least class", f"Δ {BASELINE}"]
    rows = ["| " + " | ".join(heads) + " |", "|--:|---|--:|--:|--:|--:|---|--:|"]
    for steps, (names, found) in by_length(runs, best).items():
        for name, figures in zip(names, found.rows, strict=True):
            of_row = [run for run in runs if run.decoder == name and run.config.training.max_steps == steps]
            low, where = min(worst_class(run) for run in of_row if rates(run) == best[name])
            beside = [f"{figures.beside[key]:.2f}" if key in figures.beside else "–" for key in ("image", "worst")]
            change = "baseline" if name == BASELINE else figures.difference.text
            cells = [f"{steps:,}", name, figures.summary.text(), figures.interval.text, *beside, f"{where} {low:.1f}"]
            rows.append("| " + " | ".join([*cells, change]) + " |")
    notes = {note for _, found in by_length(runs, best).values() if (note := found.note())}
    results = [read_result(run.folder) for run in runs]
    machines = sorted({f"{one['device']}, torch {one['versions']['torch']}" for one in results})
    return "\n".join(
        [*rows, "", *(f"{note}\n" for note in sorted(notes)), f"{len(runs)} runs; {'; '.join(machines)}.", ""]
    )


def draw(runs: list[Run]) -> None:
    """mIoU over steps, a line a decoder and optimizer, with its deviation over seeds."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    best, ticks = chosen(by("adamw", runs)), set()
    for optimizer, style in OPTIMIZERS.items():
        lengths = by_length(by(optimizer, runs), best)
        ticks |= set(lengths)
        for number, decoder in enumerate(DECODERS):
            points = [
                (steps, found.rows[names.index(decoder)].summary)
                for steps, (names, found) in lengths.items()
                if decoder in names
            ]
            errors = [summary.std or 0.0 for _, summary in points]
            x, y = [steps for steps, _ in points], [summary.mean for _, summary in points]
            label = f"{decoder}, {optimizer}, n = {', '.join(str(summary.n) for _, summary in points)}"
            axes.errorbar(x, y, errors, fmt=style, color=f"C{number}", capsize=3, label=label)
    axes.set_xscale("log")
    axes.set_xticks(sorted(ticks), [f"{tick:,}" for tick in sorted(ticks)])
    axes.minorticks_off()
    axes.set(xlabel="steps of 4 images, each length with its own schedule", ylabel="CamVid val mIoU, %")
    axes.grid(alpha=0.3)
    axes.legend(title="mean and deviation over seeds", fontsize="small")
    save("figure", figure, FIGURE, 130)


def tables() -> dict[str, str]:
    """By the name of the place in README."""
    runs, problems = collect(str(HERE / "records"))
    if problems:
        raise SystemExit("\n".join(problems))
    adamw, muon = (by(optimizer, runs) for optimizer in OPTIMIZERS)
    best = chosen(adamw)
    return {"trials": trials_table(adamw), "lengths": length_table(adamw, best), "muon": length_table(muon, best)}


if __name__ == "__main__":
    put(HERE / "README.md", tables())
    draw(collect(str(HERE / "records"))[0])

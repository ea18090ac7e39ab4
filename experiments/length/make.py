"""README's table from the records: `python -m experiments.length.make`."""

from pathlib import Path

from scaseg.report.runs import collect
from scaseg.runs.result import read_result

HERE = Path(__file__).parent
BEGIN, END = "<!-- records -->\n", "<!-- end of records -->"


def table() -> str:
    """A row a record, by decoder and rates."""
    runs, problems = collect(str(HERE / "records"))
    if problems:
        raise SystemExit("\n".join(problems))
    rows = []
    for run in runs:
        result = read_result(HERE / "records" / run.folder.name)
        classes, plain = result["per_class"], result["plain_weights"]
        assert classes is not None and plain is not None
        known = {name: one["iou"] for name, one in classes.items() if one["iou"] is not None}
        worst = min(known, key=lambda name: known[name])
        recipe = run.config.training
        figures = (f"{run.miou:.2f}", f"{plain['mIoU']:.2f}", f"{worst} {known[worst]:.1f}")
        asked = (run.decoder, recipe.max_steps, recipe.lr, recipe.decoder_lr_mult, run.seed)
        rows.append((*asked, *figures, f"{result['wall_time_s']:,.0f}"))
    lines = ["| decoder | steps | lr | decoder x | seed | val mIoU | without average | worst class | s |"]
    lines += ["|---|--:|--:|--:|--:|--:|--:|---|--:|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in sorted(rows)]
    results = [read_result(path) for path in sorted((HERE / "records").iterdir())]
    machines = sorted({f"{one['device']}, torch {one['versions']['torch']}" for one in results})
    return "\n".join([*lines, "", f"{len(rows)} runs; {'; '.join(machines)}.", ""])


if __name__ == "__main__":
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    readme.write_text(before + BEGIN + table() + END + rest.partition(END)[2])

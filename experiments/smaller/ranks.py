"""Channels of a trained model's heads taken away, and what that costs: README's table of ranks.

python -m experiments.smaller.ranks DATA_DIR RUN...: ranks each run at each budget, evaluates that on val, and keeps the
figures in ranks.json, from which what is there already is not done again. Without runs: the table from ranks.json.
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

import scaseg
from experiments.placed import put
from scaseg.complexity.latency import Spread, interleaved
from scaseg.files import write_json
from scaseg.machine import processor_name
from scaseg.rank.options import RankConfig
from scaseg.rank.run import rank
from scaseg.report.statistics import summarise
from scaseg.runs.checkpoint import read_checkpoint
from scaseg.runs.folder import CHECKPOINTS
from scaseg.schema import Device, EvaluateConfig, Hardware
from scaseg.trained.inputs import find_inputs
from scaseg.training.evaluate import evaluate

HERE = Path(__file__).parent
KEPT = HERE / "ranks.json"
BUDGETS = (3.0, 2.0, 1.5, 1.0, 0.5, 0.0)
BY_ENERGY = (1.5, 1.0)
SIZE = (1024, 2048)
IMAGES = 8
ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """Of a run at a budget; by: what its channels were worth, none for the trained model itself."""

    run: str
    budget: float
    by: str
    seed: int
    ranks: list[list[int]] | None
    params: int
    miou: float
    share_of_time: float | None
    spread: tuple[float, float] | None
    machine: str

    @property
    def mean_rank(self) -> float:
        flat = [one for of_stage in self.ranks or () for one in of_stage]
        return sum(flat) / len(flat) if flat else self.budget


def figure(run: Path, data_dir: Path, budget: float, by: str) -> Figure:
    """Rank and evaluate."""
    with tempfile.TemporaryDirectory() as place:
        folder = run
        if by:
            images = [one.path for one in find_inputs(str(data_dir / "train")).inputs]
            options = RankConfig(
                str(run), budget, str(data_dir / "train"), IMAGES, by, f"{place}/ranked", hardware=Device("cpu", 1)
            )
            folder = rank(options, images[:: len(images) // IMAGES][:IMAGES])
        hardware = Hardware("cpu", num_workers=0, threads=1)
        result = evaluate(
            EvaluateConfig(
                str(folder), "val", data_dir=str(data_dir), pictures=0, output=f"{place}/of", hardware=hardware
            )
        )
        config = read_checkpoint(folder / CHECKPOINTS / "last.ckpt", "ckpt").run
        of_time = time_of(folder, run) if by else None
    assert result["mIoU"] is not None
    return Figure(
        run.name,
        budget,
        by,
        result["seed"],
        config.decoder.option("ranks"),
        result["params"],
        result["mIoU"],
        None if of_time is None else of_time.median,
        None if of_time is None else (of_time.lower, of_time.upper),
        processor_name(),
    )


def time_of(ranked: Path, run: Path) -> Spread:
    """Of the ranked decoder's pass, as a share of the trained one's, on the maps of a picture of SIZE; one thread."""
    torch.set_num_threads(1)
    models = [scaseg.load(folder).segmentor for folder in (ranked, run)]
    maps: list[Tensor] = []
    with torch.inference_mode():
        models[0](torch.rand(1, 3, *SIZE) * 255, maps)
        return interleaved(
            lambda: models[0].decoder(maps), lambda: models[1].decoder(maps), torch.device("cpu"), 1, ROUNDS
        ).ratio


def table(figures: list[Figure]) -> str:
    """A row a budget: means over the runs."""
    heads = ["budget", "by", "mean rank", "val mIoU", "difference to 8 channels, seed by seed", "decoder's time"]
    rows = ["| " + " | ".join(heads) + " |", "|--:|---|--:|--:|--:|--:|"]
    whole = {one.run: one.miou for one in figures if not one.by}
    for budget, by in sorted({(one.budget, one.by) for one in figures}, reverse=True):
        of_row = [one for one in figures if (one.budget, one.by) == (budget, by)]
        changes = [one.miou - whole[one.run] for one in of_row]
        change = f"{mean(changes):+.2f} ({', '.join(f'{x:+.2f}' for x in changes)})" if by else "–"
        shares = [one.share_of_time for one in of_row if one.share_of_time is not None]
        time = f"{mean(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})" if shares else "1"
        ranks = mean(one.mean_rank for one in of_row)
        cells = [
            f"{budget:g}",
            by or "as trained",
            f"{ranks:.2f}",
            summarise([one.miou for one in of_row]).text(),
            change,
            time,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    machines = sorted({one.machine for one in figures})
    return "\n".join([*rows, "", f"{len(whole)} runs; {', '.join(machines)}; torch {torch.__version__}.", ""])


def kept() -> list[Figure]:
    """What ranks.json holds."""
    return [Figure(**one) for one in json.loads(KEPT.read_text())] if KEPT.exists() else []


def main() -> None:
    """See above."""
    figures = kept()
    data, runs = Path(sys.argv[1]) if len(sys.argv) > 1 else None, [Path(one) for one in sys.argv[2:]]
    for run in runs:
        assert data is not None
        asked = [(8.0, ""), *((budget, "loss") for budget in BUDGETS), *((budget, "energy") for budget in BY_ENERGY)]
        for budget, by in asked:
            if any((one.run, one.budget, one.by) == (run.name, budget, by) for one in figures):
                continue
            figures.append(figure(run, data, budget, by))
            write_json(KEPT, [asdict(one) for one in figures])
    put(HERE / "README.md", {"ranks": table(figures)})


if __name__ == "__main__":
    main()

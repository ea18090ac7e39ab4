"""Two or more trained models on one split: figures, differences with confidence intervals, pictures."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scaseg.comparison import bootstrap, pictures
from scaseg.comparison.bootstrap import Floats, Interval, Measure
from scaseg.comparison.collect import Shown, Statistics, collect
from scaseg.comparison.measures import Settings, class_measure, measures
from scaseg.comparison.models import Contender, contenders, device_of, letters
from scaseg.comparison.page import file_name, page
from scaseg.data import draw
from scaseg.data.build import build_source
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.files import write_json
from scaseg.training.results import git_commit

log = logging.getLogger("scaseg")
LETTERS = tuple("abcdefgh")


def compare(options: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what `options` names (see scaseg/compare.py); writes the comparison's folder, returns its JSON."""
    asked = letters(options, LETTERS)
    if options["hardware"]["threads"]:
        torch.set_num_threads(options["hardware"]["threads"])
    models = contenders(asked, options["checkpoint"], device_of(options["hardware"]["accelerator"]))
    config = models[0].runs[0].config
    split = options["split"] or config["dataset"]["val_split"]
    source = build_source(config["dataset"], options["data_dir"] or config["data_dir"], split)
    if not source.labelled:
        raise UserError(f"split={split} has no masks: take one that has")
    names = [source.name(i) for i in range(len(source))]
    if unknown := [name for name in options["images"] if name not in names]:
        raise UserError(f"images={','.join(unknown)}: not in the split {split}, whose first is {names[0]}")
    folder = _folder(options["output"], models, split, options)
    settings = Settings(
        options["boundary_widths"],
        options["trimap_widths"],
        options["object_sizes"],
        options["calibration_bins"],
        Protocol.of(config["protocol"]).mean_over,
    )
    found, shown = collect(models, source, settings, options["pictures"], options["images"])
    drawn = bootstrap.weights(len(source), options["resamples"], options["seed"])
    result = {
        "status": "done",
        "dataset": config["dataset"]["name"],
        "split": split,
        "images": len(source),
        "settings": {
            **vars(settings),
            "mean_over": settings.mean_over.value,
            "resamples": options["resamples"],
            "level": options["level"],
        },
        "models": {model.letter: _model(model) for model in models},
        **_figures(models, found, settings, source.labels.names, drawn, options["level"]),
        "most_different": [
            {"image": item.name, "mIoU": dict(zip([m.letter for m in models], item.scores, strict=True))}
            for item in shown
        ],
        "git_commit": git_commit(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _draw(folder, models, shown, source.labels)
    (folder / "index.html").write_text(page(result, [item.name for item in shown]), encoding="utf-8")
    write_json(folder / "comparison.json", _finite(result))
    result["folder"] = str(folder)
    return result


def _folder(output: str | None, models: Sequence[Contender], split: str, options: Mapping[str, Any]) -> Path:
    if output is None:
        identity = [str(run.path) for model in models for run in model.runs]
        identity += [repr(value) for key, value in sorted(options.items()) if key not in (*LETTERS, "hardware")]
        digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:8]
        dataset = models[0].runs[0].config["dataset"]["name"]
        return Path("comparisons") / f"{dataset}-{split}-{digest}"
    if (Path(output) / "comparison.json").exists():
        raise UserError(f"output={output} holds a comparison already: name another folder")
    return Path(output)


def _model(model: Contender) -> dict[str, Any]:
    run = model.runs[0]
    return {
        "label": model.label,
        "backbone": run.config["backbone"]["name"],
        "decoder": run.config["decoder"]["name"],
        "params": sum(parameter.numel() for parameter in run.model.parameters()),
        "checkpoints": [str(run.path) for run in model.runs],
        "seeds": [run.config["seed"] for run in model.runs],
    }


def _figures(
    models: Sequence[Contender],
    found: Mapping[str, Sequence[Statistics]],
    settings: Settings,
    classes: Sequence[str],
    drawn: Floats,
    level: float,
) -> dict[str, Any]:
    """Every measure of every model, over its runs the mean, and the differences of all pairs."""
    named: list[tuple[str, str, Measure, bool]] = [
        ("measures", measure.name, measure.of, measure.more_is_better) for measure in measures(settings)
    ]
    named += [("per_class_iou", name, class_measure(i, settings), True) for i, name in enumerate(classes)]
    result: dict[str, Any] = {"measures": {}, "per_class_iou": {}}
    for kind, name, measure, more_is_better in named:
        values, samples = {}, {}
        entry: dict[str, Any] = {"more_is_better": more_is_better, "models": {}, "differences": {}}
        for model in models:
            runs = [bootstrap.total(statistics, measure) for statistics in found[model.letter]]
            values[model.letter] = float(np.mean(runs))
            samples[model.letter] = np.mean(
                [bootstrap.resampled(statistics, measure, drawn) for statistics in found[model.letter]], axis=0
            )
            entry["models"][model.letter] = {
                **_written(bootstrap.interval(values[model.letter], samples[model.letter], level)),
                "std_over_seeds": float(np.std(runs, ddof=1)) if len(runs) > 1 else None,
            }
        for one, other in combinations(values, 2):
            change = bootstrap.interval(values[other] - values[one], samples[other] - samples[one], level)
            entry["differences"][f"{other} - {one}"] = _written(change) | {"excludes_zero": change.excludes_zero}
        result[kind][name] = entry
    return result


def _written(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _finite(content: Any) -> Any:
    """NaN, which JSON does not have, as null."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content


def _draw(folder: Path, models: Sequence[Contender], shown: Sequence[Shown], labels: Any) -> None:
    titles = [model.label for model in models]
    for item in shown:
        draw.write_png(folder / file_name(item.name), pictures.sheet([item], labels, titles))
    if shown:
        draw.write_png(folder / "most_different.png", pictures.sheet(shown, labels, titles, enlarged=False))

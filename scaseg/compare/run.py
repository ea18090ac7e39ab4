"""Two or more trained models on one split: figures, differences with confidence intervals, pictures."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.compare import pictures
from scaseg.compare.collect import Shown, Statistics, collect
from scaseg.compare.contenders import Contender, found_in
from scaseg.compare.measures import Settings, class_measure, measures
from scaseg.compare.options import CompareConfig
from scaseg.compare.page import file_name, page
from scaseg.data import draw
from scaseg.data.build import groups_of
from scaseg.errors import UserError
from scaseg.evaluation.regions import image_terms
from scaseg.files import check_writable, write_json, write_text
from scaseg.progress import stage
from scaseg.runs.result import git_commit
from scaseg.statistics.crossed import Estimate, Measure, Sample, estimate, grouped, holm, sample, summed
from scaseg.typed import Json

INTERVALS = {
    True: "of seeds and images together",
    False: "of the images alone: low and high leave out what training again with other seeds would change",
}


def compare(options: CompareConfig) -> Json:
    """Compare what `options` names; writes the comparison's folder, returns its JSON."""
    if options.output is not None:
        _check_output(options.output)
    models, source = found_in(options)
    config, split = models[0].runs[0].config, source.split
    folder = _folder(models, split, options)
    settings = Settings(
        options.boundary_widths,
        options.trimap_widths,
        options.object_sizes,
        options.calibration_bins,
        config.protocol.mean_over,
    )
    pattern = options.groups or groups_of(config.dataset)
    groups = grouped([source.name(i) for i in range(len(source))], pattern)
    found, shown = collect(models, source, settings, options.pictures, options.images)
    with stage("leaving out each group of images"):
        figures = _figures(models, found, settings, source.labels.names, groups, options.level)
    result: Json = {
        "status": "done",
        "dataset": config.dataset.name,
        "split": split,
        "images": len(source),
        "settings": {
            **vars(settings),
            "mean_over": settings.mean_over.value,
            "level": options.level,
            "groups": pattern,
        },
        "groups": int(groups.max()) + 1,
        "intervals": INTERVALS[_several(models, found)],
        "models": {model.letter: _model(model) for model in models},
        **figures,
        "most_different": [
            {"image": item.name, "mIoU": dict(zip([m.letter for m in models], item.scores, strict=True))}
            for item in shown
        ],
        "git_commit": git_commit(),
    }
    result = _finite(result)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _draw(folder, models, shown, source.labels)
        write_text(folder / "index.html", page(result))
        write_json(folder / "comparison.json", result)
    except OSError as error:
        raise UserError(f"output={folder} cannot be written ({error.strerror}): name another folder") from error
    return {**result, "folder": str(folder)}


def _check_output(output: str) -> None:
    if (Path(output) / "comparison.json").exists():
        raise UserError(f"output={output} holds a comparison already: name another folder")
    if Path(output).is_file():
        raise UserError(f"output={output} is a file: name a folder")
    check_writable("output", Path(output))


def _folder(models: Sequence[Contender], split: str, options: CompareConfig) -> Path:
    """The folder that is asked for, else one named after what is compared, and how."""
    if options.output is not None:
        return Path(options.output)
    identity = [str(run.path) for model in models for run in model.runs]
    identity += [repr(value) for key, value in sorted(vars(options).items()) if key not in ("ckpt", "hardware")]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:8]
    dataset = models[0].runs[0].config.dataset.name
    folder = Path("comparisons") / f"{dataset}-{split}-{digest}"
    check_writable("output", folder)
    return folder


def _model(model: Contender) -> Json:
    run = model.runs[0]
    return {
        "label": model.label,
        "backbone": run.config.backbone.name,
        "decoder": run.config.decoder.name,
        "params": sum(parameter.numel() for parameter in run.segmentor.parameters()),
        "checkpoints": [str(run.path) for run in model.runs],
        "seeds": [run.config.seed for run in model.runs],
    }


def _figures(
    models: Sequence[Contender],
    found: Mapping[str, Sequence[Statistics]],
    settings: Settings,
    classes: Sequence[str],
    groups: npt.NDArray[np.int64],
    level: float,
) -> Json:
    """Every measure of every model, over its runs the mean, and the differences of all pairs."""
    claims = _several(models, found)
    sums = {
        letter: [summed({**one, **image_terms(one["region"])}, groups) for one in runs]
        for letter, runs in found.items()
    }
    named: list[tuple[str, str, Measure, bool]] = [
        ("measures", measure.name, measure.of, measure.more_is_better) for measure in measures(settings)
    ]
    named += [("per_class_iou", name, class_measure(i, settings), True) for i, name in enumerate(classes)]
    result: Json = {"measures": {}, "per_class_iou": {}}
    for kind, name, measure, more_is_better in named:
        samples: dict[str, Sample] = {}
        entry: Json = {"more_is_better": more_is_better, "models": {}, "differences": {}}
        for model in models:
            one = samples[model.letter] = sample(sums[model.letter], measure)
            entry["models"][model.letter] = {
                **_written(estimate(one, level)),
                "std_over_seeds": float(np.std(one.values, ddof=1)) if len(one.values) > 1 else None,
            }
        changes = {
            f"{second} - {first}": estimate(samples[second], level, samples[first])
            for first, second in combinations(samples, 2)
        }
        corrected = holm([change.p_value for change in changes.values()])
        for pair, change, p_value in zip(changes, changes.values(), corrected, strict=True):
            entry["differences"][pair] = _written(change)
            if claims:
                better = change.better if more_is_better else 1 - change.better
                entry["differences"][pair] |= {"better": better, "p_holm": p_value}
        result[kind][name] = entry
    return result


def _several(models: Sequence[Contender], found: Mapping[str, Sequence[Statistics]]) -> bool:
    """Whether every model has several seeds: of one, what training again would give is not known."""
    return all(len(found[model.letter]) > 1 for model in models)


def _written(found: Estimate) -> Json:
    """As JSON has it."""
    return {"value": found.value, "low": found.low, "high": found.high}


def _finite(content: Any) -> Any:
    """NaN, which JSON does not have, as null."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content


def _draw(folder: Path, models: Sequence[Contender], shown: Sequence[Shown], labels: Any) -> None:
    titles = [model.label for model in models]
    for place, item in enumerate(shown):
        draw.write_png(folder / file_name(place, item.name), pictures.sheet([item], labels, titles))
    if shown:
        draw.write_png(folder / "most_different.png", pictures.sheet(shown, labels, titles, enlarged=False))

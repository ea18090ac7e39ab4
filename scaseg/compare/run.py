"""Two or more trained models on one split: figures, differences with confidence intervals, pictures."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.compare import pictures
from scaseg.compare.collect import Statistics, collect
from scaseg.compare.compared import Compared
from scaseg.compare.contenders import Contender, found_in
from scaseg.compare.measures import Settings, class_measure, measures
from scaseg.compare.options import CompareConfig
from scaseg.compare.page import file_name, page
from scaseg.compare.recorded import of_records, recorded
from scaseg.data import draw
from scaseg.data.build import groups_of
from scaseg.data.source import Source
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
    records = recorded(options)
    if records is None:
        models, source = found_in(options)
        config, split = models[0].runs[0].config, source.split
        paths = [str(run.path) for model in models for run in model.runs]
    else:
        first = next(iter(records.values()))[0]
        config, split = first.config, first.result["split"]
        paths = [str(one.folder) for runs in records.values() for one in runs]
    folder = _folder(paths, config.dataset.name, split, options)
    settings = Settings(
        options.boundary_widths,
        options.trimap_widths,
        options.object_sizes,
        options.calibration_bins,
        config.protocol.mean_over,
    )
    pattern = options.groups or groups_of(config.dataset)
    if records is None:
        groups = grouped([source.name(i) for i in range(len(source))], pattern)  # before the images are looked at
        compared = _looked_at(models, source, settings, options)
    else:
        compared = of_records(records)
        groups = grouped(compared.names, pattern)
    with stage("leaving out each group of images"):
        figures = _figures(compared, settings, groups, options.level)
    result: Json = {
        "status": "done",
        "dataset": config.dataset.name,
        "split": split,
        "images": len(compared.names),
        "settings": {
            **vars(settings),
            "mean_over": settings.mean_over.value,
            "level": options.level,
            "groups": pattern,
        },
        "groups": int(groups.max()) + 1,
        "intervals": INTERVALS[_several(compared.found)],
        "from_counts": records is not None,
        "models": compared.models,
        **figures,
        "most_different": [
            {"image": item.name, "mIoU": dict(zip(compared.models, item.scores, strict=True))}
            for item in compared.shown
        ],
        "git_commit": git_commit(),
    }
    result = _finite(result)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _draw(folder, compared)
        write_text(folder / "index.html", page(result))
        write_json(folder / "comparison.json", result)
    except OSError as error:
        raise UserError(f"output={folder} cannot be written ({error.strerror}): name another folder") from error
    return {**result, "folder": str(folder)}


def _looked_at(models: Sequence[Contender], source: Source, settings: Settings, options: CompareConfig) -> Compared:
    """By the models, image by image."""
    found, shown = collect(models, source, settings, options.pictures, options.images)
    names = [source.name(i) for i in range(len(source))]
    told = {model.letter: _model(model) for model in models}
    config = models[0].runs[0].config
    return Compared(config, source.split, names, source.labels.names, told, found, shown, source.labels)


def _check_output(output: str) -> None:
    if (Path(output) / "comparison.json").exists():
        raise UserError(f"output={output} holds a comparison already: name another folder")
    if Path(output).is_file():
        raise UserError(f"output={output} is a file: name a folder")
    check_writable("output", Path(output))


def _folder(paths: Sequence[str], dataset: str, split: str, options: CompareConfig) -> Path:
    """The folder that is asked for, else one named after what is compared, and how."""
    if options.output is not None:
        return Path(options.output)
    identity = [*paths]
    identity += [repr(value) for key, value in sorted(vars(options).items()) if key not in ("ckpt", "hardware")]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:8]
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


def _figures(compared: Compared, settings: Settings, groups: npt.NDArray[np.int64], level: float) -> Json:
    """Every measure of every model, over its runs the mean, and the differences of all pairs."""
    claims = _several(compared.found)
    sums = {
        letter: [summed({**one, **image_terms(one["region"])}, groups) for one in runs]
        for letter, runs in compared.found.items()
    }
    kinds = {kind for runs in compared.found.values() for kind in runs[0]}
    named: list[tuple[str, str, Measure, bool]] = [
        ("measures", one.name, one.of, one.more_is_better) for one in measures(settings) if one.needs in kinds
    ]
    named += [("per_class_iou", name, class_measure(i, settings), True) for i, name in enumerate(compared.classes)]
    result: Json = {"measures": {}, "per_class_iou": {}}
    for kind, name, measure, more_is_better in named:
        samples: dict[str, Sample] = {}
        entry: Json = {"more_is_better": more_is_better, "models": {}, "differences": {}}
        for letter in compared.models:
            one = samples[letter] = sample(sums[letter], measure)
            entry["models"][letter] = {
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


def _several(found: Mapping[str, Sequence[Statistics]]) -> bool:
    """Whether every model has several seeds: of one, what training again would give is not known."""
    return all(len(runs) > 1 for runs in found.values())


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


def _draw(folder: Path, compared: Compared) -> None:
    titles = [str(model["label"]) for model in compared.models.values()]
    if not compared.shown or compared.labels is None:
        return
    for place, item in enumerate(compared.shown):
        draw.write_png(folder / file_name(place, item.name), pictures.sheet([item], compared.labels, titles))
    sheet = pictures.sheet(compared.shown, compared.labels, titles, enlarged=False)
    draw.write_png(folder / "most_different.png", sheet)

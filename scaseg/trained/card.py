"""The model card: front matter as the hub reads it, then data, protocol, figures and use, from result.json alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from scaseg.data.build import dataset_class
from scaseg.evaluation.protocol import Protocol
from scaseg.form import Form
from scaseg.models.build import normalisation
from scaseg.runs.result import Result
from scaseg.schema import Run
from scaseg.trained.model import TrainedModel
from scaseg.trained.stored import About
from scaseg.typed import Json, Part, from_plain

UNKNOWN = "not recorded"


def model_card(model: TrainedModel) -> str:
    """README.md of a saved folder."""
    config, about = model.config, model.about
    dataset, backbone, decoder = config.dataset.name, config.backbone.name, config.decoder.name
    results, form = about.get("results", []), model.form
    params = sum(p.numel() for p in model.segmentor.parameters())
    lines = [
        "---",
        yaml.safe_dump(_front_matter(model, dataset, f"{backbone}-{decoder}", results), sort_keys=False).rstrip(),
        "---",
        "",
        f"# {backbone} with the {decoder} decoder, trained on {dataset}",
        "",
        f"Semantic segmentation into {len(model.classes)} classes, {params / 1e6:.2f} M parameters, by the `scaseg`"
        " framework (SCASeg: Strip Cross-Attention for Efficient Semantic Segmentation, IEEE TIP 2026,"
        " 10.1109/TIP.2026.3688157).",
        "",
        "## Use",
        "",
        "```python",
        "import scaseg",
        "",
        'model = scaseg.load("this folder")',
        f'labels = model.predict("{"image.jpg" if form.is_rgb else "image.tif"}")  # (H, W), numbers of model.classes',
        "picture = model.colours[labels]  # (H, W, 3)",
        "```",
        "",
        f"With transformers, where `scaseg` is installed too; images (B, {form.channels}, H, W) are {_numbers(form)},"
        " which the model normalises:",
        "",
        "```python",
        "from transformers import AutoModelForSemanticSegmentation",
        "",
        'model = AutoModelForSemanticSegmentation.from_pretrained("this folder", trust_remote_code=True)',
        "logits = model(pixel_values=images).logits  # (B, K, H / 4, W / 4)",
        "```",
        "",
        *_decision(model),
        "## Training",
        "",
        *_training(config, about),
        "",
        "## Figures",
        "",
        *(_figures(results) or ["No result.json lay beside the checkpoint: no figures are known."]),
        "",
        "## Classes",
        "",
        "| id | class | colour |",
        "|--:|---|---|",
        *(
            f"| {i} | {name} | #{r:02x}{g:02x}{b:02x} |"
            for i, (name, (r, g, b)) in enumerate(zip(model.classes, model.colours.tolist(), strict=True))
        ),
        "",
        "## Terms",
        "",
        f"- data: {getattr(dataset_class(config.dataset), 'terms', UNKNOWN)}",
        f"- start: {_start(config)}",
        "- licence of these weights: to be stated by who publishes them (`license` above is `other` until then)",
        "",
    ]
    return "\n".join(lines)


def _decision(model: TrainedModel) -> list[str]:
    """Where labels are not the classes of the highest logits, what they are."""
    asked = zip(model.classes[len(model.classes) - len(model.thresholds) :], model.thresholds, strict=True)
    told = [f"A pixel is `{name}` where its logit's sigmoid is {value:.4g} or more." for name, value in asked]
    return [*told, ""] if told else []


def _front_matter(model: TrainedModel, dataset: str, name: str, results: Sequence[Result]) -> Json:
    matter: Json = {
        "library_name": "scaseg",
        "pipeline_tag": "image-segmentation",
        "license": "other",
        "license_name": "see-terms-below",
        "tags": ["semantic-segmentation", "scaseg", "pytorch"],
        "datasets": [dataset],
        "metrics": ["mean_iou"],
    }
    results = [result for result in results if not _trained_on(result) and result["mIoU"] is not None]
    if results:
        matter["model-index"] = [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-segmentation"},
                        "dataset": {"type": dataset, "name": dataset, "split": result["split"]},
                        "metrics": [
                            {"type": "mean_iou", "name": "mIoU (percent)", "value": round(result["mIoU"] or 0.0, 2)}
                        ],
                    }
                    for result in results
                ],
            }
        ]
    return matter


def _training(config: Run, about: About) -> list[str]:
    recipe, dataset = config.training, config.dataset
    first = next(iter(about.get("results", [])), None)
    versions = (first["versions"] if first and "versions" in first else None) or {}
    commit = first.get("git_commit") if first else None
    mean, std = normalisation(config.backbone, dataset.form)
    seen = f"mean {mean}, std {std} of {_numbers(dataset.form)}"
    if not recipe.max_steps:
        return [f"Not trained here: {_start(config)}, evaluated as they are (normalisation: {seen})."]
    return [
        f"- data: {dataset.name}, split {dataset.train_split}, seed {config.seed}"
        + "".join(f"; for each sample of it {one.weight:g} of `{Path(one.data_dir).name}`" for one in config.more_data),
        f"- step {about.get('step', UNKNOWN)} of {recipe.max_steps}, {recipe.batch_size} crops of"
        f" {' x '.join(map(str, config.augment.crop_size))} (height x width) each",
        f"- optimizer {_said(config.optimizer)}, learning rate {recipe.lr} (decoder x {recipe.decoder_lr_mult}),"
        f" weight decay {recipe.weight_decay}, warm-up {recipe.warmup_steps} steps, schedule {_said(config.schedule)}",
        f"- loss: {_said(config.loss)}",
        f"- start: {_start(config)}",
        *([f"- teacher: `{weights_name(config.teacher)}`, {_said(config.distillation)}"] if config.teacher else []),
        f"- normalisation: {seen}",
        f"- code: {commit or UNKNOWN}; "
        + (", ".join(f"{name} {version}" for name, version in versions.items() if version) or "versions not recorded"),
    ]


def _numbers(form: Form) -> str:
    """What an image's numbers are."""
    if form.is_rgb:
        return "RGB on 0..255"
    return f"{form.in_words} as files store them" + (f" ({', '.join(form.names)})" if form.names else "")


def _said(parts: Mapping[str, Part]) -> str:
    """The choices of a group with what their classes are told."""
    shown = []
    for name, part in parts.items():
        values = ", ".join(f"{key} {value}" for key, value in part.arguments().items() if value is not None)
        shown.append(f"{name} ({values})" if values else name)
    return " + ".join(shown)


def _start(config: Run) -> str:
    backbone = config.backbone
    if config.weights:
        return f"the whole model's weights from `{weights_name(config.weights)}`"
    if backbone.weights:
        return f"ImageNet weights of the encoder from `{weights_name(backbone.weights)}`"
    return "timm's ImageNet weights of the encoder" if backbone.pretrained else "random weights"


def weights_name(source: str) -> str:
    """What to call weights away from the machine of training: the file's name, of a run's checkpoint RUN/FILE."""
    parts = source.partition("#")[0].split("/")
    return f"{parts[-3]}/{parts[-1]}" if parts[-2:-1] == ["checkpoints"] and len(parts) > 2 else parts[-1]


def _trained_on(result: Result) -> int | None:
    """How many of a result's images were trained on; None where that is not known."""
    return result.get("evaluated_images_trained_on", result.get("images_trained_on"))


def _figures(results: Sequence[Result]) -> list[str]:
    lines: list[str] = []
    for result in results:
        way, seen = from_plain(Protocol, result["protocol"]).in_words, _trained_on(result)
        if result["mIoU"] is None or result["per_class"] is None:
            lines += [f"Split `{result['split']}`, {way}: nothing to score.", ""]
            continue
        lines += [
            f"Split `{result['split']}`, {way}: mIoU {result['mIoU']:.2f}, pixel accuracy"
            f" {result['pixel_accuracy']:.2f}, mean accuracy {result['mean_accuracy']:.2f} (percent)."
            + (f" {seen} of these images were trained on: this says nothing of others." if seen else ""),
            "",
            "| class | IoU |",
            "|---|--:|",
        ]
        for name, figures in result["per_class"].items():
            lines.append(f"| {name} | {'absent' if figures['iou'] is None else format(figures['iou'], '.2f')} |")
        lines.append("")
    return lines[:-1]

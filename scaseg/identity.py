"""What of a configuration determines a run's result, and so its name; what does not, and what came later."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from scaseg.typed import Json

NOT_IDENTITY = (
    *("data_dir", "output_dir", "hardware", "logger", "ckpt_path", "fresh", "retry"),
    *("pictures", "records", "metrics"),
    "class_pixels",  # they follow from the data
)
# Keys that came after runs had names, and the value at which a run is what it was without them: then they are no part
# of its name. `*` stands for any name.
LATER: dict[str, object] = {
    "augment.before": [],
    "backbone.ffn_channels": None,
    "backbone.freeze": None,
    "backbone.hidden_channels": None,
    "decoder.classifier": "conv",
    "decoder.ffn_channels": None,
    "decoder.lpm_channels": None,
    "decoder.ranks": None,
    "decoder.value_channels": None,
    "training.encoder_lr_decay": 1.0,
    "training.encoder_lr_decay_by": "stage",
    "training.max_epochs": None,
    "training.max_time": None,
    "loss.cross_entropy.label_smoothing": 0.0,
    "loss.dice.classes": "all",
    "task": "semantic",
    "callbacks": {},
    "teacher": None,
    "distillation": {},
    "more_data": [],
    "protocol.key_ratio": 1,
    "dataset.channels": 3,
    "dataset.dtype": "uint8",
    "dataset.mean": None,
    "dataset.std": None,
}
UNSEEN = ("groups", "channel_names", "show_channels")  # of a dataset's options those that change nothing learned
IN_STEPS = ("max_steps", "val_every")
MORE = "more_data"


def identity(plain: Json, fingerprints: Mapping[str, str]) -> Json:
    """Of a run's configuration as plain values: of files their fingerprints count, not where they lie."""
    left = {key: value for key, value in plain.items() if key not in NOT_IDENTITY}
    left["dataset"] = {key: value for key, value in left["dataset"].items() if key not in UNSEEN}
    left[MORE] = [
        {"weight": one["weight"], "mask_pixels": one["mask_pixels"], "data": fingerprints.get(f"{MORE}.{number}")}
        for number, one in enumerate(plain.get(MORE, []))
    ]
    for key, digest in fingerprints.items():
        part, _, option = key.partition(".")
        if option and part != MORE:
            left[part] = {**left[part], option: digest}
        elif key in ("weights", "teacher"):
            left[key] = digest
    if left["training"]["max_epochs"] is not None:  # steps follow from it and from the data
        left["training"] = {key: value for key, value in left["training"].items() if key not in IN_STEPS}
    return without_later(left)


def without_later(plain: Json, within: str = "") -> Json:
    """Plain values without the keys of LATER that are at the values there; within: the keys that lead to them."""
    left: Json = {}
    for key, value in plain.items():
        name = f"{within}{key}"
        if not any(fnmatchcase(name, pattern) and value == default for pattern, default in LATER.items()):
            left[key] = without_later(value, f"{name}.") if isinstance(value, dict) else value
    return left

"""Configurations that earlier versions wrote, in checkpoints and run folders, as this one has them."""

from collections.abc import Mapping, Sequence
from typing import cast

from scaseg.errors import UserError
from scaseg.identity import LATER
from scaseg.schema import Run
from scaseg.typed import Plain, Yaml, from_plain

# of LATER those that one choice of ours alone has, which does without them
_OF_ONE = {
    *("backbone.ffn_channels", "backbone.hidden_channels"),
    *("decoder.ranks", "decoder.ffn_channels", "decoder.lpm_channels", "decoder.value_channels"),
}
_CROSS_ENTROPY = {"_target_": "scaseg.losses.cross_entropy.CrossEntropy", "name": "cross_entropy", "weight": 1.0}
_DICE = {"_target_": "scaseg.losses.dice.Dice", "name": "dice", "smooth": 1.0}
_ADAMW = {"_target_": "torch.optim.AdamW", "name": "adamw"}
_POLY = {"_target_": "scaseg.schedules.poly.Poly", "name": "poly"}
_WANDB = {"_target_": "scaseg.training.loggers.wandb.WandbLog"}


def read_config(plain: Plain) -> Run:
    """A run's configuration as some version wrote it; what earlier ones did not know is as it was for them.

    Raises UserError where it is none.
    """
    if lacking := [part for part in ("backbone", "decoder", "dataset") if not isinstance(plain.get(part), Mapping)]:
        raise UserError(f"no configuration of a run: it has no {', '.join(lacking)}")
    training = plain.get("training", {})
    if training.get("ema_decay") is not None and "ema_warmup" not in training:
        plain = {**plain, "training": {**training, "ema_warmup": False}}
    return from_plain(Run, _with_later(plain if "optimizer" in plain else _with_groups(plain)))


def _with_later(plain: Plain) -> Yaml:
    """With the options that choices of ours have come by since, at the values which they had without being named."""
    filled = dict(plain)
    for key, default in LATER.items():
        parent, _, option = key.rpartition(".")
        if parent == "dataset" or key in _OF_ONE:
            continue
        filled = _at(filled, parent.split("."), option, default)
    return filled


def _at(plain: Plain, path: Sequence[str], option: str, default: object) -> Yaml:
    if not path:
        ours = str(plain.get("_target_", "")).startswith("scaseg.")
        return {option: default, **plain} if ours else dict(plain)
    within = plain.get(path[0])
    return {**plain, path[0]: _at(within, path[1:], option, default)} if isinstance(within, Mapping) else dict(plain)


def _with_groups(plain: Plain) -> Yaml:
    """Loss, optimizer, schedule and logger were keys of one recipe before they were groups, `weights` the decoder's."""
    training = plain.get("training", {})
    loss, logger = dict(training.get("loss", {})), cast("Plain", plain.get("logger", {}))
    dice = loss.pop("dice", 0.0)
    own = {"class_weights": None, "average": "labelled", "ohem": False, "ohem_threshold": 0.7, "ohem_min_kept": 100_000}
    terms: Yaml = {"cross_entropy": {**_CROSS_ENTROPY, **own, **loss}}
    if dice:
        terms["dice"] = {**_DICE, "weight": dice}
    decoder = dict(plain["decoder"])
    weights = {key: decoder.pop(key, None) for key in ("weights", "weights_sha256")}
    return {
        **plain,
        **weights,
        "decoder": decoder,
        "loss": terms,
        "optimizer": {"adamw": {**_ADAMW, "betas": list(training.get("betas", (0.9, 0.999)))}},
        "schedule": {"poly": {**_POLY, "power": training.get("poly_power", 1.0)}},
        "logger": {"wandb": {**_WANDB, **logger}} if logger.get("name") == "wandb" else {},
    }

"""Configurations as Hydra composes them, made into typed ones. Imports nothing heavy."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.choices import CONF_DIR
from scaseg.data.augment import Augment
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Mode, Protocol
from scaseg.parts import (
    Backbone,
    CallbackPart,
    DatasetPart,
    Decoder,
    DistillationPart,
    Logger,
    LossTerm,
    Optimizer,
    Schedule,
)
from scaseg.schema import EvaluateConfig, Hardware, Run, Settings, Training, check_trainable
from scaseg.typed import Checked, Part, Yaml

Kind = TypeVar("Kind")
Chosen = TypeVar("Chosen", bound=Part)


@dataclass
class Choices:
    """The choices of a run's groups, before they are its parts."""

    backbone: Yaml = MISSING
    decoder: Yaml = MISSING
    dataset: Yaml = MISSING
    lpm: str = MISSING  # for the decoders that have one, which take it from here
    classifier: str = MISSING  # the same of what decoders end in
    loss: Yaml = MISSING  # by name, as the three below: those without a _target_ were not chosen
    optimizer: Yaml = MISSING
    schedule: Yaml = MISSING
    distillation: Yaml = field(default_factory=dict)  # with a teacher
    logger: Yaml = field(default_factory=dict)
    callbacks: Yaml = field(default_factory=dict)


@dataclass
class TrainConfig(Settings, Choices):
    """What python -m scaseg.train takes."""


@dataclass
class DataConfig(Checked):
    """A dataset's YAML and where its files are: what commands about data alone take."""

    dataset: Yaml = MISSING
    augment: Augment = field(default_factory=Augment)
    protocol: Protocol = field(default_factory=Protocol)
    training: Training = field(default_factory=Training)
    loss: Yaml = field(default_factory=dict)  # of the recipe, as the three below, which commands about data pass over
    optimizer: Yaml = field(default_factory=dict)
    schedule: Yaml = field(default_factory=dict)
    hardware: Hardware = field(default_factory=Hardware)
    data_dir: str | None = None

    @property
    def part(self) -> DatasetPart:
        """The dataset's choice."""
        return DatasetPart(self.dataset)


def register(command: str, kind: type) -> None:
    """Make a command's keys known to Hydra, as COMMAND_schema; harmless when repeated."""
    node = OmegaConf.structured(kind)
    for one in fields(kind):
        if one.name == "protocol" and one.type is not Protocol:
            OmegaConf.set_struct(node.protocol, False)  # changes: protocol.KEY=... and not +protocol.KEY=...
    ConfigStore.instance().store(name=f"{command}_schema", node=node)


register("train", TrainConfig)
register("evaluate", EvaluateConfig)


def compose(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The config that `python -m scaseg.<command> <overrides>` would see; for train, checked."""
    inside_command = GlobalHydra.instance().is_initialized()  # then the same configs are at hand already
    with nullcontext() if inside_command else initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = hydra_compose(command, overrides=list(overrides))
    if command == "train":
        check_trainable(run_config(cfg))
    return cfg


def typed(cfg: DictConfig, kind: type[Kind]) -> Kind:
    """A composed config as the dataclass of its keys, which checks them; Hydra's own part is left out.

    Raises UserError, and OmegaConf's errors for what is of another type.
    """
    plain = cast("Yaml", OmegaConf.to_container(cfg, resolve=True))
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    merged = OmegaConf.merge(OmegaConf.structured(kind), {key: plain[key] for key in plain if key in known})
    return cast("Kind", OmegaConf.to_object(merged))


def run_config(cfg: DictConfig) -> Run:
    """The run that a composed config of scaseg.train, or of a command that takes its keys, asks for."""
    return run_of(typed(cfg, TrainConfig))


def run_of(asked: TrainConfig) -> Run:
    """The run that the keys of scaseg.train ask for; UserError where they do not go together."""
    settings = {one.name: getattr(asked, one.name) for one in fields(Settings)}
    return Run(
        **settings,
        backbone=Backbone(asked.backbone),
        decoder=Decoder(asked.decoder),
        dataset=DatasetPart(asked.dataset),
        loss=_chosen(asked.loss, LossTerm),
        optimizer=_chosen(asked.optimizer, Optimizer, one="optimizer"),
        schedule=_chosen(asked.schedule, Schedule, one="schedule"),
        distillation=_chosen(asked.distillation, DistillationPart),
        logger=_chosen(asked.logger, Logger),
        callbacks=_chosen(asked.callbacks, CallbackPart),
    )


def _chosen(given: Yaml, kind: type[Chosen], one: str = "") -> dict[str, Chosen]:
    """The choices of a group, by name: what experiments say of others is for when these are chosen."""
    chosen = {name: kind({"name": name, **values}) for name, values in given.items() if values and "_target_" in values}
    if one and len(chosen) != 1:
        raise UserError(f"{one}={','.join(chosen) or 'null'}: exactly one is to be chosen")
    return chosen


def image_size(protocol: Protocol, augment: Augment, asked: Sequence[int] | None = None) -> tuple[int, int]:
    """(height, width) a model is counted and timed at: what is asked, else the box of sliding windows, else the crop.

    So 512 x 512 for ADE20K, COCO-Stuff and VOC, 1024 x 2048 for Cityscapes, as in the paper.
    """
    if asked:
        size = list(asked)
    elif protocol.mode is Mode.slide and protocol.box:
        size = [min(protocol.box), max(protocol.box)]
    else:
        size = augment.crop_size
    if len(size) != 2 or min(size) < 32:
        raise UserError(f"image_size={size}: (height, width) in pixels, each at least 32")
    return size[0], size[1]


def merge_protocol(saved: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """A checkpoint's protocol with changes; UserError where they do not fit."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(saved), dict(changes))
    except OmegaConfBaseException as error:
        raise UserError(f"protocol: {error}") from error
    return cast("Protocol", OmegaConf.to_object(merged))

"""What can be known to go wrong, or to count for nothing, before the first step of a run."""

import logging
import time
from collections.abc import Iterator
from itertools import chain

import torch
from torch import nn
from torch.func import functional_call

from scaseg.data.augment import Augment
from scaseg.data.folder import FolderDataset
from scaseg.data.image_folder import ImageFolder
from scaseg.data.mixture import Mixture
from scaseg.data.source import Source
from scaseg.data.survey import survey
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Mode
from scaseg.models.segmentor import Segmentor
from scaseg.runs.asked import Asked
from scaseg.schema import DecayBy, Run

log = logging.getLogger("scaseg")
MOST_MASKS, MOST_SECONDS = 2_000, 5.0  # looked at before a training


def check_data(run: Asked) -> None:
    """Raise UserError where there is nothing to learn or to score; say which classes train has no pixel of."""
    _check_more(run)
    for name, source in (("train", run.train), ("val", run.val)):
        if not isinstance(source, FolderDataset):
            continue
        _check_sizes(source)
        found = survey(source, MOST_MASKS, seconds=MOST_SECONDS)
        all_seen = found.seen == found.masks or not found.absent
        if all_seen and len(found.present) < (2 if name == "train" else 1):
            raise UserError("\n".join(found.sentences()))
        for term, part in run.config.loss.items() if name == "train" and all_seen else ():
            weights = part.class_weights
            if weights is None or any(weights[i] for i in found.present):
                continue
            raise UserError(
                f"loss.{term}.class_weights={weights} leaves out every class that the train split's masks hold:"
                f" {', '.join(source.labels.names[i] for i in found.present)}"
            )
        if name == "train" and (all_seen or found.own):
            for sentence in found.sentences():
                log.warning(sentence)


def _check_more(run: Asked) -> None:
    """Raise UserError where one of the further folders teaches nothing."""
    for one, source in zip(run.config.more_data, run.more, strict=True):
        assert isinstance(source, FolderDataset)
        _check_sizes(source)
        found = survey(source, MOST_MASKS, seconds=MOST_SECONDS)
        if found.seen == found.masks and not found.present:
            raise UserError(
                f"more_data, {one.data_dir}: no pixel of its {found.masks} masks is labelled, so nothing is learned of"
                " them; of predicted ones a lower confidence= keeps more"
            )


def drawn_from(run: Asked) -> Iterator[str]:
    """In which proportion training draws from its split and from further folders."""
    if run.train is not None and run.more:
        more = run.config.more_data
        called = [f"{run.config.dataset.name}'s {run.train.split}", *(one.data_dir for one in more)]
        mixture = Mixture([run.train, *run.more], [one.weight for one in more])
        of_each = zip(mixture.shares, called, mixture.sources, strict=True)
        shown = ", ".join(f"{share:.1%} of {name} ({len(source)} images)" for share, name, source in of_each)
        yield f"of the training samples are {shown}"


def _check_sizes(source: FolderDataset) -> None:
    """Of all pairs that headers tell of in a few seconds; says which pixels masks belong to where EXIF turns images."""
    end, turned = time.monotonic() + MOST_SECONDS, 0
    for i in range(len(source)):
        turned += source.check_size(i) > 1
        if time.monotonic() > end:
            break
    if turned and isinstance(source, ImageFolder):
        log.info(
            "%d images of the %s split are turned by EXIF: their masks are taken to lie on the %s pixels"
            " (dataset.mask_pixels)",
            *(turned, source.split, source.mask_pixels),
        )


def check_batch(config: Run, model: Segmentor) -> None:
    """Raise UserError where a training step cannot be taken: a BatchNorm needs two numbers of a channel."""
    recipe, hardware = config.training, config.hardware
    world = hardware.world_size
    per_device, _ = recipe.accumulation(world)
    norms = (nn.modules.batchnorm._BatchNorm,)
    if per_device > 1 or not any(isinstance(module, norms) for module in model.modules()):
        return
    if world > 1 and recipe.sync_batchnorm and synchronises(config):
        return
    height, width = config.augment.crop_size
    shapes = {name: tensor.to("meta") for name, tensor in chain(model.named_parameters(), model.named_buffers())}
    try:
        with torch.no_grad():
            functional_call(model, shapes, (torch.empty(per_device, model.in_channels, height, width, device="meta"),))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # torch's words
            raise
        raise UserError(
            f"one crop of {height} x {width} leaves a BatchNorm of backbone={config.backbone.name}"
            f" decoder={config.decoder.name} a single number of a channel, of which there is no variance: give"
            " training.batch_size_per_device=2 or more (training.batch_size is the total), or a larger"
            " augment.crop_size"
        ) from error
    except NotImplementedError:  # an operator of the user's that cannot tell shapes without numbers
        return


def synchronises(config: Run) -> bool:
    """Whether the devices can share their batches' statistics: torch's SyncBatchNorm is for GPUs alone."""
    return config.hardware.accelerator != "cpu" and torch.cuda.is_available()


def say_ignored(config: Run, source: Source) -> None:
    """Warn of each setting that was asked for and does nothing in this run."""
    for text in _ignored(config, source):
        log.warning(text)


def _ignored(config: Run, source: Source) -> Iterator[str]:
    recipe, hardware, protocol = config.training, config.hardware, config.protocol
    backbone = config.backbone
    world = hardware.world_size
    if world > 1 and recipe.sync_batchnorm and not synchronises(config):
        yield (
            "training.sync_batchnorm=true does nothing on CPUs, where torch has no SyncBatchNorm: each of the"
            f" {world} processes takes the statistics of its own part of a batch"
        )
    if not config.dataset.form.is_rgb and config.augment.photometric and config.augment.hue != Augment().hue:
        yield f"augment.hue={config.augment.hue} does nothing: {config.dataset.form.in_words} have no hue"
    if config.more_data and not recipe.max_steps:
        yield "more_data does nothing with training.max_steps=0, which trains on nothing"
    on_disk = isinstance(source, FolderDataset)
    if hardware.cache is not None and not on_disk:
        yield f"hardware.cache={hardware.cache} does nothing: dataset={config.dataset.name} has no files"
    if config.data_dir is not None and not on_disk:
        yield f"data_dir={config.data_dir} is not read: dataset={config.dataset.name} has no files"
    if protocol.mode is Mode.whole and (protocol.window or protocol.stride):
        yield "protocol.window and protocol.stride do nothing with protocol.mode=whole: protocol.mode=slide uses them"
    if recipe.encoder_lr_decay_by is DecayBy.layer and recipe.encoder_lr_decay == 1:
        yield "training.encoder_lr_decay_by=layer does nothing with training.encoder_lr_decay=1"
    if config.weights and (backbone.weights or backbone.pretrained):
        given = "backbone.weights" if backbone.weights else "backbone.pretrained"
        yield f"{given} does nothing beside weights, which holds the encoder too"
    elif backbone.weights and backbone.pretrained:
        yield "backbone.pretrained does nothing beside backbone.weights"

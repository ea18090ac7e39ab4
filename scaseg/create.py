"""A model by the names of its halves, for one's own loop: no configuration, and neither Hydra nor Lightning."""

import logging
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from scaseg.choices import chosen
from scaseg.errors import UserError
from scaseg.form import RGB, Form, form_of
from scaseg.models.build import build_segmentor
from scaseg.models.encoders.weights import load_encoder_weights
from scaseg.models.segmentor import Segmentor
from scaseg.models.weights import CLASSIFIER, load_model_weights
from scaseg.parts import Backbone
from scaseg.runs.folder import weights_of

log = logging.getLogger("scaseg")


def create(
    decoder: str,
    backbone: str,
    num_classes: int,
    weights: str | PathLike[str] | None,
    in_channels: int,
    options: Mapping[str, Any],
) -> Segmentor:
    """See scaseg.create_model."""
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise UserError(f"num_classes={num_classes!r}: a number, at least 1")
    encoder_part, decoder_part = chosen(
        decoder, backbone, {key: str(one) if isinstance(one, PathLike) else one for key, one in options.items()}
    )
    model = build_segmentor(encoder_part, decoder_part, num_classes, _form(encoder_part, in_channels))
    if weights is not None:
        _load(model, encoder_part.name, decoder_part.name, str(weights))
    elif encoder_part.weights:
        load_encoder_weights(model.encoder, encoder_part.name, encoder_part.weights)
    return model


def _form(backbone: Backbone, in_channels: int) -> Form:
    """Of the images, whose normalisation is the encoder's where they are RGB; UserError where others have none."""
    if isinstance(in_channels, bool) or not isinstance(in_channels, int) or in_channels < 1:
        raise UserError(f"in_channels={in_channels!r}: a number, at least 1")
    if in_channels == 3:
        return RGB
    mean, std = backbone.option("mean"), backbone.option("std")
    if any(not isinstance(one, list | tuple) or len(one) != in_channels for one in (mean, std)):
        raise UserError(
            f"in_channels={in_channels} needs backbone_mean=[...] and backbone_std=[...], {in_channels} numbers each,"
            " of the images' own scale; 0 and 1 where they come normalised"
        )
    return form_of({"channels": in_channels, "dtype": "float32", "mean": mean, "std": std})


def _load(model: Segmentor, backbone: str, decoder: str, weights: str) -> None:
    source = str(weights_of(weights, "weights")) if Path(weights).expanduser().is_dir() else weights
    report = load_model_weights(model, backbone, decoder, source, trains=True)
    if any(key.startswith(CLASSIFIER) for key in report.dropped):
        own = model.decoder.get_parameter("classifier.bias").shape[0]
        log.warning("weights=%s are of another number of classes than %d: the classifier is a new one", weights, own)

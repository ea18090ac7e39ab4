"""A trained model as transformers has models: what `modeling_scaseg.py` in a saved folder is made of.

from transformers import AutoModelForSemanticSegmentation

model = AutoModelForSemanticSegmentation.from_pretrained("FOLDER", trust_remote_code=True)
logits = model(pixel_values=images).logits  # images (B, 3, H, W), RGB on 0..255 -> (B, K, ~H / 4, ~W / 4)

With `requires_grad_(False)`, which torch's order of sums depends on, they are those of `scaseg.load` bit for bit.
Nothing in this package imports it; it needs transformers 5. A model of classes outside scaseg opens within
`scaseg.named.allowing(["PACKAGE"])`.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SemanticSegmenterOutput

from scaseg.data.labels import distinct_colours
from scaseg.losses.cross_entropy import CrossEntropy
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.models.build import build_segmentor
from scaseg.models.layers.offset_classifier import OffsetClassifier
from scaseg.models.layers.pooled_keys import pool_keys
from scaseg.models.segmentor import Segmentor
from scaseg.runs.earlier import read_config
from scaseg.tasks.build import build_task
from scaseg.trained.model import NoDrawing


class SCASegConfig(PreTrainedConfig):
    """config.json of a saved folder. id2label, which transformers lets one change, are the classes where they differ.

    classes: names, by id; colours: [red, green, blue] of each, 0..255; model: the run's configuration as far as it
    determines the model; about: what is known of its training.
    """

    model_type = "scaseg"

    def __init__(
        self,
        classes: Sequence[str] = (),
        colours: Sequence[Sequence[int]] = (),
        model: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.get("id2label") and kwargs.get("num_labels") in (None, len(classes)):
            kwargs["id2label"] = dict(enumerate(classes))
            kwargs["label2id"] = {name: place for place, name in enumerate(classes)}
        super().__init__(**kwargs)
        self.classes, self.colours = list(classes), [list(colour) for colour in colours]
        self.model, self.about = dict(model or {}), dict(about or {})

    def to_dict(self) -> dict[str, Any]:
        """As a file that `scaseg.load` reads.

        Without what is known of the training: transformers may have trained on, and does not say so.
        """
        plain: dict[str, Any] = super().to_dict()
        names = [self.id2label[place] for place in sorted(self.id2label)]
        if names != self.classes:
            plain["classes"], plain["colours"] = names, [list(colour) for colour in distinct_colours()[: len(names)]]
        plain["about"] = {}
        return plain


class SCASegForSemanticSegmentation(PreTrainedModel):
    """The Segmentor of a saved folder, its tensors under their own names. Random weights where it is made anew."""

    config_class: Any = SCASegConfig
    main_input_name = "pixel_values"
    mean: Tensor
    std: Tensor

    def __init__(self, config: SCASegConfig) -> None:
        super().__init__(config)
        run = read_config(config.model)
        backbone = run.backbone.changed(pretrained=False) if run.backbone.pretrained else run.backbone
        # transformers builds on the meta device and fills in what files hold, and some constants are in none
        self._filled = filled = torch.get_default_device().type == "meta"
        with torch.device("cpu") if filled else nullcontext(), NoDrawing() if filled else nullcontext():
            self.asked = build_task(run.task, list(config.id2label.values()))
            built = build_segmentor(backbone, run.decoder, self.asked.logits, run.dataset.form)
        pool_keys(built, run.protocol.key_ratio)
        self.encoder, self.decoder = built.encoder, built.decoder
        self.register_buffer("mean", built.mean, persistent=False)
        self.register_buffer("std", built.std, persistent=False)
        kept = self.state_dict().keys()
        self._constants = {name: one.clone() for name, one in self.named_buffers() if name not in kept}
        self._loss = self.asked.loss(SegmentationLoss({"cross_entropy": CrossEntropy()}))
        self.post_init()

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, return_dict: bool | None = None, **unused: Any
    ) -> SemanticSegmenterOutput | tuple[Tensor, ...]:
        """pixel_values (B, C, H, W), RGB on 0..255, uint8 or float, normalised here -> logits (B, K, ~H / 4, ~W / 4).

        labels (B, H, W), ids below K, 255 where there is none: then also the loss, the mean cross-entropy over the
        labelled pixels of the logits resized to them. Hidden states and attentions are not given. Of task=binary there
        is one logit, of the second class.
        """
        logits = Segmentor.forward(self, pixel_values)  # not one of its own: tensors keep the names of the file
        loss = None if labels is None else self._loss(logits, self.asked.target(labels))
        if self.config.return_dict if return_dict is None else return_dict:
            return SemanticSegmenterOutput(loss=loss, logits=logits)
        return (logits,) if loss is None else (loss, logits)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Of what a file did not hold: constants as they were built, and a classifier of other classes anew.

        Raises ValueError where anything else is missing.
        """
        if module is self:
            for name, value in self._constants.items():
                self.get_buffer(name).copy_(value)
        elif module is getattr(self.decoder, "classifier", None):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
            if isinstance(module, OffsetClassifier):
                nn.init.ones_(module.gain)
        elif self._filled and (missing := [name for name in module.state_dict() if not _read(module, name)]):
            (place,) = (name for name, one in self.named_modules() if one is module)
            raise ValueError(f"the file of weights lacks {', '.join(f'{place}.{name}' for name in missing)}")


def _read(module: nn.Module, name: str) -> bool:
    """Whether transformers found a tensor in a file; those of inner modules are not asked about here."""
    return "." in name or getattr(getattr(module, name), "_is_hf_initialized", False)

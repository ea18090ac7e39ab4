import math

import pytest
import torch
import torch.nn.functional as F

from scaseg.config import compose, run_config
from scaseg.models.build import build_segmentor


@pytest.mark.parametrize("classes", [8, 150])
def test_an_untrained_model_finds_all_classes_alike(classes: int) -> None:
    torch.manual_seed(0)
    run = run_config(compose("train"))
    model = build_segmentor(run.backbone, run.decoder, classes)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    logits = model(images).detach()
    target = torch.randint(0, classes, (2, *logits.shape[2:]))
    assert float(F.cross_entropy(logits, target)) == pytest.approx(math.log(classes), rel=0.05)

"""How likely a model's answer is, pixel by pixel: against plain torch and plain NumPy, from every kind of map."""

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scaseg.data.labels import IGNORE
from scaseg.evaluation import row_bands
from scaseg.evaluation.blend import Blended, spans
from scaseg.evaluation.inference import scores
from scaseg.evaluation.protocol import Mode, Protocol
from scaseg.evaluation.row_bands import Held, Resized, best_class, labels_and_confidence
from scaseg.exported import labels as exported
from tests.evaluation.predicted import predict_labels

PROTOCOLS = {
    "whole": Protocol(),
    "flip": Protocol(flip=True),
    "windows": Protocol(mode=Mode.slide, window=[8, 8], stride=[6, 6]),
    "windows, flip": Protocol(mode=Mode.slide, window=[8, 8], stride=[6, 6], flip=True),
}


def model(images: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(images * 3, 2)


def test_confidence_is_the_softmax_of_the_resized_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits = 5 * torch.randn(1, 6, 9, 13)
    for size in ((36, 52), (35, 40), (9, 13), (5, 6)):
        expected, labels = F.interpolate(logits, size=size, mode="bilinear").softmax(1).max(1)
        for rows in (1000, 4):
            monkeypatch.setattr(row_bands, "BAND_BYTES", 4 * 6 * size[1] * rows)
            found = labels_and_confidence(Resized(Held(logits), size))
            torch.testing.assert_close(found[1], expected, rtol=1e-4, atol=1e-6)
            assert (found[0] == labels).all()


def test_confidence_of_several_views_is_their_mean_probability() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 6, 8, 10)
    found, confidence = labels_and_confidence(scores(lambda x: x * 3, images, (8, 10), Protocol(flip=True)))
    assert (found == images.argmax(1)).all()
    torch.testing.assert_close(confidence, (3 * images).softmax(1).amax(1))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_is_less_likely_is_ignored_and_the_rest_is_as_it_was(name: str) -> None:
    torch.manual_seed(0)
    protocol, images, size = PROTOCOLS[name], torch.randn(2, 6, 14, 20), (17, 23)
    plain = predict_labels(model, images, size, protocol)
    labels, confidence = labels_and_confidence(scores(model, images, size, protocol))
    assert (labels == plain).all()
    for least in (0.0, 0.4, 1.0):
        found = predict_labels(model, images, size, protocol, least=least)
        assert (found == torch.where(confidence >= least, plain, IGNORE)).all()
        assert bool((found == IGNORE).any()) == bool(least)
        run = lambda x: model(torch.from_numpy(x)).numpy()  # noqa: E731
        by_numpy = exported.predict_labels(run, [images.numpy()], size, protocol, least=least)
        near = (confidence - least).abs() < 1e-5
        assert ((torch.from_numpy(by_numpy) == found) | near).all()


def test_windows_that_blend_are_as_likely_as_what_they_blend() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 6, 16, 16)
    for flip in (False, True):
        seen = scores(model, images, (16, 16), Protocol(flip=flip))
        blended = Blended(0, 16, spans(16, [(0, 16)]), spans(16, [(0, 16)]), [[seen]])
        assert blended.probable == flip
        assert (best_class(blended, 0.4) == best_class(seen, 0.4)).all()
        whole = seen.rows(0, 16)
        sure = np.asarray((whole if flip else whole.softmax(1)).amax(1))
        np.testing.assert_allclose(labels_and_confidence(blended)[1], sure, rtol=1e-5)

"""What holds for every decoder in conf/decoder, and what distinguishes some."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.models.decoders.cgrseg import pooled
from scaseg.models.decoders.metaseg import MetaSegDecoder
from scaseg.models.decoders.segnext import MatrixFactorisation
from scaseg.models.decoders.vwformer import VWFormerDecoder, WindowAttention
from scaseg.models.layers.offset_classifier import OffsetClassifier
from scaseg.models.layers.strip_attention import NODES
from scaseg.models.segmentor import Segmentor
from tests.conftest import ROOT
from tests.models.peers import randomise

DECODERS = sorted(path.stem for path in (ROOT / "conf/decoder").glob("*.yaml"))
STRIDES = {"segnext": 8, "metaseg": 8, "cgrseg": 8, "segman": 8, "edaformer": 8, "ccaseg": 8}
WIDTHS = {"segnext": 32, "vwformer": 64}
CHANNELS = (8, 12, 20, 32)
CITY = "dataset.query_pool=2"


def composed(name: str, *overrides: str, num_classes: int = 5) -> Segmentor:
    run = run_config(compose("train", [f"decoder={name}", *overrides]))
    return build_segmentor(run.backbone, run.decoder, num_classes)


def small(name: str, *overrides: str) -> Segmentor:
    width = WIDTHS.get(name, 16)
    encoder = ["backbone.channels=[8,16,40,32]", "backbone.depths=[1,1,1,1]", "backbone.drop_path=0"]
    model = composed(name, *encoder, f"decoder.embed_channels={width}", *overrides)
    assert isinstance(model, Segmentor)
    return model


def settled(model: Segmentor) -> Segmentor:
    """With BatchNorms' statistics of images: where maps are multiplied by each other, others let them run away."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randint(0, 256, (2, 3, 128, 192), dtype=torch.uint8))
    return model.eval()


def undropped(model: Segmentor) -> Segmentor:
    """Without stochastic depth, which may leave a whole block out of a batch as small as these."""
    for module in model.modules():
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    return model


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_all_are_there() -> None:
    assert set(DECODERS) >= {"scaseg", "segformer", "segnext", "feedformer", "umixformer", "metaseg", "vwformer"}


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("form", ["", CITY])
def test_every_parameter_learns(name: str, form: str) -> None:
    model = undropped(randomise(small(name, *([form] if form else []), "decoder.dropout=0")).train())
    for key, parameter in model.named_parameters():  # no ReLU that is dead by chance
        if key.endswith(("lpm.depthwise.bias", "attention.squeeze.weight")):
            parameter.data.abs_().add_(0.5)
    logits = model(torch.randint(0, 256, (2, 3, 128, 192), dtype=torch.uint8))
    stride = STRIDES.get(name, 4)
    assert logits.shape == (2, 5, 128 // stride, 192 // stride)
    (logits * torch.randn_like(logits)).sum().backward()
    still = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    unused_map = [key for key in still if key.startswith("encoder") and name in STRIDES]  # stage 1's own norm
    assert [key for key in still if key not in unused_map] == []
    assert all("norm1" in key for key in unused_map)


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_ends_in_the_classifier_that_is_asked_for(name: str) -> None:
    plain, moved = (small(name, f"classifier={kind}", "decoder.dropout=0") for kind in ("conv", "offset"))
    assert isinstance(moved.decoder.classifier, OffsetClassifier)
    width = moved.decoder.classifier.in_channels
    counts = [sum(p.numel() for p in model.decoder.parameters()) for model in (plain, moved)]
    assert counts[1] - counts[0] == 2 * width**2 + 5  # two linears, and a gain for each class
    logits = moved.train()(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
    (logits * torch.randn_like(logits)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in moved.decoder.classifier.parameters())
    with pytest.raises(UserError, match=r"classifier=offset with 2 classes: .* 3 or more"):
        composed(name, "classifier=offset", num_classes=2)


def test_offsets_against_the_equations_pixel_by_pixel() -> None:
    classifier = randomise(OffsetClassifier(6, 4, 0.1)).double()
    x = torch.randn(2, 6, 3, 5).double()
    with torch.no_grad():
        logits = classifier(x)
        for image, found in zip(x, logits, strict=True):
            e = image.flatten(1).T  # (HW, C); W (K, C); the numbers are the paper's
            w = classifier.weight
            a = w @ e.T  # 4
            delta_w = torch.stack([classifier.class_offset.weight @ (torch.softmax(row, 0) @ e) for row in a])  # 5-7
            by_pixel = [torch.softmax(column, 0) @ w for column in a.T]  # 9, 10
            delta_e = torch.stack([classifier.pixel_offset.weight @ mixed for mixed in by_pixel])  # 11
            m = (w + delta_w) @ (e + delta_e).T  # 8, 12, 13
            centred = m - m.mean(0)
            normed = centred / (centred.square().mean(0) + 1e-5).sqrt()
            expected = classifier.gain[:, None] * normed + classifier.bias[:, None]
            torch.testing.assert_close(found.flatten(1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=6, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from(["", CITY]))
def test_any_size_has_one_finite_prediction(name: str, height: int, width: int, form: str) -> None:
    model = settled(randomise(small(name, *([form] if form else []))))
    images = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    with torch.no_grad():
        logits = model(images)
        assert logits.isfinite().all()
        assert logits.shape[:2] == (1, 5)
        stride = STRIDES.get(name, 4)
        assert [-(-side // stride) for side in (height, width)] == list(logits.shape[2:])
        assert torch.equal(model(images), logits)
        assert model.predict(images).shape == (1, height, width)


@pytest.mark.parametrize("name", DECODERS)
def test_images_of_a_batch_do_not_meet(name: str) -> None:
    model = settled(randomise(small(name))).double()
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        together = model(images)
        torch.testing.assert_close(together[1:], model(images[1:]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DECODERS)
def test_untrained_models_find_all_classes_alike(name: str) -> None:
    model = composed(name, "backbone.drop_path=0", num_classes=8)
    logits = model(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)).detach()
    target = torch.randint(0, 8, (2, *logits.shape[2:]))
    assert float(F.cross_entropy(logits, target)) == pytest.approx(math.log(8), rel=0.05)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("encoder", ["mscan_t", "lvt", "resnet18", "pvt_v2_b0", "efficientvit_b0"])
def test_every_encoder_fits(name: str, encoder: str) -> None:
    known = (ROOT / f"conf/backbone/{encoder}.yaml").exists()
    backbone = [f"backbone={encoder}"] if known else ["backbone=timm", f"backbone.name={encoder}"]
    model = composed(name, *backbone).eval()
    with torch.no_grad():
        logits = model(torch.randint(0, 256, (1, 3, 64, 97), dtype=torch.uint8))
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ["segformer", "feedformer", "umixformer", "metaseg", "edaformer", "ccaseg"])
def test_native_fuse_is_the_literal_one(name: str) -> None:
    native = settled(randomise(small(name))).double()
    literal = small(name, "decoder.fuse=literal").double().eval()
    literal.load_state_dict(native.state_dict())
    images = torch.randint(0, 256, (2, 3, 70, 101), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(native(images), literal(images), rtol=1e-9, atol=1e-9)


def test_strip_attention_serves_metaseg() -> None:
    """Its attention has one channel a head too: the linear form against the written out one, at a full size."""
    options: dict[str, Any] = {"in_channels": CHANNELS, "num_classes": 5, "embed_channels": 16}
    exact = randomise(MetaSegDecoder(**options, strip="exact")).double()
    linear = MetaSegDecoder(**options, strip="spline", strip_nodes=NODES).double().eval()
    linear.load_state_dict(exact.state_dict())
    maps = [torch.randn(1, c, 256 // s, 384 // s).double() for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)]
    with torch.no_grad():
        torch.testing.assert_close(linear(maps), exact(maps), rtol=1e-6, atol=1e-6)


def test_inference_reduction_of_edaformer_changes_evaluation_alone() -> None:
    plain, reduced = small("edaformer"), small("edaformer", "decoder.inference_reduction=[2,2,2]")
    reduced.load_state_dict(plain.state_dict())
    images = torch.randint(0, 256, (1, 3, 128, 96), dtype=torch.uint8)
    outputs = []
    for model in (plain, reduced):
        undropped(model).get_submodule("decoder.classifier.dropout").p = 0.0
        outputs.append((model.train()(images).detach(), model.eval()(images).detach()))
    (trained, evaluated), (trained_too, evaluated_otherwise) = outputs
    assert torch.equal(trained, trained_too)
    assert not torch.equal(evaluated, evaluated_otherwise)


def test_windows_of_vwformer_against_loops() -> None:
    """One window at a time: its context cut out of the padded map, each cell of r x r pixels become channels."""
    for context, side in ((2, 16), (4, 16), (8, 32)):
        attention = randomise(WindowAttention(64, context, 2, True)).double()
        x = torch.randn(1, 64, side, 16).double()
        before, after = context // 2 - 1, context // 2
        with torch.no_grad():
            narrowed = attention.narrow(F.pad(x, (before, after, before, after)))[0]
            p, q = side // 8, 2

            def padded(row: Tensor, window: int, dim: int, context: int = context) -> Tensor:
                first = row.narrow(dim, (context + 1) * window // 2, (context - 1) * window // 2)
                last = row.narrow(dim, row.shape[dim] - context * window, (context - 1) * window // 2)
                return torch.cat([first, row, last], dim)

            large = padded(padded(narrowed, q, 2), p, 1)
            expected = torch.zeros(64, side, 16).double()
            for i in range(8):
                for j in range(8):
                    cut = large[:, i * p : (i + context) * p, j * q : (j + context) * q]
                    cells = [
                        torch.cat(
                            [cut[:, a * context + r, b * context + c] for r in range(context) for c in range(context)]
                        )
                        for a in range(p)
                        for b in range(q)
                    ]
                    tokens = torch.stack(cells)
                    query = attention.q(x[0, :, i * p : (i + 1) * p, j * q : (j + 1) * q].flatten(1).T)
                    key, value = attention.k(tokens), attention.v(tokens)
                    heads = []
                    for h in (slice(0, 32), slice(32, 64)):
                        weights = torch.softmax(query[:, h] @ key[:, h].T / math.sqrt(32), -1)
                        heads.append(weights @ value[:, h])
                    expected[:, i * p : (i + 1) * p, j * q : (j + 1) * q] = torch.cat(heads, 1).T.unflatten(1, (p, q))
            expected = attention.norm(attention.out(expected[None]))
            torch.testing.assert_close(attention(x), expected, rtol=1e-9, atol=1e-9)


def test_factorisation_nears_its_matrix_and_stays_the_same_in_evaluation() -> None:
    module = MatrixFactorisation(12, 4, eval_steps=200).double().eval()
    x = torch.rand(1, 12, 4).double() @ torch.rand(1, 4, 30).double()  # of rank 4
    torch.testing.assert_close(module(x), x, rtol=0.05, atol=0.05)
    assert torch.equal(module(x), module(x))
    module.train()
    assert not torch.equal(module(x), module(x))
    assert module.state_dict() == {}


def test_float16_autocast_leaves_the_factorisation_in_single_precision() -> None:
    module = MatrixFactorisation(32, 4).eval()
    x = torch.rand(1, 32, 50)
    with torch.autocast("cpu", torch.bfloat16):
        inside = module(x)
    assert torch.equal(inside, module(x))


@pytest.mark.parametrize(("size", "grid"), [((13, 7), (7, 4)), ((1, 5), (1, 3)), ((64, 9), (8, 2))])
def test_pooling_by_products_is_adaptive_pooling(size: tuple[int, int], grid: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size).double()
    torch.testing.assert_close(pooled(x, *grid), F.adaptive_avg_pool2d(x, grid), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("segformer", "decoder.projection=mlp", r"decoder.projection=mlp: choose one of linear, conv_norm"),
        ("segnext", "decoder.embed_channels=40", r"decoder.embed_channels=40: a multiple of 32"),
        ("segnext", "decoder.rank=0", r"decoder.rank=0: at least 1"),
        ("feedformer", "decoder.query_pool=0", r"decoder.query_pool=0: at least 1"),
        ("umixformer", "decoder.query_pool=0", r"decoder.query_pool=0: at least 1"),
        ("ccaseg", "decoder.first_stage=3", r"decoder.first_stage=3: 1 or 2"),
        ("ccaseg", "decoder.depth=0", r"decoder.depth=0: at least 1"),
        ("edaformer", "decoder.mlp_ratio=0", r"decoder.mlp_ratio=0: at least 1"),
        ("edaformer", "decoder.inference_reduction=[2,2]", r"decoder.inference_reduction=\[2, 2\]: 3 whole numbers"),
        ("edaformer", "decoder.inference_reduction=2", r"decoder.inference_reduction=2: 3 whole numbers"),
        ("edaformer", "decoder.inference_reduction=[2,0,1]", r"one for each stage, at least 1"),
        ("cgrseg", "decoder.repeats=-1", r"decoder.repeats=-1: at least 0"),
        ("cgrseg", "decoder.band=4", r"decoder.band=4: an odd number of pixels"),
        ("segman", "decoder.project_channels=0", r"decoder.project_channels=0: at least 1"),
        ("metaseg", "decoder.strip=fast", r"decoder.strip=fast: choose one of auto"),
        ("vwformer", "decoder.embed_channels=100", r"decoder.embed_channels=100: a multiple of 64"),
        ("vwformer", "decoder.form=town", r"decoder.form=town: choose one of plain, city"),
        ("vwformer", "decoder.heads=3", r"and of decoder.heads=3"),
    ],
)
def test_bad_options_are_named(name: str, override: str, message: str) -> None:
    with torch.device("meta"), pytest.raises(UserError, match=message):
        composed(name, override)


def test_city_form_of_vwformer_has_no_global_branch() -> None:
    plain, city = (VWFormerDecoder(CHANNELS, 5, 64, form=form, heads=4) for form in ("plain", "city"))
    assert plain.mix.conv.in_channels == 5 * 64
    assert city.mix.conv.in_channels == 4 * 64
    assert city.globally is None

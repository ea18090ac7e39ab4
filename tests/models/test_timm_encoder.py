"""Any timm backbone, without downloads."""

import subprocess
import sys

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch
import yaml

from scaseg.errors import UserError
from scaseg.models.encoders.timm_encoder import TimmEncoder
from scaseg.models.encoders.weights import load_encoder_weights
from tests.conftest import ROOT
from tests.models.peers import randomise

MODELS = ["pvt_v2_b0", "swin_tiny_patch4_window7_224", "resnet18", "convnext_atto", "efficientvit_b0"]
MODELS += ["efficientformerv2_s0"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def encoders():
    return {name: TimmEncoder(name).eval() for name in MODELS}


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (256, 224)])
@pytest.mark.parametrize("name", MODELS)
def test_four_maps_of_the_rounded_up_sizes(encoders, name, size):
    height, width = size
    with torch.no_grad():
        maps = encoders[name](torch.randn(2, 3, height, width))
    for feature, channels, stride in zip(maps, encoders[name].channels, (4, 8, 16, 32), strict=True):
        assert feature.shape == (2, channels, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize("name", MODELS)
def test_maps_are_those_of_the_whole_model_and_its_weights_load(tmp_path, name):
    timm = pytest.importorskip("timm")
    options = {"always_partition": True} if name.startswith("swin") else {}
    whole = randomise(timm.create_model(name, **options))
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    encoder = TimmEncoder(name).eval()
    report = load_encoder_weights(encoder, name, str(tmp_path / "whole.pth"))
    assert report.loaded + len(report.dropped) == len(whole.state_dict())
    assert all(key.startswith(("head", "fc.", "norm.")) for key in report.dropped)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = whole.forward_intermediates(images, intermediates_only=True)[-4:]
        for ours, theirs in zip(encoder(images), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 96), (224, 160)])
def test_padding_known_beforehand_is_timms(size):
    """Of TensorFlow's models: kernels of 3 and 5 at stride 2, which timm pads by the size that it meets."""
    timm = pytest.importorskip("timm")
    theirs = randomise(timm.create_model("tf_efficientnet_lite0", features_only=True)).eval()
    ours = TimmEncoder("tf_efficientnet_lite0").eval()
    ours.net.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        for mine, other in zip(ours(images), theirs(images)[1:], strict=True):
            assert torch.equal(mine, other)


def test_wrong_weights_are_refused(tmp_path):
    timm = pytest.importorskip("timm")
    state = timm.create_model("resnet18").state_dict()
    missing = {key: value for key, value in state.items() if key != "conv1.weight"}
    torch.save(missing, tmp_path / "missing.pth")
    with pytest.raises(UserError, match=r"1 missing: net.conv1.weight"):
        load_encoder_weights(TimmEncoder("resnet18"), "resnet18", str(tmp_path / "missing.pth"))
    torch.save(state | {"layer5.weight": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(UserError, match=r"1 unexpected: layer5.weight"):
        load_encoder_weights(TimmEncoder("resnet18"), "resnet18", str(tmp_path / "more.pth"))


def test_unknown_names_show_close_ones():
    with pytest.raises(UserError, match=r"backbone.name=pvt_v2_b: .*did you mean .*pvt_v2_b1"):
        TimmEncoder("pvt_v2_b")
    with pytest.raises(UserError, match="lists them"):
        TimmEncoder("0")


def test_model_without_the_strides_says_which_it_has():
    with pytest.raises(UserError, match=r"strides \[16, 16, 16\]"):
        TimmEncoder("vit_tiny_patch16_224")


def test_model_made_for_one_size_says_so():
    encoder = TimmEncoder("coatnet_nano_rw_224").eval()
    with torch.no_grad():
        assert len(encoder(torch.randn(1, 3, 224, 224))) == 4
        with pytest.raises(UserError, match="made for images of 224 x 224 and does not take 64 x 96"):
            encoder(torch.randn(1, 3, 64, 96))


def test_stochastic_depth_reaches_the_model_or_is_refused():
    rates = [getattr(m, "drop_prob", 0.0) for m in TimmEncoder("pvt_v2_b0", drop_path=0.2).modules()]
    assert max(rates) == pytest.approx(0.2)
    swin = TimmEncoder("swin_tiny_patch4_window7_224")  # timm's own default is 0.1
    assert max(getattr(m, "drop_prob", 0.0) or 0.0 for m in swin.modules()) == 0
    assert TimmEncoder("densenet121").channels == (256, 512, 1024, 1024)
    with pytest.raises(UserError, match="no stochastic depth"):
        TimmEncoder("densenet121", drop_path=0.1)


def test_shipped_configuration_names_a_model_that_works():
    cfg = yaml.safe_load((ROOT / "conf" / "backbone" / "timm.yaml").read_text())
    assert cfg["model"] == "${.name}"
    assert cfg["name"] in MODELS


def test_importing_the_encoder_does_not_import_timm():
    program = (
        "import sys, scaseg.models.encoders.timm_encoder, scaseg.models.encoders.weights; "
        "sys.exit(int(bool({'timm', 'huggingface_hub', 'transformers'} & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0

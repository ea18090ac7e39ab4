"""Encoders of pictures that are no RGB, and what of RGB weights they take over."""

import logging

import scaseg.torchvision_fix

import pytest
import torch
from timm.models import adapt_input_conv
from torch import nn

import scaseg
from scaseg.complexity.count import count_encoder
from scaseg.complexity.summary import counts, parameters
from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.form import Form
from scaseg.models.build import build_encoder, build_segmentor
from scaseg.models.encoders.inputs import RULE, RULE_OF_FEW, shared
from scaseg.models.encoders.stages import stages_of
from scaseg.models.encoders.timm_encoder import TimmEncoder
from scaseg.models.encoders.weights import load_encoder_weights
from scaseg.models.weights import load_model_weights
from scaseg.named import allowing
from scaseg.parts import Backbone
from tests.models.peers import randomise

TINY = ["backbone.channels=[8,16,40,32]", "backbone.depths=[1,1,1,1]"]
SHIPPED = {
    "mit_b0": TINY,
    "mscan_t": TINY,
    "lvt": ["backbone.depths=[1,1,1,1]"],
    "segman_t": ["backbone.depths=[1,1,1,1]"],
    "efficientnet_lite0": [],
    "mobilenetv2": [],
    "timm": ["backbone.name=resnet18"],
}


def part(name: str) -> Backbone:
    return run_config(compose("train", [f"backbone={name}", *SHIPPED[name]])).backbone


def encoder(name: str, channels: int) -> nn.Module:
    torch.manual_seed(0)
    return build_encoder(part(name), channels).eval()


def repeated(rgb, channels: int):
    """As the rule has it: colour after colour; fewer than three channels are of a grey picture."""
    return rgb[:, torch.arange(channels) % 3] if channels > 2 else rgb[:, :1].expand(-1, channels, -1, -1)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_picture_that_repeats_rgb_gives_the_features_of_rgb(name, tmp_path, caplog):
    of_rgb = randomise(encoder(name, 3)).double()
    torch.save(
        of_rgb.state_dict() if name not in ("timm", "efficientnet_lite0", "mobilenetv2") else _whole(of_rgb),
        tmp_path / "rgb.pth",
    )
    image = torch.randn(1, 3, 32, 64, dtype=torch.float64)
    for channels in (1, 7):
        rgb = image if channels > 2 else image[:, :1].expand(-1, 3, -1, -1)
        of_more = encoder(name, channels).double()
        caplog.clear()
        with caplog.at_level(logging.INFO, "scaseg"):
            load_encoder_weights(of_more, name, str(tmp_path / "rgb.pth"))
        assert (
            RULE if channels > 3 else RULE_OF_FEW
        ) in caplog.text and f"pictures have {channels} channels" in caplog.text
        with torch.no_grad():
            for mine, theirs in zip(of_more(repeated(image, channels)), of_rgb(rgb), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


def _whole(of_rgb: nn.Module) -> dict[str, torch.Tensor]:
    """A timm model's weights under timm's own names."""
    import timm

    whole = timm.create_model(of_rgb.model_name).double().state_dict()
    ours = {key.removeprefix("net."): tensor for key, tensor in of_rgb.state_dict().items()}
    flat = {key.replace(".", "_", 1): key for key in whole}
    return {**whole, **{flat.get(key, key): tensor for key, tensor in ours.items()}}


@pytest.mark.parametrize("channels", [1, 6, 9, 12])
def test_where_colours_are_equally_many_it_is_timms_rule(channels):
    weight = torch.randn(8, 3, 3, 3)
    torch.testing.assert_close(shared(weight, channels), adapt_input_conv(channels, weight))


def test_the_rule_written_out():
    weight = torch.tensor([[[[2.0]], [[3.0]], [[5.0]]]])
    assert shared(weight, 7).flatten().tolist() == pytest.approx([2 / 3, 3 / 2, 5 / 2, 2 / 3, 3 / 2, 5 / 2, 2 / 3])
    assert shared(weight, 2).flatten().tolist() == [5, 5] and shared(weight, 1).flatten().tolist() == [10]


def test_timms_own_weights_are_shared_by_the_same_rule(monkeypatch):
    import timm

    made, create = [], timm.create_model

    def without_network(model, pretrained=False, **options):
        torch.manual_seed(len(made))
        made.append((pretrained, create(model, **options)))
        return made[-1][1]

    monkeypatch.setattr(timm, "create_model", without_network)
    found = TimmEncoder("resnet18", pretrained=True, in_channels=7)
    (of_rgb,) = (net for pretrained, net in made if pretrained)
    torch.testing.assert_close(found.net.conv1.weight, shared(of_rgb.conv1.weight, 7))
    torch.testing.assert_close(found.net.layer1[0].conv1.weight, of_rgb.layer1[0].conv1.weight)


@pytest.mark.parametrize("name", ["mit_b0", "lvt", "timm"])
def test_stages_and_counts_follow(name):
    rgb, seven = encoder(name, 3), encoder(name, 7)
    assert stages_of(seven) == stages_of(rgb)
    (of_rgb, _), (of_seven, _) = (count_encoder(one, (64, 64)) for one in (rgb, seven))
    assert of_seven.macs > of_rgb.macs
    run = run_config(compose("train", [f"backbone={name}", *SHIPPED[name]]))
    assert counts(run.backbone, run.decoder, 2, (64, 64), 7).macs - counts(
        run.backbone, run.decoder, 2, (64, 64)
    ).macs == (of_seven.macs - of_rgb.macs)
    inputs = sum(p.numel() for p in seven.parameters()) - sum(p.numel() for p in rgb.parameters())
    given = [parameters(run.backbone, run.decoder, 2, channels).encoder for channels in (7, 3)]
    assert given[0] - given[1] == inputs > 0


def test_a_whole_model_of_rgb_starts_one_of_more_channels(tmp_path, caplog):
    options = {"backbone_channels": [8, 16, 40, 32], "backbone_depths": [1, 1, 1, 1], "embed_channels": 16}
    torch.manual_seed(0)
    rgb = scaseg.create_model(num_classes=3, **options)
    torch.save(rgb.state_dict(), tmp_path / "rgb.pth")
    scale = {"backbone_mean": [0.0] * 6, "backbone_std": [1.0] * 6}
    with caplog.at_level(logging.INFO, "scaseg"):
        six = scaseg.create_model(num_classes=3, weights=tmp_path / "rgb.pth", in_channels=6, **options, **scale)
    assert RULE in caplog.text
    image = torch.rand(1, 3, 64, 64) * 255
    normalised = (image - rgb.mean) / rgb.std
    with torch.no_grad():
        found, wanted = six.eval()(repeated(normalised, 6)), rgb.eval()(image)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    torch.save(six.state_dict(), tmp_path / "six.pth")
    with pytest.raises(UserError, match=r"of another shape.*\(8, 6, 7, 7\) where"):
        load_model_weights(rgb, "mit_b0", "scaseg", str(tmp_path / "six.pth"))


def test_create_model_needs_the_scale_of_other_channels():
    for given in ({}, {"backbone_mean": [0, 0, 0]}, {"backbone_mean": [0] * 7, "backbone_std": [1] * 6}):
        with pytest.raises(UserError, match=r"in_channels=7 needs backbone_mean=.*7 numbers each"):
            scaseg.create_model(in_channels=7, **given)
    for wrong in (0, True, 2.5):
        with pytest.raises(UserError, match=f"in_channels={wrong}"):
            scaseg.create_model(in_channels=wrong)


def test_images_of_other_channels_are_refused_and_one_does_not_pass_for_all():
    run = run_config(compose("train", TINY))
    model = build_segmentor(run.backbone, run.decoder, 2, Form(4, "uint16", mean=(0,) * 4, std=(1,) * 4))
    for channels in (1, 3, 5):
        with pytest.raises(UserError, match=r"this model takes \(B, 4, H, W\)"):
            model(torch.zeros(1, channels, 64, 64))
    with pytest.raises(UserError, match=r"mean and deviation of the channels are not known.*scaseg.prepare"):
        build_segmentor(run.backbone, run.decoder, 2, Form(4))


class OfRgb(nn.Module):
    """An encoder of the user's, which knows nothing of other channels."""

    channels = (8, 8, 8, 8)

    def forward(self, x):
        return [nn.functional.avg_pool2d(x[:, :1].expand(-1, 8, -1, -1), stride) for stride in (4, 8, 16, 32)]


def test_an_encoder_without_the_parameter_is_named():
    mine = Backbone({"_target_": f"{__name__}.OfRgb", "name": "mine"})
    with allowing([__name__]):
        build_encoder(mine)
        with pytest.raises(UserError, match=r"backbone=mine takes pictures of 3 channels, and dataset\.channels=7"):
            build_encoder(mine, 7)

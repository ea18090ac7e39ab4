"""Models by name, without a framework: those that scaseg.train builds, for a loop of one's own."""

import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import pytest
import torch
from hydra import initialize_config_dir

import scaseg
from scaseg.choices import CONF_DIR, chosen
from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from tests.conftest import ROOT
from tests.trained.conftest import TINY

SMALL: dict[str, Any] = {"backbone_channels": [8, 16, 24, 32], "backbone_depths": [1, 1, 1, 1], "embed_channels": 16}
NAMES = scaseg.list_models()


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_pair_has_the_values_of_a_run() -> None:
    pairs = list(product(NAMES["decoders"], NAMES["backbones"]))
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        for decoder, backbone in pairs[::5]:  # every decoder and every backbone at least once
            run = run_config(compose("train", [f"decoder={decoder}", f"backbone={backbone}"]))
            assert chosen(decoder, backbone, {}) == (run.backbone, run.decoder)
        run = run_config(compose("train", ["decoder.query_pool=2", "backbone=segman_t", "lpm=none"]))
        assert chosen("scaseg", "segman_t", {"query_pool": 2, "lpm": "none"}) == (run.backbone, run.decoder)
        run = run_config(compose("train", ["backbone=timm", "backbone.name=resnet18", "decoder=vwformer"]))
        assert chosen("vwformer", "timm:resnet18", {}) == (run.backbone, run.decoder)


def test_it_is_the_model_of_a_run() -> None:
    run = run_config(compose("train", TINY))
    torch.manual_seed(3)
    built = build_segmentor(run.backbone, run.decoder, 5)
    torch.manual_seed(3)
    model = scaseg.create_model("scaseg", "mscan_t", num_classes=5, **SMALL)
    assert isinstance(model, Segmentor) and model.training and same(model, built)
    images = torch.randint(0, 256, (2, 3, 40, 72), dtype=torch.uint8)
    assert model.eval()(images).shape == (2, 5, 10, 18)
    assert torch.equal(model(images), model(images.float()))
    assert model.predict(images).shape == (2, 40, 72)


def test_it_imports_no_framework() -> None:
    """mscan_t without stochastic depth: else timm, of which that is, takes its seconds."""
    heavy = ["hydra", "lightning", "pytorch_lightning", "wandb", "timm", "torchvision", "albumentations"]
    code = f"""
import sys, scaseg
names = scaseg.list_models()
before = "torch" in sys.modules
scaseg.create_model(backbone="mscan_t", backbone_drop_path=0.0, drop_path=0.0)
print(before, [name for name in {heavy} if name in sys.modules])
print(scaseg.create_model(num_classes=3).decoder.classifier.bias.shape[0])
print([name for name in ("hydra", "lightning") if name in sys.modules])
"""
    assert python(code).splitlines() == ["False []", "3", "[]"]


def test_the_parts_are_at_the_top_and_lazy() -> None:
    code = """
import sys, scaseg
names = dir(scaseg)
print("torch" in sys.modules, [name for name in scaseg.__all__ if name not in names])
from scaseg import SCASegDecoder, strip_attention
from scaseg import *
print(SCASegDecoder.__module__, strip_attention.__module__, "torch" in sys.modules, create_model.__module__)
"""
    decoder, attention = "scaseg.models.decoders.scaseg", "scaseg.models.layers.strip_attention"
    assert python(code).splitlines() == ["False []", f"{decoder} {attention} True scaseg"]
    with pytest.raises(AttributeError, match="module 'scaseg' has no attribute 'nothing'"):
        _ = scaseg.nothing
    query, value = torch.randn(1, 2, 7), torch.randn(1, 2, 5, 4)
    assert scaseg.strip_attention(query, value[..., 0], value).shape == (1, 2, 7, 4)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"decoder": "scasseg"}, r"^decoder=scasseg: choose one of .*, feedformer, .*, vwformer$"),
        (
            {"backbone": "../mit_b0"},
            r"^backbone=\.\./mit_b0: choose one of .*, efficientnet_lite0, .*, timm, timm:NAME$",
        ),
        ({"backbone": "timm:resnet18x"}, "no model of this name; did you mean "),
        ({"atn": "ca"}, r"^no option atn: decoder=scaseg has embed_channels, attn, lpm, .*; backbone=mit_b0 has back"),
        ({"decoder": "segformer", "lpm": "se"}, "^no option lpm: decoder=segformer has embed_channels, projection, "),
        ({"backbone_width": 3}, r"^no option backbone_width: .* backbone_drop_path, backbone_ffn_channels"),
        ({"_target_": "os.system", "name": "x"}, "^no option _target_, name: "),
        ({"attn": "strip"}, "^decoder.attn=strip: choose one of sa, ca, sca$"),
        ({"lpm": "senet"}, "lpm='senet': choose one of se, "),
        ({"embed_channels": 0}, "decoder.embed_channels=0: at least 1"),
        ({"embed_channels": torch.ones(1)}, "^embed_channels=tensor.*not a supported primitive type"),
        ({"num_classes": 0}, "^num_classes=0: a number, at least 1$"),
        ({"num_classes": "19"}, "^num_classes='19': a number"),
        ({"weights": "nowhere.ckpt"}, "^weights=nowhere.ckpt: no such file"),
        ({"backbone_weights": "nowhere.pth"}, "^backbone.weights=nowhere.pth: no such file"),
    ],
)
def test_what_is_wrong_is_told_with_what_there_is(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scaseg.create_model(**asked)


@pytest.mark.parametrize("form", ["checkpoint", "run", "saved", "file", "state"])
def test_weights_are_those_that_training_takes(checkpoint: Path, tmp_path: Path, form: str) -> None:
    loaded = scaseg.load(checkpoint)
    source = {"checkpoint": checkpoint, "run": checkpoint.parents[1], "state": tmp_path / "state.pt"}.get(form)
    if form in ("saved", "file"):
        source = scaseg.save_pretrained(loaded, tmp_path / "saved") / ("model.safetensors" * (form == "file"))
    torch.save(loaded.segmentor.state_dict(), tmp_path / "state.pt")  # what a loop of one's own keeps
    assert source is not None
    model = scaseg.create_model("scaseg", "mscan_t", 8, weights=source, **SMALL).eval()
    assert same(model, loaded.segmentor) and next(model.parameters()).requires_grad
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(model(images), loaded.segmentor(images))


def test_other_classes_get_a_new_classifier_and_it_is_said(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = scaseg.create_model("scaseg", "mscan_t", 5, weights=checkpoint, **SMALL)
    (said,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert said.getMessage() == (
        f"weights={checkpoint} are of another number of classes than 5: the classifier is a new one"
    )
    ours, theirs = model.state_dict(), scaseg.load(checkpoint).segmentor.state_dict()
    kept = [key for key in ours if ours[key].shape == theirs[key].shape]
    assert ours.keys() - set(kept) == {"decoder.classifier.weight", "decoder.classifier.bias"}
    assert all(torch.equal(ours[key], theirs[key]) for key in kept)
    with pytest.raises(UserError, match=r"does not fit backbone=mscan_t decoder=scaseg: .* of another shape: decoder"):
        scaseg.create_model("scaseg", "mscan_t", 8, weights=checkpoint, **{**SMALL, "embed_channels": 24})


def test_weights_of_the_encoder_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = scaseg.create_model("segformer", "mscan_t", 4, **SMALL)
    torch.save(first.encoder.state_dict(), tmp_path / "encoder.pth")
    second = scaseg.create_model("scaseg", "mscan_t", 4, backbone_weights=tmp_path / "encoder.pth", **SMALL)
    assert same(second.encoder, first.encoder)


def test_what_the_readme_says_runs() -> None:
    (block,) = re.findall(r"## In Python\n\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    query, value = torch.randn(1, 2, 7), torch.randn(1, 2, 5, 4)
    names = {"images": torch.zeros(1, 3, 64, 96), "query": query, "key": value[..., 0], "value": value}
    exec(block, names)
    assert names["logits"].shape == (1, 19, 16, 24) and names["attended"].shape == (1, 2, 7, 4)


def test_the_example_learns() -> None:
    done = subprocess.run(
        [sys.executable, "experiments/tour/plain_torch.py", "21"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    losses = [float(found) for found in re.findall(r"loss ([\d.]+)", done.stdout)]
    assert len(losses) == 3 and losses[-1] < 0.9 * losses[0]

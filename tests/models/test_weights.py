"""Loading weights: each layout, every way in which a file can be wrong, and every kind of source."""

import hashlib
import socket
from pathlib import Path
from urllib.request import urlopen as real_urlopen

import pytest
import safetensors.torch
import torch
from torch import nn

from scaseg.errors import UserError
from scaseg.models.encoders.eft import EFT
from scaseg.models.encoders.lvt import LVT
from scaseg.models.encoders.mit import MiT
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.encoders.weights import load_encoder_weights
from tests.models.peers import randomise


def mit() -> nn.Module:
    return MiT((16, 32, 80, 64), (1, 2, 1, 1))


def mscan() -> nn.Module:
    return MSCAN((16, 32, 80, 64), (1, 2, 1, 1))


def lvt() -> nn.Module:
    return LVT((16, 16, 80, 64), (1, 2, 1, 1))


def eft() -> nn.Module:
    return EFT((16, 32, 80, 64), (1, 2, 1, 1))


def official(encoder):
    return dict(encoder.state_dict())


def mit_mmseg(encoder):
    """Section 1.1's table read from left to right."""
    out = {}
    state = encoder.state_dict()
    for key, value in state.items():
        head, rest = key.split(".", 1)
        stage = int(head[-1]) - 1
        if head.startswith("patch_embed"):
            out[f"layers.{stage}.0.{rest.replace('proj.', 'projection.')}"] = value
        elif head.startswith("norm"):
            out[f"layers.{stage}.2.{rest}"] = value
        else:
            new = f"layers.{stage}.1.{rest}"
            if ".attn.q." in new:
                kind = new.rsplit(".", 1)[1]
                together = torch.cat([value, state[key.replace(".q.", ".kv.")]])
                out[new.split(".attn.")[0] + f".attn.attn.in_proj_{kind}"] = together
            elif ".attn.kv." in new:
                continue
            elif ".attn.proj." in new:
                out[new.replace(".attn.proj.", ".attn.attn.out_proj.")] = value
            elif ".mlp." in new:
                new = new.replace(".mlp.dwconv.dwconv.", ".ffn.layers.1.")
                new = new.replace(".mlp.fc1.", ".ffn.layers.0.").replace(".mlp.fc2.", ".ffn.layers.4.")
                out[new] = value[:, :, None, None] if value.ndim == 2 else value
            else:
                out[new] = value
    return out


def mscan_mmseg(encoder):
    return {key.replace("dwconv.dwconv", "dwconv"): value for key, value in encoder.state_dict().items()}


CASES = {
    "mit": (mit, official, {"head.weight": torch.zeros(10, 64)}),
    "mit mmsegmentation": (mit, mit_mmseg, {"decode_head.conv_seg.weight": torch.zeros(3)}),
    "mscan": (mscan, official, {"head.bias": torch.zeros(10)}),
    "mscan mmsegmentation": (mscan, mscan_mmseg, {"auxiliary_head.x": torch.zeros(1)}),
    "eft": (eft, official, {"head.weight": torch.zeros(10, 64)}),
    "lvt": (lvt, official, {"norm.weight": torch.zeros(64), "head.weight": torch.zeros(10, 64)}),
}


def fresh(make):
    """An encoder whose every tensor differs from any that `randomise` made."""
    encoder = make()
    for tensor in encoder.state_dict().values():
        tensor.fill_(7)
    return encoder


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 300}])
@pytest.mark.parametrize("prefix", ["", "backbone.", "module."])
@pytest.mark.parametrize("case", CASES)
def test_every_tensor_arrives(tmp_path, case, prefix, wrap):
    make, publish, head = CASES[case]
    source = randomise(make())
    published = {prefix + key: value for key, value in publish(source).items()}
    torch.save(wrap(published | head), tmp_path / "weights.pth")
    target = fresh(make)
    report = load_encoder_weights(target, "name", str(tmp_path / "weights.pth"))
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key
    assert report.loaded == len(source.state_dict())
    assert set(report.dropped) == set(head)


def save(tmp_path, state):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, path)
    return str(path)


@pytest.mark.parametrize("case", CASES)
def test_wrong_files_are_refused_and_change_nothing(tmp_path, case):
    make, publish, _ = CASES[case]
    good = publish(randomise(make()))
    name = next(key for key in good if key.endswith("proj.weight") or key.endswith("projection.weight"))
    wrong = {
        "2 unexpected: .*surplus": good | {"surplus.weight": torch.zeros(3), "surplus.bias": torch.zeros(3)},
        "1 missing: .*proj": {key: value for key, value in good.items() if key != name},
        "1 of another shape: .*proj": good | {name: torch.zeros(*good[name].shape, 2)},
    }
    for message, state in wrong.items():
        target = fresh(make)
        with pytest.raises(UserError, match=message):
            load_encoder_weights(target, "name", save(tmp_path, state))
        assert all(torch.all(value == 7) for value in target.state_dict().values())


def test_mmsegmentation_attention_of_the_wrong_width_is_refused(tmp_path):
    state = mit_mmseg(mit())
    key = "layers.0.1.0.attn.attn.in_proj_weight"
    state[key] = state[key][:-1]
    with pytest.raises(UserError, match=r"of another shape: block1.0.attn.q.weight \(15, 16\) where"):
        load_encoder_weights(mit(), "mit", save(tmp_path, state))


def test_one_tensor_under_two_names_is_refused(tmp_path):
    state = dict(mscan().state_dict()) | mscan_mmseg(mscan())
    with pytest.raises(UserError, match="a second time"):
        load_encoder_weights(mscan(), "mscan", save(tmp_path, state))


def test_weights_of_another_architecture_name_the_known_layouts(tmp_path):
    with pytest.raises(UserError, match=r"no layout that mit_b0 knows \(official.*mmsegmentation.*Hugging Face"):
        load_encoder_weights(mit(), "mit_b0", save(tmp_path, mscan().state_dict()))
    with pytest.raises(UserError, match=r"does not fit mit_b0: \d+ missing: block2\.1\."):
        load_encoder_weights(mit(), "mit_b0", save(tmp_path, MiT((16, 32, 80, 64), (1, 1, 1, 1)).state_dict()))


class Harmful:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_pickle_with_code_is_refused_unread(tmp_path, capsys):
    torch.save({"state_dict": mit().state_dict(), "meta": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="holds more than tensors"):
        load_encoder_weights(mit(), "mit", str(tmp_path / "bad.pth"))
    assert "this must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_file(tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="weights"):
        load_encoder_weights(mit(), "mit", str(path))


def test_content_tells_the_kind_of_weights(tmp_path):
    """A safetensors file called .pth was said to hold code."""
    state = randomise(mit()).state_dict()
    Path(save(tmp_path, state)).rename(tmp_path / "a.pth")
    torch.save(state, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        assert load_encoder_weights(mit(), "mit", str(tmp_path / name)).loaded == len(state), name


@pytest.mark.parametrize("content", [{"weight": 3}, [1, 2], {"state_dict": {}}, {}])
def test_file_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="no state dict"):
        load_encoder_weights(mit(), "mit", str(tmp_path / "weights.pth"))


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_encoder_weights(mit(), "mit", str(tmp_path / "weights.pth"))
    with pytest.raises(UserError, match="no such file"):
        load_encoder_weights(mit(), "mit", "weights/mit_b0.pth")


def test_checksum_of_a_file(tmp_path):
    source = save(tmp_path, mit().state_dict())
    right = hashlib.sha256((tmp_path / "weights.safetensors").read_bytes()).hexdigest()
    load_encoder_weights(mit(), "mit", source, right.upper())
    load_encoder_weights(mit(), "mit", f"{source}#sha256={right}")
    with pytest.raises(UserError, match=f"SHA-256 is {right}, not 0000"):
        load_encoder_weights(mit(), "mit", source, "0" * 64)
    with pytest.raises(UserError, match="64 hexadecimal digits"):
        load_encoder_weights(mit(), "mit", source, "abc")


ADDRESS = "https://weights.invalid/mit_b0.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch.hub's folder in tmp_path, and downloads that copy `published`."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    published = tmp_path / "published.pth"
    torch.save(mit().state_dict(), published)
    fetched = []

    def urlopen(request, *args, **kwargs):
        fetched.append(request.full_url)
        return real_urlopen(published.as_uri())

    monkeypatch.setattr("torch.hub.urlopen", urlopen)
    return tmp_path / "hub" / "checkpoints", hashlib.sha256(published.read_bytes()).hexdigest(), fetched


def test_address_is_checked_cached_and_fetched_once(cache):
    folder, checksum, fetched = cache
    load_encoder_weights(mit(), "mit", ADDRESS, checksum)
    load_encoder_weights(mit(), "mit", f"{ADDRESS}#sha256={checksum}")
    assert fetched == [ADDRESS]
    (file,) = folder.iterdir()
    file.write_bytes(b"damaged in the cache")
    load_encoder_weights(mit(), "mit", ADDRESS, checksum)
    assert fetched == [ADDRESS, ADDRESS]


def test_address_with_another_checksum_leaves_nothing_behind(cache):
    folder, _, _ = cache
    with pytest.raises(UserError, match="not the file of this checksum"):
        load_encoder_weights(mit(), "mit", ADDRESS, "0" * 64)
    assert list(folder.iterdir()) == []


def test_address_needs_its_checksum_and_https(cache):
    with pytest.raises(UserError, match="needs its checksum"):
        load_encoder_weights(mit(), "mit", ADDRESS)
    with pytest.raises(UserError, match="only https"):
        load_encoder_weights(mit(), "mit", "http://weights.invalid/mit_b0.pth", "0" * 64)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No name resolves, and the caches are empty."""

    def getaddrinfo(host, *args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("source", ["nvidia/mit-b0", f"{ADDRESS}#sha256={'0' * 64}"])
def test_no_network_is_said_plainly(offline, source):
    with pytest.raises(UserError, match=r"cannot be downloaded.*without network give a file"):
        load_encoder_weights(mit(), "mit_b0", source)


def test_hub_name_takes_the_file_in_the_cache(offline, tmp_path, monkeypatch):
    source = randomise(mit())
    snapshot = tmp_path / "hf" / "models--some--where"
    (snapshot / "snapshots" / "abc").mkdir(parents=True)
    (snapshot / "refs").mkdir()
    (snapshot / "refs" / "main").write_text("abc")
    torch.save(source.state_dict(), snapshot / "snapshots" / "abc" / "pytorch_model.bin")
    monkeypatch.chdir(tmp_path)
    target = mit()
    load_encoder_weights(target, "mit", "some/where")
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)

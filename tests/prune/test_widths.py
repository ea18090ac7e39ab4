"""Widths as configuration: the parameters follow from them, and null is what was there before."""

from typing import Any

import pytest

from scaseg.complexity.summary import counts, parameters
from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.runs.earlier import read_config
from scaseg.schema import Run
from scaseg.typed import to_plain

DECODER = {"ffn_channels": [64, 32, 16, 8], "lpm_channels": [24, 16, 8, 4], "value_channels": [4, 4, 4, 4]}


def chosen(*overrides: str) -> Run:
    return run_config(compose("train", ["dataset=shapes", *overrides]))


def changed(run: Run, part: str, **values: Any) -> int:
    """Parameters more than without these values."""
    parts = {"backbone": run.backbone, "decoder": run.decoder}
    before = parameters(*parts.values(), 8).total
    parts[part] = parts[part].changed(**values)
    return parameters(*parts.values(), 8).total - before


def test_a_channel_of_the_decoder_is_its_rows_and_columns() -> None:
    run = chosen("backbone=mit_b0")
    channels, total = [256, 160, 64, 32], 512  # of stages 4, 3, 2, 1; of the memory
    of_stages = [c * 4 for c in channels]
    assert changed(run, "decoder", ffn_channels=of_stages) == 0
    assert changed(run, "decoder", lpm_channels=channels) == 0
    heads = [8, 5, 2, 1]
    assert changed(run, "decoder", value_channels=[c // h for c, h in zip(channels, heads, strict=True)]) == 0
    for place, c in enumerate(channels):
        ffn, lpm, value = list(of_stages), list(channels), [c // h for c, h in zip(channels, heads, strict=True)]
        for widths in (ffn, lpm, value):
            widths[place] -= 1
        assert changed(run, "decoder", ffn_channels=ffn) == -(2 * c + 1 + 10)
        squeeze = max(1, c // 16)  # stays as it was
        assert changed(run, "decoder", lpm_channels=lpm) == -(2 * c + 1 + 10 + 2 * squeeze + 1)
        assert changed(run, "decoder", value_channels=value) == -heads[place] * (total + c)


@pytest.mark.parametrize("name", ["mit_b0", "mscan_t"])
def test_a_channel_of_the_encoder_is_its_rows_and_columns(name: str) -> None:
    run = chosen(f"backbone={name}")
    ratios = [4, 4, 4, 4] if name == "mit_b0" else [8, 8, 4, 4]
    channels, depths = run.backbone.option("channels"), run.backbone.option("depths")
    widths = [[r * c] * depth for r, c, depth in zip(ratios, channels, depths, strict=True)]
    assert changed(run, "backbone", ffn_channels=widths) == 0
    widths[2][1] -= 3
    assert changed(run, "backbone", ffn_channels=widths) == -3 * (2 * channels[2] + 1 + 10)


def test_a_channel_of_an_inverted_residual_block_is_its_rows_and_columns() -> None:
    run = chosen("backbone=efficientnet_lite0")
    wide = [96, *2 * [144], *2 * [240], *3 * [480], *3 * [672], *4 * [1152]]
    assert changed(run, "backbone", hidden_channels=wide) == 0
    wide[0] -= 5  # 16 channels to 24, by 3 x 3, two norms
    assert changed(run, "backbone", hidden_channels=wide) == -5 * (16 + 24 + 9 + 4)


def test_multiply_adds_follow() -> None:
    run = chosen("backbone=mit_b0")
    narrow = run.decoder.changed(**DECODER)
    counted = counts(run.backbone, narrow, 8, (64, 64))
    assert counted.unknown == {}
    assert counted.parts["decoder stage 4 FFN"][0] == 4 * 64 * (2 * 256 + 9)
    assert counted.parts["decoder stage 4 LPM"][0] == 4 * 24 * (2 * 256 + 9) + 2 * 24 * 16


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["decoder.ffn_channels=[8,8]"], "decoder.ffn_channels=[8, 8]: a number from 1 on for each of the stages 4, 3"),
        (["decoder.clb_stages=[4]", "decoder.value_channels=[0]"], "decoder.value_channels=[0]: a number from 1 on"),
        (["backbone.ffn_channels=[[8],[8],[8],[8]]"], "a number from 1 on a block, depths [2, 2, 2, 2]"),
        (
            ["backbone=mobilenetv2", "backbone.hidden_channels=[97]"],
            "inverted residual block from 1 to [96, 144",
        ),
        (["backbone=timm", "backbone.name=resnet18", "backbone.hidden_channels=[8]"], "from 1 to []"),
    ],
)
def test_other_numbers_are_refused(overrides: list[str], message: str) -> None:
    run = chosen(*([] if overrides[0].startswith("backbone=") else ["backbone=mit_b0"]), *overrides)
    with pytest.raises(UserError) as error:
        parameters(run.backbone, run.decoder, 8)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["mit_b0", "mscan_t", "efficientnet_lite0"])
@pytest.mark.parametrize("decoder", ["scaseg", "segformer"])
def test_runs_keep_their_names_and_earlier_ones_are_read(name: str, decoder: str) -> None:
    run = chosen(f"backbone={name}", f"decoder={decoder}")
    earlier = to_plain(run)
    for part, keys in {"backbone": ["ffn_channels", "hidden_channels"], "decoder": list(DECODER)}.items():
        earlier[part] = {key: value for key, value in earlier[part].items() if key not in keys}
    found = read_config(earlier)
    assert found.name == run.name
    assert parameters(found.backbone, found.decoder, 8) == parameters(run.backbone, run.decoder, 8)

"""Parameters and multiply-adds of SCASeg against exact figures of an independent count."""

import pytest

from scaseg.complexity.published import unused_parameters
from scaseg.complexity.summary import parameters, published_counts
from tests.complexity.models import config, decoder_part

# encoder, model with 150 classes, published with 150 and 21, G with 150, Cityscapes block with 19: model, G
ENCODERS = [
    ("mit_b0", 3.319392, 4.910038, 6.003308, 5.953514, 5.936, 5.258195, 101.706),
    ("mit_b1", 13.151424, 19.224854, 23.469996, 23.420202, 17.452, 20.654867, 248.763),
    ("mit_b2", 24.196288, 31.022358, 35.267500, 35.135146, 39.622, 32.368531, 516.604),
    ("mit_b3", 44.072128, 50.898198, 55.143340, 55.010986, 56.292, 51.575571, 675.042),
    ("mit_b4", 60.842688, 67.668758, 71.913900, 71.781546, 72.951, 68.346131, 953.003),
    ("mit_b5", 81.443008, 88.269078, 92.514220, 92.381866, 88.931, 88.946451, 1172.915),
    ("mscan_t", 3.903584, 5.494230, 6.587500, 6.537706, 7.360, 5.842387, 54.849),
    ("mscan_s", 13.450176, 19.523606, 23.768748, 23.718954, 20.368, 20.953619, 155.592),
    ("mscan_b", 26.277824, 32.351254, 36.596396, 36.546602, 33.559, 33.781267, 261.120),
]
# encoder, overrides, classes, published M, G at 512 x 512
CELLS = [
    ("mit_b0", ("decoder.attn=ca", "lpm=none"), 21, 6.088, 5.889),
    ("mit_b0", ("decoder.attn=ca",), 150, 6.351, 6.327),
    ("mit_b0", ("lpm=none",), 21, 5.741, 5.498),
    ("mit_b0", (), 150, 6.003, 5.936),
    ("mscan_t", ("decoder.attn=ca", "lpm=none"), 21, 6.673, 7.313),
    ("mscan_t", ("decoder.attn=ca",), 21, 6.885, 7.480),
    ("mscan_t", ("lpm=none",), 21, 6.325, 6.922),
    ("mscan_t", (), 150, 6.588, 7.360),
    ("mit_b0", ("lpm=cbam",), 21, 5.953, 5.667),
    ("mit_b0", ("lpm=eca",), 21, 5.941, 5.665),
    ("mit_b0", ("lpm=coord",), 21, 5.954, 5.666),
    ("mscan_t", ("lpm=cbam",), 21, 6.538, 7.091),
    ("mscan_t", ("lpm=eca",), 21, 6.525, 7.089),
    ("mscan_t", ("lpm=coord",), 21, 6.539, 7.090),
    ("mscan_t", ("decoder.qk_channels=2",), 150, 6.599, 7.372),
    ("mscan_t", ("decoder.qk_channels=4",), 150, 6.621, 7.398),
    ("mscan_t", ("decoder.qk_channels=8",), 150, 6.666, 7.448),
    ("mit_b0", ("lpm=none", "decoder.clb_stages=[4]"), 21, 5.741, 4.603),
    ("mit_b0", ("lpm=none", "decoder.clb_stages=[4,3]"), 21, 5.741, 4.921),
    ("mit_b0", ("lpm=none", "decoder.clb_stages=[4,3,2]"), 21, 5.741, 5.171),
    ("mscan_t", ("lpm=none", "decoder.clb_stages=[4]"), 21, 6.325, 6.027),
    ("mscan_t", ("lpm=none", "decoder.clb_stages=[4,3]"), 21, 6.325, 6.345),
    ("mscan_t", ("lpm=none", "decoder.clb_stages=[4,3,2]"), 21, 6.325, 6.595),
]


@pytest.mark.parametrize("row", ENCODERS, ids=[row[0] for row in ENCODERS])
def test_encoders(row: tuple[str, *tuple[float, ...]]) -> None:
    name, encoder, model, published_150, published_21, gflops, city_model, city_gflops = row
    cfg = config(f"backbone={name}")
    params = parameters(*cfg, 150)
    assert params.encoder == round(encoder * 1e6)
    assert params.total == params.encoder + params.decoder == round(model * 1e6)
    assert params.published == round(published_150 * 1e6)
    assert parameters(*cfg, 21).published == round(published_21 * 1e6)
    assert published_counts(*cfg, 150, (512, 512)).macs_paper / 1e9 == pytest.approx(gflops, abs=6e-4)
    city = config(f"backbone={name}", "decoder.query_pool=2")
    assert parameters(*city, 19).total == round(city_model * 1e6)
    counts = published_counts(*city, 19, (1024, 2048))
    assert counts.macs_paper / 1e9 == pytest.approx(city_gflops, abs=1.1e-3)
    assert not counts.unknown


def test_lvt() -> None:
    cfg = config("backbone=lvt")
    params = parameters(*cfg, 150)
    assert [params.encoder / 1e6, params.total / 1e6, params.published / 1e6] == pytest.approx(
        [3.429, 5.107, 6.336], abs=6e-4
    )
    assert published_counts(*cfg, 150, (512, 512)).macs_paper / 1e9 == pytest.approx(8.855, abs=6e-4)
    city = config("backbone=lvt", "decoder.query_pool=2")
    assert published_counts(*city, 19, (1024, 2048)).macs_paper / 1e9 == pytest.approx(122.388, abs=6e-4)


@pytest.mark.parametrize(("backbone", "overrides", "classes", "millions", "gflops"), CELLS)
def test_ablations(backbone: str, overrides: tuple[str, ...], classes: int, millions: float, gflops: float) -> None:
    cfg = config(f"backbone={backbone}", *overrides)
    assert parameters(*cfg, classes).published / 1e6 == pytest.approx(millions, abs=6e-4)
    assert published_counts(*cfg, classes, (512, 512)).macs_paper / 1e9 == pytest.approx(gflops, abs=6e-4)


def test_unused_tensors_by_hand() -> None:
    channels = (1, 2, 3, 4)  # T = 10
    plain = unused_parameters(decoder_part(name="scaseg", query_pool=1), channels, 7)
    assert plain == 4 * (100 + 10 + 20) + 257 * 7
    assert unused_parameters(decoder_part(name="scaseg", query_pool=2), channels, 7) == plain - 4 * 20
    assert unused_parameters(decoder_part(name="segformer"), channels, 7) == 129 * 7
    assert unused_parameters(decoder_part(name="vwformer"), channels, 7) == 0
    assert unused_parameters(decoder_part(name="ccaseg", first_stage=1), channels, 7) == 129 * 7
    injections = (2 * 3 + 3 * 3 + 4 * 3) + (3 * 4 + 4 * 4 + 4 * 4)
    assert unused_parameters(decoder_part(name="ccaseg", first_stage=2), channels, 7) == 129 * 7 + injections


def test_published_form_does_not_depend_on_how_the_model_runs() -> None:
    forms = [
        config(f"decoder.fuse={fuse}", f"decoder.strip={s}")
        for fuse in ("native", "literal")
        for s in ("auto", "exact")
    ]
    assert len({published_counts(*cfg, 150, (512, 512)).macs_paper for cfg in forms}) == 1
    assert len({parameters(*cfg, 150) for cfg in forms}) == 1

"""The form of pictures: what of it is refused, and that it names no run of RGB anew."""

import pytest

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.form import RGB, Form, form_of
from scaseg.runs.earlier import read_config
from scaseg.schema import Run
from scaseg.typed import to_plain


def test_default_is_rgb_of_8_bits():
    assert form_of({}) == RGB and RGB.is_rgb and not Form(3, "uint16").is_rgb and not Form(4).is_rgb


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": 0}, "dataset.channels=0: a whole number from 1"),
        ({"channels": True}, "dataset.channels=True"),
        ({"channels": 2.5}, "dataset.channels=2.5"),
        ({"channels": "7"}, "dataset.channels=7"),
        ({"dtype": "uint12"}, "dataset.dtype=uint12: choose one of uint8, uint16, int16, float32"),
        ({"channels": 2, "channel_names": ["a"]}, "dataset.channel_names=['a']: a list of 2"),
        ({"channels": 2, "channel_names": ["a", "a"]}, "a name comes twice"),
        ({"mean": [1, 2, 3]}, "both or neither"),
        ({"channels": 2, "mean": [1, 2, 3], "std": [1, 1]}, "dataset.mean=[1, 2, 3]: a list of 2"),
        ({"mean": [1, 2, 3], "std": [1, 0, 1]}, "dataset.std=0"),
        ({"mean": [1, "x", 3], "std": [1, 1, 1]}, "dataset.mean=x: a number"),
        ({"show_channels": [0, 1]}, "three numbers from 0 to 2"),
        ({"show_channels": [0, 1, 3]}, "three numbers from 0 to 2"),
        ({"channels": 4, "channel_names": ["b", "g", "r", "n"], "show_channels": ["r", "g", "x"]}, "or of b, g, r, n"),
    ],
)
def test_what_is_wrong_is_said_by_its_key(options, said):
    with pytest.raises(UserError) as error:
        form_of(options)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_channels_are_shown_by_number_or_name_and_else_the_first():
    named = {"channels": 4, "channel_names": ["b", "g", "r", "n"]}
    assert form_of({**named, "show_channels": ["n", "r", 1]}).shown == (3, 2, 1)
    assert [form_of({"channels": n}).shown for n in (1, 2, 7)] == [(0, 0, 0), (0, 1, 1), (0, 1, 2)]


def test_runs_of_rgb_keep_their_names_and_what_is_shown_names_none(tmp_path):
    def name(*overrides: str) -> str:
        return run_config(compose("train", ["dataset=folder", f"data_dir={tmp_path}", *overrides])).name

    def as_before(run: Run) -> Run:
        plain = to_plain(run)
        keys = ("channels", "dtype", "channel_names", "show_channels", "mean", "std")
        return read_config({**plain, "dataset": {k: v for k, v in plain["dataset"].items() if k not in keys}})

    run = run_config(compose("train", ["dataset=folder", f"data_dir={tmp_path}"]))
    assert as_before(run).name == run.name == name("dataset.show_channels=[2,1,0]", "dataset.channel_names=[r,g,b]")
    assert len({name(), name("dataset.channels=4"), name("dataset.dtype=uint16")}) == 3

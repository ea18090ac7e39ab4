from pathlib import Path
from typing import Any

import pytest

from scaseg.errors import UserError
from scaseg.report.curves import draw, drawn, series, short_names


def test_curves_of_two_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("step,train/loss,val/mIoU\n10,2.5,\n20,1.5,\n20,,31.25\n")
    assert series(tmp_path / "a/metrics.csv", "train/loss") == ([10, 20], [2.5, 1.5])
    assert series(tmp_path / "a/metrics.csv", "val/mIoU") == ([20], [31.25])
    draw([tmp_path / "a", tmp_path / "b"], tmp_path / "sub/curves.png")
    assert (tmp_path / "sub/curves.png").read_bytes().startswith(b"\x89PNG")


def test_runs_that_have_logged_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b/metrics.csv").write_text("step,train/loss\n")
    with pytest.raises(UserError, match="none of the 2 runs has logged a step yet"):
        draw([tmp_path / "a", tmp_path / "b"], tmp_path / "curves.png")
    (tmp_path / "b/metrics.csv").write_text("step,train/loss\n1,2.5\n")
    draw([tmp_path / "a", tmp_path / "b"], tmp_path / "curves.png")
    assert f"not drawn: {tmp_path / 'a'} has logged no step yet" in capsys.readouterr().err
    assert (tmp_path / "curves.png").exists()
    with pytest.raises(UserError, match="must end in"):
        draw([], tmp_path / "curves.txt")
    with pytest.raises(UserError, match=r"curves\.png is a file, not a folder; name another place"):
        draw([tmp_path / "b"], tmp_path / "curves.png" / "more.png")


LOSS = ([1, 2, 3], [3.0, 2.0, 1.5])
NAMES = [f"camvid-mit_b0-a_decoder_with_quite_a_long_name-sca-s{seed}-05cfaa9e" for seed in range(12)]


@pytest.mark.parametrize(
    "curves",
    [
        {"one": [LOSS, ([], [])]},
        {"one": [([1], [3.0]), ([], [])]},
        {"one": [([], []), ([4], [0.0])]},
        {name: [LOSS, ([3], [40.0])] for name in NAMES},
    ],
)
def test_panels_show_steps_from_0_and_legends_what_is_drawn(curves: dict[str, Any]) -> None:
    figure = drawn(curves)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert axes.get_xlim()[0] == 0
        assert all(step == int(step) for step in axes.get_xticks())
        empty = not any(len(line.get_xdata()) for line in axes.lines)
        assert [text.get_text() for text in axes.texts] == (
            [f"no {axes.get_ylabel().split(',')[0]} yet"] if empty else []
        )
    (legend,) = figure.legends
    assert len(legend.get_texts()) == len(curves)
    edge = figure.bbox
    for text in [*legend.get_texts(), *(axes.xaxis.label for axes in figure.axes)]:
        box = text.get_window_extent()
        assert edge.x0 <= box.x0 < box.x1 <= edge.x1
        assert edge.y0 <= box.y0 < box.y1 <= edge.y1
    for axes in figure.axes:  # the legend is beside the curves, not over them
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())


def test_names_are_short_and_still_tell_the_runs_apart() -> None:
    assert short_names(["a-b-c"]) == (["a-b-c"], "")
    assert short_names(["a-b-c", "a-b-d"]) == (["c", "d"], "a-b")
    assert short_names(["a-b", "a-b"]) == (["b", "b"], "a")
    assert short_names(["ab", "ac"]) == (["ab", "ac"], "")

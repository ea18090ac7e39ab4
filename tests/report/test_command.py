import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scaseg.errors import UserError
from scaseg.report.__main__ import main
from scaseg.report.figure import Point, dataset_of, draw, drawn, published_points, run_points
from scaseg.report.runs import collect
from tests.report.folders import run_folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The command in this process -> (exit status, standard error)."""

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["scaseg.report", *arguments])
        status: Any = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return call


def test_a_table_with_runs(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    run_folder(tmp_path / "runs", "a", 42.0, "decoder.qk_channels=1", "backbone=mscan_t")
    output = tmp_path / "out" / "table.tex"
    status, said = run("table=7", f"runs={tmp_path}/runs", "format=latex", f"output={output}")
    assert status == 0, said
    text = output.read_text(encoding="utf-8")
    assert r"\toprule" in text
    assert "42.00 (n = 1)" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table=9",), "error: table=9: choose one of 1, 2"),
        (("runs=nowhere",), "error: runs=nowhere: no run there"),
        (("table=all", "format=csv"), "error: table=all format=csv: a CSV file holds one table; give table=1"),
        (("table=1", "output=/proc/x.md"), "error: output=/proc/x.md: /proc cannot be written to"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], message: str, run: Callable[..., tuple[int, str]]) -> None:
    status, said = run(*arguments)
    assert status == 2
    assert said.startswith(message)


def test_the_figure_is_of_the_runs(tmp_path: Path) -> None:
    for name, dataset in (("a", "shapes"), ("b", "shapes"), ("c", "voc")):
        run_folder(tmp_path / dataset, name, 40.0, f"dataset={dataset}", f"seed={len(name + dataset)}")
    shapes, both = collect(str(tmp_path / "shapes"))[0], collect(str(tmp_path))[0]
    assert dataset_of([], None, None) == "ade20k"
    assert dataset_of([], "voc", None) == "voc"
    assert dataset_of(shapes, None, "runs") == "shapes"
    assert dataset_of(both, "voc", "runs") == "voc"
    for runs, asked, message in (
        (both, None, "runs=runs: 2 on shapes, 1 on voc; a figure shows one dataset: figure_dataset=..."),
        (shapes, "ade20k", r"runs=runs: none of them is on ade20k \(2 on shapes\)"),
        ([], None, r"runs=runs: none of them is finished \(no finished run there\)"),
    ):
        with pytest.raises(UserError, match=message):
            dataset_of(runs, asked, "runs")
    assert published_points("shapes") == []


@pytest.mark.parametrize("backbones", [["mit_b0"], ["mit_b0", "mscan_t", "segman_t"], [f"mit_b{i}" for i in range(6)]])
@pytest.mark.parametrize("dataset", ["camvid", "ade20k"])
def test_a_figures_words_are_within_it_and_of_what_it_shows(backbones: list[str], dataset: str) -> None:
    measured = [
        Point(decoder, backbone, 4.0 * 2**i, 30.0 + 5 * i, 1.0)
        for decoder in ("scaseg", "a_decoder_of_a_long_name")
        for i, backbone in enumerate(backbones)
    ]
    figure = drawn(published_points(dataset), measured, dataset)
    figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    for text in axes.texts:
        assert axes.bbox.x0 <= text.get_window_extent().x0 < text.get_window_extent().x1 <= axes.bbox.x1, text
    assert not legend.get_window_extent().overlaps(axes.bbox)
    assert figure.bbox.x0 <= legend.get_window_extent().x0 < legend.get_window_extent().x1 <= figure.bbox.x1
    title = legend.get_title().get_text()
    families = {point.family for point in [*published_points(dataset), *measured]}
    assert all((family in title) == (family in families and len(families) > 1) for family in ("MiT", "MSCAN", "segman"))
    shown = " ".join(text.get_text() for text in legend.get_texts())
    assert ("printed" in shown or "our runs" in shown) == (dataset == "ade20k")


def test_figure(tmp_path: Path) -> None:
    printed = published_points("ade20k")
    scaseg = [point for point in printed if point.decoder == "SCASeg"]
    assert {point.backbone for point in scaseg if point.family == "MiT"} == {f"MiT-B{i}" for i in range(6)}
    assert (5.9, 41.6) in {(point.gflops, point.miou) for point in scaseg}
    for seed in (0, 1):
        run_folder(tmp_path / "runs", f"a{seed}", 40.0 + 2 * seed, f"seed={seed}")
    measured = run_points(collect(str(tmp_path / "runs"))[0])
    assert [(p.decoder, p.backbone, p.family, p.miou, p.std) for p in measured] == [
        ("scaseg", "mit_b0", "MiT", 41.0, pytest.approx(2**0.5))
    ]
    assert 0.1 < measured[0].gflops < 1
    draw(printed, measured, "ade20k", tmp_path / "new" / "figure.png")
    assert (tmp_path / "new" / "figure.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"must end in \.png"):
        draw(printed, [], "ade20k", tmp_path / "figure.gif")
    with pytest.raises(UserError, match="neither the paper nor the runs"):
        draw(published_points("shapes"), [], "shapes", tmp_path / "figure.png")

"""The page: complete in itself, right in its figures, and in a browser sortable and no wider than a phone."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from scaseg.report.chart import Series, chart
from scaseg.report.html import page
from scaseg.report.runs import collect
from scaseg.report.runs_table import runs_table
from scaseg.runs import store
from tests.browser import measured
from tests.report.folders import run_folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations with two seeds, a job that failed and one that never began."""
    root = tmp_path_factory.mktemp("sweep")
    for attention, miou in (("ca", 9.5), ("sca", 10.25)):
        for seed in (0, 1):
            folder = run_folder(root, f"{attention}-{seed}", miou + seed, f"decoder.attn={attention}", f"seed={seed}")
            with (folder / "metrics.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, ["step", "train/loss", "val/mIoU"])
                writer.writeheader()
                writer.writerows({"step": i, "train/loss": 3 / i, "val/mIoU": miou * i / 4} for i in range(1, 5))
            (folder / "pictures").mkdir()
            Image.new("RGB", (640, 100), "teal").save(folder / "pictures" / "step_000004.png")
    for name, fields in (("x", {"status": "failed", "error": "<b>boom</b>"}), ("y", {"status": "pending"})):
        (root / name).mkdir()
        store.write(root / name, label="seed=9", **fields)
    return root


def rendered(sweep: Path) -> str:
    runs, problems = collect(str(sweep))
    return page([runs_table(runs, problems)], runs, str(sweep))


def test_the_page_needs_nothing_else(sweep: Path) -> None:
    text = rendered(sweep)
    assert not re.findall(r'(?:src|href)="(?!data:)|url\(|@import|<link(?! rel="icon")', text)
    HTMLParser().feed(text)
    assert text.count("<svg") == 3
    assert text.count("data:image/webp;base64,") == 2
    for said in (
        "10.00 ±\xa00.71 (n\xa0=\xa02)",
        "10.75 ±\xa00.71 (n\xa0=\xa02)",
        "&lt;b&gt;boom&lt;/b&gt;",
        "<b>4</b> done",
    ):
        assert said in text
    assert "<b>1</b> failed" in text
    assert "<b>1</b> pending" in text
    assert "<b>boom" not in text


def test_charts_show_what_they_are_given() -> None:
    assert chart([], "x", "y") == ""
    assert chart([Series("a", 0, [1], [float("nan")])], "x", "y") == ""
    one = chart([Series("a & b", 0, [1, 2], [0, 10])], "x", "y", log_y=True)  # 0 has no place on a log axis
    assert one.count("<circle") == 1
    assert "a &amp; b" in one
    bars = chart([Series("a", 0, [1], [5], False, [2])], "x", "y")
    heights = [float(y) for y in re.findall(r'y[12]="([\d.]+)"', bars)]
    assert min(heights) >= 0
    assert max(heights) <= 300
    line = chart([Series("a", 0, [0, 5, 10], [1, 2, 3])], "x", "y")
    (points,) = re.findall(r'points="([^"]+)"', line)
    places = [tuple(map(float, point.split(","))) for point in points.split(" ")]
    assert places == sorted(places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)

    steps = chart([Series("a", 0, [4], [0.5])], "step", "y", steps=True)
    labels = re.findall(r'text-anchor="middle">([^<]+)<', steps)
    assert labels[:-1] == ["0", "1", "2", "3", "4"]
    single = chart([Series("a", 0, [0.07], [0.0], False, [3])], "GFLOPs", "y")
    assert not re.findall(r">-[\d.]+<", single)  # neither has a quantity below 0


CLICKS = """() => {
  const table = document.querySelector("table"), button = table.querySelector("th.kept button");
  const column = () => [...table.tBodies[0].rows].map((row) => row.querySelector("td.kept").textContent);
  button.click(); const rising = column(); button.click(); const falling = column();
  const failed = document.querySelectorAll("td.failed").length;
  return { rising, falling, failed };
}"""


def test_in_a_browser_tables_sort_and_a_phone_scrolls_down_alone(sweep: Path, tmp_path: Path) -> None:
    """Also of many keys and long names: mIoU stays in sight, and no name is cut into slivers."""
    for seed, more in ((0, []), (1, []), (0, ["training.lr=1e-5"])):
        of_run = ["training.ema_decay=0.999", "augment.scale=[0.25,4.0]", f"seed={seed}", *more]
        run_folder(
            tmp_path / "many", f"camvid-a_backbone-decoder_of_a_long_name-{seed}{len(more)}", 50.0 - len(more), *of_run
        )
    run_folder(tmp_path / "many", "camvid-efficientnet_lite0-umixformer-s0-0123abcd", 48.0, "decoder=umixformer")
    runs, _ = collect(str(tmp_path / "many"))
    classes = [f"class number {i}" for i in range(150)]
    result = json.loads((runs[0].folder / "result.json").read_text())
    result["per_class"] = {name: {"iou": 50.0} for name in classes}
    (runs[0].folder / "result.json").write_text(json.dumps(result))
    many = page([runs_table(runs)], runs, str(tmp_path / "many"))
    shown = measured(tmp_path, {"sweep": rendered(sweep), "many": many}, CLICKS)
    for (_, width), told in shown.items():
        assert told["wide"] <= width
        assert told["kept"]
        assert all(told["kept"])
        assert told["lines"] <= 4
        assert told["more"]["falling"] == told["more"]["rising"][::-1]
    told = shown["sweep", 390]["more"]
    assert told["rising"] == ["10.00 ±\xa00.71 (n\xa0=\xa02)", "10.75 ±\xa00.71 (n\xa0=\xa02)"]
    assert told["failed"] == 1

"""The page: complete in itself, right in its figures, and in a browser sortable and no wider than a phone."""

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from scaseg import run_store
from scaseg.report.chart import Series, chart
from scaseg.report.html import page
from scaseg.report.runs import collect
from scaseg.report.runs_table import runs_table
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
        run_store.write(root / name, label="seed=9", **fields)
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
    for said in ("10.00 ± 0.71 (n = 2)", "10.75 ± 0.71 (n = 2)", "&lt;b&gt;boom&lt;/b&gt;", "<b>4</b> done"):
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


CLICKS = """<script>
addEventListener("load", () => {
  const table = document.querySelector("table"), button = [...table.querySelectorAll("button")].at(-1);
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[row.cells.length - 1].textContent);
  button.click(); const rising = column(); button.click(); const falling = column();
  const failed = [...document.querySelectorAll("td.failed")].map((cell) => getComputedStyle(cell).color);
  const told = { rising, falling, failed, wide: document.documentElement.scrollWidth, window: innerWidth };
  parent.postMessage(JSON.stringify(told), "*");
});
</script>"""


def test_in_a_browser_tables_sort_and_a_phone_scrolls_down_alone(sweep: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    (tmp_path / "page.html").write_text(rendered(sweep).replace("</body>", f"{CLICKS}</body>"), encoding="utf-8")
    (tmp_path / "phone.html").write_text(
        '<script>addEventListener("message", (e) => document.write(`<pre>${e.data}</pre>`))</script>'
        '<iframe src="page.html" width="390" height="800"></iframe>'
    )
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *options, "--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path / 'phone.html'}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (said,) = re.findall(r"<pre>(.*?)</pre>", shown)
    told = json.loads(said)
    assert told["rising"] == ["10.00 ± 0.71 (n = 2)", "10.75 ± 0.71 (n = 2)"]
    assert told["falling"] == told["rising"][::-1]
    assert told["window"] == 390
    assert told["wide"] <= 390
    assert len(told["failed"]) == 1

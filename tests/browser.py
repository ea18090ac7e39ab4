"""Pages in Chromium at the width of a phone and of a desk, without a driver: frames that tell what they measure."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (390, 1280)
REPORT = """<script>
addEventListener("load", () => {
  const inside = (box, around) => box.left >= around.left - 1 && box.right <= around.right + 1;
  const boxes = [...document.querySelectorAll(".scroll")];
  const told = {
    wide: document.documentElement.scrollWidth,
    kept: boxes.flatMap((box) => [...box.querySelectorAll(".kept")].map(
      (cell) => inside(cell.getBoundingClientRect(), box.getBoundingClientRect()))),
    lines: Math.max(0, ...[...document.querySelectorAll("td:first-child")].map(
      (cell) => Math.round(cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight)))),
    more: (MORE)(),
  };
  parent.postMessage([NAME, innerWidth, JSON.stringify(told)], "*");
});
</script>"""
FRAMES = """<script>addEventListener("message", ({ data: [name, width, told] }) => {
  const line = document.createElement("pre"); line.textContent = JSON.stringify([name, width, JSON.parse(told)]);
  document.documentElement.append(line);
})</script>"""


def measured(folder: Path, pages: dict[str, str], more: str = "() => null") -> dict[tuple[str, int], dict[str, Any]]:
    """(page, width) -> the document's width, whether each kept cell is in sight, most lines of a name, and `more`.

    more: a function in JavaScript that is called in each page. Skips where there is no Chromium.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    frames = [FRAMES]
    for name, text in pages.items():
        script = REPORT.replace("NAME", json.dumps(name)).replace("MORE", more)
        (folder / f"{name}.html").write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
        frames += [f'<iframe src="{name}.html" width="{width}" height="800"></iframe>' for width in WIDTHS]
    (folder / "frames.html").write_text("".join(frames), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command = [browser, *options, "--virtual-time-budget=5000", "--dump-dom", f"file://{folder / 'frames.html'}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    said = [json.loads(unescape(line)) for line in re.findall(r"<pre>(.*?)</pre>", shown)]
    assert len(said) == len(pages) * len(WIDTHS)
    return {(name, width): told for name, width, told in said}

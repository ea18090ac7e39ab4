"""The demo's page in Debian's chromium, on a desk's width and on a phone's."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.trained.conftest import write_checkpoint

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium")]
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def address(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    other = write_checkpoint(tmp_path_factory.mktemp("o") / "other.ckpt", ["decoder.embed_channels=8"])
    command = [sys.executable, "-m", "scaseg.demo", f"ckpt=[{checkpoint},{other}]", "port=0", "max_mb=1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[0]
        server.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_drop_compare_and_refusals(
    address: str, browser: Any, width: str, photo: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    page = browser.new_page(viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)))
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url))
    page.goto(address)
    file = tmp_path / "photo.png"
    Image.fromarray(np.tile(photo, (4, 4, 1))).save(file)
    page.set_input_files("#file", file)
    page.wait_for_selector("figure .legend li")
    shares = [float(text.rstrip(" %")) for text in page.locator(".legend .share").all_inner_texts()]
    assert 99 < sum(shares) < 101
    page.select_option("#second", index=2)
    page.wait_for_selector("figure >> nth=1")
    left, right = (figure.bounding_box() for figure in page.locator("figure").all())
    assert (left["y"] == right["y"]) == (width == "desk")  # beside each other, or below
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box, mask = (page.locator(f"figure >> nth=0 >> .{name}").bounding_box() for name in ("image", "mask"))
    assert all(abs(box[key] - mask[key]) < 1 for key in box)
    cut = "e => e.scrollWidth > e.clientWidth"
    assert not any(name.evaluate(cut) for name in page.locator(".legend li > span").all())
    colours = """([figure, line]) => {
      const canvas = document.querySelectorAll("figure")[figure].querySelector("canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return [...new Set(new Uint32Array(data.buffer))].length;
    }"""
    several = page.evaluate(colours, [0, 0])
    assert several > 2  # classes, and the lines between them
    entry = page.locator("figure >> nth=0 >> .legend li >> nth=1")
    entry.press("Enter")
    assert entry.get_attribute("aria-pressed") == "true"
    assert page.evaluate(colours, [0, 0]) == 2  # one class and the rest
    entry.press("Enter")
    assert page.evaluate(colours, [0, 0]) == several
    page.fill("#opacity", "10")
    assert page.locator(".mask >> nth=0").evaluate("e => getComputedStyle(e).opacity") == "0.1"
    assert faults == []
    text = tmp_path / "text.png"
    text.write_text("no picture")
    page.set_input_files("#file", text)
    page.wait_for_selector("#status.error")
    assert "not an image" in page.inner_text("#status")
    large = tmp_path / "large.png"
    large.write_bytes(os.urandom(2**20 + 1))
    page.set_input_files("#file", large)
    page.wait_for_selector("#status:has-text('larger')")
    assert all(url.startswith((address, "data:")) for url in outside), json.dumps(outside)
    page.close()

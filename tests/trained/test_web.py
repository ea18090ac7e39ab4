"""The folder that segments in a browser: what it is made of, and that it computes what the checkpoint does."""

import functools
import hashlib
import http.server
import io
import json
import re
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import scaseg
from scaseg.errors import UserError
from scaseg.export import web
from tests.trained.conftest import exported_again

Picture = np.ndarray[Any, Any]
CHROMIUM = shutil.which("chromium")
PIXELS = """() => {
  const canvas = document.querySelector("canvas.mask"), context = canvas.getContext("2d");
  return [canvas.width, canvas.height, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


def test_the_package_is_the_one_that_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: name.encode() for name in web.DIST}
    given = archive(tmp_path / "given.tgz", files)
    with pytest.raises(UserError, match=r"its ort.wasm.min.js is not that of onnxruntime-web .* \(another SHA-256\)"):
        web.runtime_files(str(given))
    monkeypatch.setattr(web, "DIST", {name: hashlib.sha256(name.encode()).hexdigest() for name in files})
    assert web.runtime_files(str(given)) == files
    for folder in (tmp_path / "a", tmp_path / "b" / "package" / "dist"):
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    assert web.runtime_files(str(tmp_path / "a")) == web.runtime_files(str(tmp_path / "b")) == files
    with pytest.raises(UserError, match=r"no ort.wasm.min.js or .* in it; name what `npm pack"):
        web.runtime_files(str(tmp_path))
    with pytest.raises(UserError, match="not an archive that `npm pack"):
        web.runtime_files(str(archive(tmp_path / "half.tgz", {"ort.wasm.min.js": b""})))
    with pytest.raises(UserError, match="no such file or folder"):
        web.runtime_files(str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="npm, which is not installed: name its archive or folder by onnxruntime_web="):
        web.runtime_files(None)


def test_the_folder(labels_file: Path, graph_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: name.encode() for name in web.DIST}
    given = archive(tmp_path / "given.tgz", files)
    with pytest.raises(UserError, match="another SHA-256"):
        exported_again(labels_file, graph_checkpoint, "web", tmp_path / "page", onnxruntime_web=str(given))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.tgz"]
    monkeypatch.setattr(web, "DIST", {name: hashlib.sha256(name.encode()).hexdigest() for name in files})
    asked = {"onnxruntime_web": str(given), "output": "logits"}  # of which a page takes no notice
    page = exported_again(labels_file, graph_checkpoint, "web", tmp_path / "page", **asked)
    model = scaseg.load(page / "model.onnx")
    about = json.loads((page / "about.json").read_text())
    assert about["classes"] == list(model.classes) and about["colours"] == model.colours.tolist()
    assert about["output"] == "labels" and about["input"]["least_side"] == 128
    index = (page / "index.html").read_text()
    for name in re.findall(r'(?:src|href)="([^":,]+)"', index):
        assert (page / name).is_file(), name
    for file in (*page.glob("*.js"), *page.glob("*.css"), page / "index.html"):
        assert "://" not in file.read_text(), file  # no address of another machine


@pytest.fixture(scope="module")
def address(labels_file: Path, graph_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the folder, served as `python -m http.server` serves it."""
    try:
        page = exported_again(labels_file, graph_checkpoint, "web", tmp_path_factory.mktemp("web") / "page")
    except UserError as error:
        pytest.skip(str(error))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(page))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_in_chromium(address: str, graph_checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    image = np.ascontiguousarray(np.tile(photo, (2, 2, 1)))
    Image.fromarray(image).save(tmp_path / "large.png")
    Image.fromarray(photo).save(tmp_path / "small.png")
    (tmp_path / "none.png").write_text("no image")
    model = scaseg.load(graph_checkpoint)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        faults: list[str] = []
        asked: list[tuple[str, str]] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: asked.append((request.method, request.url)))
        page.goto(address)
        page.set_input_files("#file", tmp_path / "large.png")
        page.wait_for_selector("figure .legend li", timeout=120_000)
        width, height, data = page.evaluate(PIXELS)
        assert (height, width) == image.shape[:2]
        wanted = model.predict(image)
        edges = np.zeros(wanted.shape, bool)  # which the page draws white
        edges[:, :-1] |= wanted[:, :-1] != wanted[:, 1:]
        edges[:-1] |= wanted[:-1] != wanted[1:]
        shown = np.array(data, np.uint8).reshape(height, width, 4)[..., :3]
        same = (shown == model.colours[wanted]).all(2)
        assert same[~edges].mean() > 0.999 and (~edges).mean() > 0.2
        shares = [float(text.rstrip(" %")) for text in page.locator(".legend .share").all_inner_texts()]
        assert 99 < sum(shares) < 101
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.set_input_files("#file", tmp_path / "small.png")  # smaller than the graph takes
        page.wait_for_selector(".time:has-text('96 × 72, seen at 171 × 128')", timeout=60_000)
        page.set_input_files("#file", tmp_path / "none.png")
        page.wait_for_selector("#status.error:has-text('not an image')")
        assert faults == []
        assert {method for method, _ in asked} == {"GET"}
        assert all(url.startswith((address, "data:", "blob:")) for _, url in asked), asked
        browser.close()

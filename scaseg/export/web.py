"""A folder that segments images in a browser: the model, onnxruntime-web and a page; nothing is sent anywhere."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scaseg.errors import UserError
from scaseg.pages import FOLDER, OF_MASKS, masks_page

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
DIST = {  # what of the package the page loads, and the SHA-256 of each
    "ort.wasm.min.js": "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
MODEL = "model.onnx"
# A static server sends no header of it.
POLICY = """\
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
img-src 'self' blob: data:; base-uri 'none'; form-action 'none'">
"""
README = f"""A page that segments images in the browser; they do not leave it.

    python -m http.server --bind 127.0.0.1 8000

in this folder, then http://127.0.0.1:8000. Any server of static files does; opened as a file the page loads no model.
In onnxruntime/: {PACKAGE} {VERSION}, MIT licence, https://github.com/microsoft/onnxruntime
"""


def runtime_files(given: str | None) -> dict[str, bytes]:
    """The files of DIST by name: from a folder or an archive of the package, or by `npm pack`. Raises UserError."""
    key = f"onnxruntime_web={given}"
    if given is None:
        return _checked(_packed(), f"what npm packed as {PACKAGE}@{VERSION}")
    path = Path(given).expanduser()
    if path.is_dir():
        within = (path, path / "dist", path / "package" / "dist", path / "node_modules" / PACKAGE / "dist")
        where = next((folder for folder in within if all((folder / name).is_file() for name in DIST)), None)
        if where is None:
            raise UserError(f"{key}: no {' or '.join(DIST)} in it; name what `npm pack {PACKAGE}@{VERSION}` wrote")
        return _checked({name: (where / name).read_bytes() for name in DIST}, key)
    if not path.is_file():
        raise UserError(f"{key}: no such file or folder; `npm pack {PACKAGE}@{VERSION}` writes one")
    return _checked(_unpacked(path, key), key)


def write_page(folder: Path, about: Mapping[str, str], runtime: Mapping[str, bytes]) -> None:
    """Write all but MODEL. about: the model's metadata, each as JSON."""
    (folder / "onnxruntime").mkdir()
    for name, content in runtime.items():
        (folder / "onnxruntime" / name).write_bytes(content)
    for file in (*(FOLDER / name for name in OF_MASKS), *sorted(Path(__file__).with_name("page").iterdir())):
        shutil.copyfile(file, folder / file.name)
    page = masks_page("scaseg", "page.js", "in this browser. Images do not leave it.", POLICY)
    (folder / "index.html").write_text(page, encoding="utf-8")
    told = {name: json.loads(text) for name, text in about.items()}
    (folder / "about.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (folder / "README.txt").write_text(README, encoding="utf-8")


def _packed() -> dict[str, bytes]:
    npm = shutil.which("npm")
    advice = f"name its archive or folder by onnxruntime_web=, as `npm pack {PACKAGE}@{VERSION}` writes it elsewhere"
    if npm is None:
        raise UserError(f"format=web takes {PACKAGE} from npm, which is not installed: {advice}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()[0]
            raise UserError(f"format=web: npm does not pack {PACKAGE}@{VERSION} ({said}); {advice}")
        return _unpacked(archives[0], "npm")


def _unpacked(archive: Path, key: str) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(archive) as members:
            for name in DIST:
                member = members.extractfile(f"package/dist/{name}")
                assert member is not None
                found[name] = member.read()
    except (tarfile.TarError, KeyError, AssertionError, OSError, EOFError) as error:
        raise UserError(f"{key}: not an archive that `npm pack {PACKAGE}@{VERSION}` wrote ({error})") from error
    return found


def _checked(found: dict[str, bytes], whose: str) -> dict[str, bytes]:
    for name, content in found.items():
        if hashlib.sha256(content).hexdigest() != DIST[name]:
            raise UserError(f"{whose}: its {name} is not that of {PACKAGE} {VERSION} (another SHA-256)")
    return found

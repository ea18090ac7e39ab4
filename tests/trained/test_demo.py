"""The demo's server: what it answers, and what it refuses. In a browser: test_demo_browser.py."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import scaseg
from scaseg.demo.serve import display_names
from scaseg.errors import UserError
from tests.trained.conftest import write_checkpoint

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from scaseg.demo.server import Limits, application

Picture = np.ndarray[Any, Any]
MODELS = ("one", "two")


@pytest.fixture(scope="module")
def client(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    other = write_checkpoint(tmp_path_factory.mktemp("other") / "b.ckpt", ["decoder.embed_channels=8"])
    models = {"one": scaseg.load(checkpoint), "two": scaseg.load(other)}
    return TestClient(application(models, Limits(200_000, 20_000), ["127.0.0.1"]), base_url="http://127.0.0.1")


def encoded(photo: Picture, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, form, **options)
    return buffer.getvalue()


def decoded(data: str) -> Picture:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))


def test_answers_with_masks_and_shares(client: TestClient, checkpoint: Path, photo: Picture) -> None:
    reply = client.post("/predict?model=one&model=two", content=encoded(photo))
    assert reply.status_code == 200
    told = reply.json()
    assert [answer["name"] for answer in told["answers"]] == list(MODELS)
    model = scaseg.load(checkpoint)
    labels = model.predict(photo)
    np.testing.assert_array_equal(decoded(told["answers"][0]["mask"]), model.colours[labels])
    shares = {share["class"]: share["share"] for share in told["answers"][0]["shares"]}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == {model.classes[i]: pytest.approx((labels == i).mean()) for i in np.unique(labels)}
    assert decoded(told["image"]).shape == photo.shape


def test_models_of_other_channels_take_theirs_and_two_of_unlike_ones_are_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    form = [
        "+dataset.channels=4",
        "+dataset.show_channels=[3,2,1]",
        "+dataset.mean=[9,9,9,9]",
        "+dataset.std=[4,4,4,4]",
    ]
    models = {"rgb": scaseg.load(checkpoint), "four": scaseg.load(write_checkpoint(tmp_path / "a.ckpt", form))}
    client = TestClient(application(models, Limits(200_000, 20_000), ["127.0.0.1"]), base_url="http://127.0.0.1")
    four = np.random.default_rng(0).integers(0, 256, (64, 64, 4)).astype(np.uint8)
    reply = client.post("/predict?model=four", content=encoded(four))
    assert reply.status_code == 200
    told = reply.json()
    np.testing.assert_array_equal(
        decoded(told["answers"][0]["mask"]), models["four"].colours[models["four"].predict(four)]
    )
    shown = decoded(told["image"])
    assert shown.shape == (64, 64, 3) and abs(shown.mean() - four[..., 1:].mean()) < 2
    reply = client.post("/predict?model=four", content=encoded(four[..., :3]))
    assert reply.status_code == 415 and "(3 channels of uint8, and what is asked for is 4" in reply.json()["error"]
    reply = client.post("/predict?model=rgb&model=four", content=encoded(four))
    assert reply.status_code == 400 and "no image is for both" in reply.json()["error"]


def test_page_and_nothing_else_is_served(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200 and "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for file in ("masks.css", "masks.js", "demo.js"):
        assert f'"{file}"' in page.text and client.get(f"/{file}").status_code == 200
    assert [model["name"] for model in client.get("/models").json()["models"]] == list(MODELS)
    for path in ("/index.html", "/server.py", "/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/etc/passwd"):
        assert client.get(path).status_code == 404, path


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 415, "not an image"),
        (b"hello", 415, "not an image"),
        (b"%PDF-1.4 ...", 415, "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not an image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, 415, "not an image"),
        (b"\0" * 200_001, 413, "larger than"),
    ],
)
def test_refuses_what_is_no_image_or_too_large(client: TestClient, content: bytes, status: int, words: str) -> None:
    reply = client.post("/predict", content=content)
    assert reply.status_code == status and words in reply.json()["error"]


def test_refuses_cut_and_huge_images(client: TestClient, photo: Picture) -> None:
    reply = client.post("/predict", content=encoded(photo)[:-400])
    assert reply.status_code == 415 and "cut short" in reply.json()["error"]
    reply = client.post("/predict", content=encoded(np.zeros((200, 200, 3), np.uint8)))
    assert reply.status_code == 413 and "200 x 200" in reply.json()["error"]
    endless = (b"\0" * 50_000 for _ in range(1000))  # without a length announced
    assert client.post("/predict", content=endless).status_code == 413


@pytest.mark.parametrize(("form", "said"), [("PNG", "30000 x 30000"), ("JPEG", "30000 x 30000"), ("BMP", "too large")])
def test_refuses_what_says_that_it_is_huge(client: TestClient, form: str, said: str) -> None:
    """900 megapixels, of which no decoder is asked."""
    data = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), form))
    at, side = {
        "PNG": (16, b"\0\0\x75\x30"),
        "JPEG": (data.find(b"\xff\xc0") + 5, b"\x75\x30"),
        "BMP": (18, b"\x30\x75\0\0"),
    }[form]
    data[at : at + 2 * len(side)] = side * 2
    reply = client.post("/predict", content=bytes(data))
    assert reply.status_code == 413 and said in reply.json()["error"] and "at most" in reply.json()["error"]


def test_photos_are_upright_as_in_every_command(client: TestClient, checkpoint: Path, photo: Picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    told = client.post("/predict", content=encoded(photo, "JPEG", exif=exif, quality=95)).json()
    assert (told["width"], told["height"]) == (72, 96)
    assert decoded(told["answers"][0]["mask"]).shape == (96, 72, 3)


def test_eps_is_not_handed_to_a_shell(client: TestClient) -> None:
    """Pillow would run Ghostscript on it."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert client.post("/predict", content=eps).status_code == 415


def test_other_sites_and_other_names_are_refused(client: TestClient, photo: Picture) -> None:
    image = encoded(photo)
    assert client.post("/predict", content=image, headers={"origin": "https://example.org"}).status_code == 403
    assert client.post("/predict", content=image, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/predict", content=image, headers={"origin": "http://127.0.0.1"}).status_code == 200
    assert client.get("/", headers={"host": "rebound.example.org"}).status_code == 400


def test_models_are_chosen_by_the_pages_names_alone(client: TestClient, photo: Picture) -> None:
    for query in ("model=/etc/passwd", "model=one&model=two&model=one"):
        assert client.post(f"/predict?{query}", content=encoded(photo)).status_code == 400


def test_display_names(tmp_path: Path) -> None:
    runs = [
        str(tmp_path / run / "checkpoints" / file)
        for run, file in (("a", "best.ckpt"), ("a", "last.ckpt"), ("b", "best.ckpt"))
    ]
    assert display_names(runs) == ["a/best", "a/last", "b"]
    with pytest.raises(UserError, match="twice"):
        display_names([runs[0], runs[0]])

"""The demo's web application: one page, and one address that takes an image and answers with its masks.

What it guards: nothing but the page's four files is ever served; a body is read to the limit and no further; only
images of the kinds that scaseg.data.images reads are taken, and their size is looked at before their pixels; pages of
other sites can neither embed nor call it, and other host names than this machine's are refused (DNS rebinding); one
image is computed at a time.
"""

import asyncio
import base64
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from scaseg.data.by_pillow import TooLargeError
from scaseg.data.draw import as_shown
from scaseg.data.images import decode, size_of
from scaseg.errors import UserError
from scaseg.form import Form
from scaseg.pages import FOLDER as MASKS
from scaseg.pages import masks_page
from scaseg.trained.images import Picture
from scaseg.trained.predictor import Predictor
from scaseg.typed import Json

PAGE = Path(__file__).with_name("page")
WHERE = "on the machine that serves this page. Images are not kept."
CHOICES = """\
      <label>Model <select id="first"></select></label>
      <label id="compare" hidden>beside <select id="second"></select></label>
"""
FILES = {
    "/demo.js": (PAGE / "demo.js", "text/javascript"),
    "/masks.css": (MASKS / "masks.css", "text/css"),
    "/masks.js": (MASKS / "masks.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Limits:
    """Of one upload: bytes of the file, pixels of the image."""

    bytes: int
    pixels: int


class RefusedError(Exception):
    """An upload that is not taken, with the status and the words of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def application(models: Mapping[str, Predictor], limits: Limits, hosts: list[str]) -> Starlette:
    """models: by the names that the page shows. hosts: names under which this machine may be asked."""
    alone = asyncio.Lock()

    async def file(request: Request) -> Response:
        path, kind = FILES[request.url.path]
        return Response(path.read_bytes(), media_type=kind, headers=HEADERS)

    async def page(request: Request) -> Response:
        return HTMLResponse(masks_page("scaseg demo", "demo.js", WHERE, choices=CHOICES), headers=HEADERS)

    async def describe(request: Request) -> Response:
        shown = [{"name": name, "classes": list(model.classes)} for name, model in models.items()]
        return JSONResponse({"models": shown, "max_bytes": limits.bytes, "max_pixels": limits.pixels}, headers=HEADERS)

    async def predict(request: Request) -> Response:
        try:
            _same_site(request)
            chosen = request.query_params.getlist("model") or list(models)[:1]
            if len(chosen) > 2 or any(name not in models for name in chosen):
                raise RefusedError(400, "Choose one or two of the models of the page.")
            form = _one_form([models[name] for name in chosen])
            image = await run_in_threadpool(_decoded, await _body(request, limits.bytes), limits.pixels, form)
            _check_size([models[name] for name in chosen], image)
            async with alone:
                answers = [await run_in_threadpool(_answer, name, models[name], image) for name in chosen]
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status, headers=HEADERS)
        except ClientDisconnect:
            return Response(status_code=400)
        return JSONResponse(
            {
                "width": image.shape[1],
                "height": image.shape[0],
                "image": _data(as_shown(image, form), "JPEG"),
                "answers": answers,
            },
            headers=HEADERS,
        )

    routes = [Route("/", page), *(Route(path, file) for path in FILES)]
    routes += [Route("/models", describe), Route("/predict", predict, methods=["POST"])]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])


def _same_site(request: Request) -> None:
    """A page of another site may make a browser send images here; it must not make this machine work."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(403, "Only the demo's own page may ask.")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise RefusedError(403, "Only the demo's own page may ask.")


async def _body(request: Request, most: int) -> bytes:
    too_large = RefusedError(413, f"The file is larger than {most / 2**20:.0f} MB.")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _one_form(chosen: Sequence[Predictor]) -> Form:
    """Of the images that the models take."""
    form = chosen[0].form
    if other := next((one.form for one in chosen if one.form.in_words != form.in_words), None):
        raise RefusedError(400, f"One model takes {form.in_words}, the other {other.in_words}: no image is for both.")
    return form


def _check_size(chosen: Sequence[Predictor], image: Picture) -> None:
    for model in chosen:
        if reason := model.refusal((image.shape[0], image.shape[1])):
            raise RefusedError(400, f"This model does not take the image: {reason}.")


def _decoded(data: bytes, most: int, form: Form) -> Picture:
    bound = f"at most {most / 1e6:.0f} million are taken"
    try:
        height, width = size_of(data, "it", form)
        if height * width > most:
            raise RefusedError(413, f"The image has {width} x {height} pixels; {bound}.")
        return decode(data, "it", form=form)[0]
    except TooLargeError as error:
        raise RefusedError(413, f"The image is too large; {bound}.") from error
    except (UserError, MemoryError) as error:
        raise RefusedError(
            415, f"This is not an image that can be taken ({str(error).removeprefix('it: ')})."
        ) from error


def _answer(name: str, model: Predictor, image: Picture) -> Json:
    """One model's mask as an picture that the page lays over the image, and the share of each class in it."""
    start = time.perf_counter()
    mask = model.predict(image)
    seconds = time.perf_counter() - start
    counts = np.bincount(mask.ravel(), minlength=len(model.classes))
    shares = [
        {
            "class": model.classes[i],
            "colour": "#{:02x}{:02x}{:02x}".format(*model.colours[i]),
            "share": count / mask.size,
        }
        for i, count in sorted(enumerate(counts.tolist()), key=lambda pair: -pair[1])
        if count
    ]
    return {"name": name, "seconds": seconds, "mask": _data(model.colours[mask], "PNG"), "shares": shares}


def _data(picture: Picture, form: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, quality=90)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"

"""A comparison as text for the terminal and as one HTML page beside its pictures."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from scaseg.aligned import aligned
from scaseg.pages import breakable, data_table, document

NOTHING = "–"


def file_name(place: int, image: str) -> str:
    """Of the picture of the `place`-th image that is shown; names of some datasets hold folders."""
    safe = re.sub(r"[^\w.-]", "_", image)
    return f"{place + 1}_{safe}.png"


def rows(result: Mapping[str, Any], kind: str) -> list[list[str]]:
    """A row a measure: its name, every model's value, and the difference of each from the first, with its interval."""
    first, *others = result["models"]
    table = []
    for name, entry in result[kind].items():
        values = [_with_spread(entry["models"][letter]) for letter in result["models"]]
        table.append([name, *values, *(_with_interval(entry["differences"][f"{one} - {first}"]) for one in others)])
    return table


def headings(result: Mapping[str, Any]) -> list[str]:
    """Of the columns of `rows`."""
    first, *others = result["models"]
    return [
        "percent",
        *(f"{letter}: {model['label']}" for letter, model in result["models"].items()),
        *(f"{letter} - {first}" for letter in others),
    ]


def text(result: Mapping[str, Any]) -> str:
    """Aligned tables for a terminal."""
    parts = [aligned([headings(result), *rows(result, kind)]) for kind in ("measures", "per_class_iou")]
    return "\n\n".join([*parts, note(result)])


def note(result: Mapping[str, Any]) -> str:
    """What the intervals hold and what they leave out."""
    settings, images = result["settings"], result["images"]
    several = any(len(model["seeds"]) > 1 for model in result["models"].values())
    said = f"{result['dataset']} {result['split']}, {images} image{'s' * (images != 1)}. "
    if images > 1:
        said += (
            f"[ ]: {100 * settings['level']:g} % of {settings['resamples']} resamples of these images, the same for"
            " all models, as if they were independent (frames of one video are not). They hold what other images"
            " would change and leave out what training again would: no statement on which model is better."
        )
    else:
        said += "One image: nothing is known of what others would give."
    said += " ± is the standard deviation over seeds." if several else ""
    everything = [*result["measures"].values(), *result["per_class_iou"].values()]
    absent = any(model["value"] is None for entry in everything for model in entry["models"].values())
    return said + (f" {NOTHING}: the truth has no pixel of it." if absent else "")


def page(result: Mapping[str, Any]) -> str:
    """HTML; pictures of `most_different` are expected beside it under `file_name`."""
    title = f"{result['dataset']} {result['split']}: {' / '.join(m['label'] for m in result['models'].values())}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p class=dim>{escape(note(result))}</p>"]
    for kind, heading in (("measures", "Measures"), ("per_class_iou", "IoU of each class")):
        parts += [f"<h2>{heading}</h2>", _table(result, kind)]
    if result["most_different"]:
        parts.append("<h2>Images on which they differ most</h2>")
    for place, item in enumerate(result["most_different"]):
        values = ", ".join(f"{letter} {_number(value)}" for letter, value in item["mIoU"].items())
        name, file = breakable(item["image"]), escape(file_name(place, item["image"]))
        parts.append(
            f"<h3>{name} <small class=dim>mIoU {values}</small></h3>"
            f'<a href="{file}"><img class=sheet loading=lazy src="{file}" alt="{escape(item["image"])}"></a>'
        )
    rows_of_runs = "".join(
        f"<li>{letter}: {escape(model['label'])}, {model['params'] / 1e6:.3f} M parameters,"
        f" seed{'s' * (len(model['seeds']) > 1)} {', '.join(map(str, model['seeds']))}:"
        f" {', '.join(map(breakable, model['checkpoints']))}</li>"
        for letter, model in result["models"].items()
    )
    parts.append(f"<h2>Runs</h2><ul>{rows_of_runs}</ul>")
    return document(title, "\n".join(parts))


def _table(result: Mapping[str, Any], kind: str) -> str:
    first, *others = headings(result)
    return data_table(
        [(first, ""), *((heading, "number") for heading in others)],
        [
            # an interval may break, so that with two models the difference is in sight on a phone
            [(escape(name), ""), *((escape(cell), 'class="number"') for cell in cells)]
            for name, *cells in rows(result, kind)
        ],
    )


def _with_spread(one: Mapping[str, Any]) -> str:
    seeds = one["std_over_seeds"]
    return _number(one["value"]) + ("" if seeds is None or one["value"] is None else f" ± {seeds:.2f}")


def _with_interval(change: Mapping[str, Any]) -> str:
    if change["low"] is None:
        return _number(change["value"], "+")
    return f"{_number(change['value'], '+')} [{_number(change['low'], '+')}, {_number(change['high'], '+')}]"


def _number(value: float | None, sign: str = "") -> str:
    return NOTHING if value is None else f"{round(value, 2) + 0.0:{sign}.2f}"  # + 0.0: no -0.00

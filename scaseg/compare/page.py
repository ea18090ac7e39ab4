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
    if result.get("from_counts"):
        said += "By what the runs counted: boundaries, objects, calibration and pictures take their checkpoints. "
    groups, pattern = result["groups"], settings["groups"]
    taken = "each by itself, as if they were independent (frames of one video are not: groups=PATTERN)"
    if pattern:
        taken = f"in {groups} group{'s' * (groups != 1)} by {pattern!r} in their names"
    claims = "better" in next(iter(result["measures"]["mIoU"]["differences"].values()))
    level = f"{100 * settings['level']:g} %"
    if images == 1:
        said += "One image: nothing is known of what others would give."
    elif groups == 1:
        said += f"The images were taken {taken}: nothing is known of what other groups would give."
    elif claims:
        said += (
            f"[ ]: {level} intervals over seeds and images together, the images taken {taken}. P: how likely the"
            " difference is one to the better. " + _claims(result)
        )
    else:
        said += (
            f"[ ]: {level} intervals over the images, taken {taken}. They hold what other images would change and leave"
            " out what training again would: no statement on which model is better."
        )
    differences = [one for entry in result["measures"].values() for one in entry["differences"].values()]
    if groups > 1 and any(one["low"] is None and one["value"] is not None for one in differences):
        said += " No [ ] where a class is in one image or group of images alone: nothing is known of how it varies."
    said += " ± is the standard deviation over seeds." if several else ""
    everything = [*result["measures"].values(), *result["per_class_iou"].values()]
    absent = any(model["value"] is None for entry in everything for model in entry["models"].values())
    return said + (f" {NOTHING}: the truth has no pixel of it." if absent else "")


def _claims(result: Mapping[str, Any]) -> str:
    """What the differences of mIoU support, corrected for how many there are."""
    differences, level = result["measures"]["mIoU"]["differences"], result["settings"]["level"]
    held = [
        f"{pair.replace(' - ', ' > ' if change['value'] > 0 else ' < ')} (p = {change['p_holm']:.2g})"
        for pair, change in differences.items()
        if change["p_holm"] is not None and change["p_holm"] < 1 - level
    ]
    count = len(differences)
    made = f"Of {count} comparison{'s' * (count != 1)} of mIoU, corrected after Holm, "
    return made + (f"these hold: {', '.join(held)}." if held else "none holds.")


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
    better = "" if change.get("better") is None else f" P {change['better']:.2f}"
    return f"{_number(change['value'], '+')} [{_number(change['low'], '+')}, {_number(change['high'], '+')}]{better}"


def _number(value: float | None, sign: str = "") -> str:
    return NOTHING if value is None else f"{round(value, 2) + 0.0:{sign}.2f}"  # + 0.0: no -0.00

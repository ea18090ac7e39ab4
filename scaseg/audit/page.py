"""An audit as a CSV of all masks and one HTML page of the worst, beside its pictures."""

import csv
import io
import re
from collections.abc import Sequence
from html import escape

from scaseg.audit.pictures import OUTLINED
from scaseg.audit.ranking import Suspect
from scaseg.pages import breakable, data_table, document

COLUMNS = (
    *("rank", "image", "suspicion", "softmin", "fold", "regions", "kind", "mask", "model", "probability"),
    *("pixels", "left", "top", "right", "bottom", "reason"),
)


def file_name(place: int, image: str) -> str:
    """Of the picture of the `place`-th suspect; names of some datasets hold folders."""
    safe = re.sub(r"[^\w.-]", "_", image)
    return f"{place + 1}_{safe}.jpg"


def as_csv(suspects: Sequence[Suspect], names: tuple[str, ...]) -> str:
    """A row a mask, the most suspicious first, with the region that is most suspicious in it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, one in enumerate(suspects, 1):
        finding = one.finding
        row = [place, finding.name, f"{one.suspicion:.2f}", f"{finding.softmin:.4f}", finding.fold, len(one.regions)]
        for _, region in one.regions[:1]:
            row += [region.kind, names[region.given], names[region.seen], f"{region.confidence:.2f}"]
            row += [region.pixels, *region.box, region.reason(names)]
        writer.writerow(row)
    return text.getvalue()


def page(title: str, said: Sequence[str], suspects: Sequence[Suspect], names: tuple[str, ...], shown: int) -> str:
    """said: how the models came about, for people. Pictures are expected under `file_name` in `pictures`."""
    worst = [one for one in suspects if one.regions][:shown]
    suspicious = sum(bool(one.regions) for one in suspects)
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p class=dim>{escape(sentence)}</p>" for sentence in said),
        f"<p>{suspicious} of {len(suspects)} masks have a region that a model contradicts; the {len(worst)} most"
        " suspicious are shown, the worst first. A model is wrong too: each is a question, and nothing was changed. All"
        ' masks: <a href="audit.csv">audit.csv</a></p>',
        _table(worst, names),
    ]
    for place, one in enumerate(worst):
        name, file = escape(one.finding.name), escape(f"pictures/{file_name(place, one.finding.name)}")
        reasons = "".join(f"<li>{escape(region.reason(names))}</li>" for _, region in one.regions[:OUTLINED])
        more = len(one.regions) - OUTLINED
        less = f"<p class=dim>{more} more, less suspicious</p>" if more > 0 else ""
        parts.append(
            f'<h2 id="mask-{place + 1}">{place + 1}. {breakable(one.finding.name)} <small class=dim>suspicion'
            f" {one.suspicion:.0f}</small></h2><ol>{reasons}</ol>{less}"
            f'<a href="{file}"><img class=sheet loading=lazy src="{file}" alt="{name}"></a>'
        )
    return document(title, "\n".join(parts))


def _table(worst: Sequence[Suspect], names: tuple[str, ...]) -> str:
    heads = [("mask", ""), ("rank", "number"), ("suspicion", "number"), ("pixels", "number"), ("reason", "")]
    rows = [
        [
            (f'<a href="#mask-{place}">{breakable(one.finding.name)}</a>', ""),
            (str(place), 'class="number"'),
            (f"{one.suspicion:.0f}", 'class="number"'),
            (str(one.regions[0][1].pixels), 'class="number"'),
            (escape(one.regions[0][1].reason(names)), 'class="text"'),
        ]
        for place, one in enumerate(worst, 1)
    ]
    return data_table(heads, rows) if rows else ""

"""A sweep as one HTML page that needs nothing but itself: tables, curves, pictures, what failed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path
from statistics import fmean

from scaseg.pages import breakable, data_table, document
from scaseg.report.html_parts import STATES, charts, html_table, pictures
from scaseg.report.runs import Run, store_folders
from scaseg.report.runs_table import columns_of, configurations
from scaseg.report.table import Table
from scaseg.runs import store
from scaseg.runs.result import Best, ClassFigures, Result, read_result


def page(tables: Sequence[Table], runs: Sequence[Run], pattern: str | None) -> str:
    """The page of the finished `runs` and of all other runs that `pattern` names; `tables` come first."""
    found = [(folder, store.read(folder)) for folder in (store_folders(pattern) if pattern else [])]
    results = {run.folder: read_result(run.folder) for run in runs}
    labels, groups = configurations(runs) if runs else ([], [])
    keys = columns_of(runs) if runs else []
    names = [" ".join(map(_short, keys, label)) for label in labels]
    datasets = ", ".join(dict.fromkeys(run.dataset for run in runs))
    title = (Path(pattern).name if pattern else "Tables") + (f": {datasets}" if datasets else "")
    sections = [_head(title, [said["status"] for _, said in found], list(results.values()))]
    sections += [f"<h2>{escape(table.title)}</h2>{html_table(table)}" for table in tables]
    if runs:
        sections += ["<h2>Curves</h2>", charts(names, groups)]
        sections += ["<h2>IoU by class, %</h2>", _per_class(names, groups, results)]
        sections += ["<h2>Pictures</h2>", pictures(names, groups)]
    if found:
        sections += ["<h2>All runs</h2>", _all_runs(found, {run.folder: run for run in runs}, runs, results)]
    return document(title, "\n".join(section for section in sections if section))


def _head(title: str, states: Sequence[str], results: Sequence[Result]) -> str:
    count = Counter("pending" if state == "new" else state for state in states)
    numbers = "".join(
        f'<span class="{STATES[state]}"><b>{count[state]}</b> {state}</span>' for state in STATES if count[state]
    )
    facts = {
        "machine": _distinct(f"{r['device']}, {r.get('threads')} threads" for r in results if r.get("device")),
        "code": _distinct(r.get("git_commit") for r in results),
        "versions": _distinct(
            ", ".join(f"{name} {version}" for name, version in (r.get("versions") or {}).items() if version)
            for r in results
        ),
        "steps": _distinct(r.get("step") for r in results),
        "images a step": _distinct(r["config"]["training"]["batch_size"] for r in results),
    }
    lines = "".join(f"<p class=dim>{name}: {escape(text)}</p>" for name, text in facts.items() if text)
    return f"<h1>{escape(title)}</h1>\n<div class=counts>{numbers}</div>\n{lines}"


def _per_class(names: Sequence[str], groups: Sequence[Sequence[Run]], results: dict[Path, Result]) -> str:
    """A row a class, a column a configuration: means over the seeds."""
    classes = dict.fromkeys(name for result in results.values() for name in _classes(result))
    heads = [("class", ""), *((name, "number") for name in names)]
    rows: list[list[tuple[str, str]]] = []
    for name in classes:
        cells = [(escape(name), "")]
        for group in groups:
            entries = [found["iou"] for run in group if (found := _classes(results[run.folder]).get(name))]
            values = [value for value in entries if value is not None]
            share = f'class="number heat" style="--share:{fmean(values) / 100:.3f}"' if values else 'class="number"'
            cells.append((f"{fmean(values):.2f}" if values else "–", share))
        rows.append(cells)
    return data_table(heads, rows)


def _classes(result: Result) -> Mapping[str, ClassFigures]:
    return result.get("per_class") or {}


def _all_runs(
    found: Sequence[tuple[Path, store.Status]],
    finished: dict[Path, Run],
    runs: Sequence[Run],
    results: dict[Path, Result],
) -> str:
    heads = [("run", ""), ("status", "")]
    heads += [(text, "number") for text in ("mIoU", "best", "at step", "seed")]
    heads += [("what", ""), ("time", ""), ("error", "")]
    keys = columns_of(runs) if runs else []
    rows: list[list[tuple[str, str]]] = []
    for folder, said in found:
        run, result = finished.get(folder), results.get(folder)
        what = (
            " ".join(f"{key.rpartition('.')[2]}={run.keys.get(key)}" for key in keys)
            if run
            else str(said.get("label") or "")
        )
        so_far: Best = {"mIoU": said.get("best_mIoU"), "step": said.get("step")}
        best = result["best"] if result and "best" in result else so_far
        time = result.get("wall_time_s") if result else None
        state = "pending" if said["status"] == "new" else said["status"]
        rows.append(
            [
                (breakable(folder.name), ""),
                (state, f'class="{STATES[state]}"'),
                (f"{run.miou:.2f}" if run else "–", 'class="number"'),
                ("–" if best["mIoU"] is None else f"{best['mIoU']:.2f}", 'class="number"'),
                ("–" if best["step"] is None else str(best["step"]), 'class="number"'),
                (str(run.seed) if run else "–", 'class="number"'),
                (escape(what), ""),
                ("–" if time is None else str(timedelta(seconds=round(time))), ""),
                (escape(said.get("error") or ""), 'class="text"' if said.get("error") else ""),
            ]
        )
    return data_table(heads, rows)


def _short(key: str, value: object) -> str:
    """`attn=sca` of decoder.attn, `mit_b0` of backbone.name."""
    name = key.rpartition(".")[2]
    return str(value) if name == "name" else f"{name}={value}"


def _distinct(values: Iterable[object]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value is not None))

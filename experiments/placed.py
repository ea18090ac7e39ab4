"""Tables in READMEs, each between two marks, so that a command can write it again and a test can hold it."""

from pathlib import Path


def placed(place: str, table: str) -> str:
    """A table as it stands in a README at its place."""
    return f"<!-- {place} -->\n{table}<!-- end of {place} -->"


def put(readme: Path, tables: dict[str, str]) -> None:
    """Write tables at their places."""
    text = readme.read_text()
    for place, table in tables.items():
        before, _, rest = text.partition(f"<!-- {place} -->\n")
        after = rest.partition(f"<!-- end of {place} -->")[2]
        text = before + placed(place, table) + after
    readme.write_text(text)

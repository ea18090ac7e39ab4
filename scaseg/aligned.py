"""Tables as aligned text, for terminals."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells, those of a row that lack at its end being empty; the first `left` columns begin, the others end,
    at one place. A row's last cell beyond the first row's width stands as it is: a remark.
    """
    columns = len(rows[0])
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(columns)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, *row[columns:]]).rstrip())
    return "\n".join(lines)

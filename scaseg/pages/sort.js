// A click on a heading sorts its table; a second one turns the order round. Cells without a value stay below.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, table = heading.closest("table"), column = heading.cellIndex;
    const falling = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const value = (row) => {
      const cell = row.cells[column], text = cell.textContent.trim();
      if (text === "" || text === "–") return null;
      return heading.classList.contains("number") ? parseFloat(text.replace("−", "-")) : text;
    };
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
      return falling ? -order : order;
    });
    body.append(...rows.map(([, row]) => row));
  });
}

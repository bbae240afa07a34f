"use strict";
// Makes the tables sortable and searchable. Without this script the page shows the same content.
const kept = (row) => !row.hidden;
for (const table of document.querySelectorAll("table[data-live]")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const caption = table.caption.textContent;
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a.localeCompare(b, "en", { numeric: true });
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      rows.sort((a, b) => compare(value(a, column), value(b, column)) * (descending ? -1 : 1));
      body.append(...rows);
    });
  });
  if (rows.length < 8) continue;
  const bar = document.createElement("div");
  bar.className = "search";
  const label = document.createElement("label");
  label.textContent = "Search ";
  const input = document.createElement("input");
  input.type = "search";
  input.setAttribute("aria-label", "Search in: " + caption);
  label.append(input);
  const count = document.createElement("span");
  count.setAttribute("role", "status");
  bar.append(label, count);
  table.parentElement.before(bar);
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    count.textContent = wanted ? rows.filter(kept).length + " of " + rows.length + " rows" : "";
  });
}

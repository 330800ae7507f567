// The jobs table: the columns that this browser hides, and the order of the rows on this page.

const COLUMNS_KEY = "kammerton.hidden-columns";
const HIDDEN_AT_FIRST = "size,worker,key,attempts";
const hiddenColumns = new Set((localStorage.getItem(COLUMNS_KEY) ?? HIDDEN_AT_FIRST).split(","));
let order = null; // {index, isAscending}: the heading that was chosen

for (const box of document.querySelectorAll("[data-column]")) {
  const { column } = box.dataset;
  const apply = () =>
    document.body.classList.toggle(`hide-${column}`, hiddenColumns.has(column));
  box.checked = !hiddenColumns.has(column);
  box.onchange = () => {
    if (box.checked) hiddenColumns.delete(column);
    else hiddenColumns.add(column);
    localStorage.setItem(COLUMNS_KEY, [...hiddenColumns].join(","));
    apply();
  };
  apply();
}

// Headings become buttons. Call it again after a redraw: it also restores the order.
export function enhanceTable() {
  for (const heading of document.querySelectorAll(".sortable th[data-sort]")) {
    if (heading.querySelector(".sort")) continue;
    const button = document.createElement("button");
    const title = isWholeList() ? "Sort" : "Sort this page";
    Object.assign(button, { type: "button", className: "quiet sort", title });
    button.textContent = heading.textContent.trim();
    heading.replaceChildren(button);
  }
  if (order) sortRows();
}

document.addEventListener("click", (event) => {
  const heading = event.target.closest("button.sort")?.closest("th");
  if (!heading) return;
  const isAscending = heading.ariaSort !== "ascending";
  order = { index: heading.cellIndex, isAscending };
  sortRows();
});

function sortRows() {
  const table = document.querySelector(".sortable");
  if (!table) return;
  const { index, isAscending } = order;
  for (const heading of table.tHead.rows[0].cells) heading.ariaSort = null;
  table.tHead.rows[0].cells[index].ariaSort = isAscending ? "ascending" : "descending";
  const label = `sorted by ${table.tHead.rows[0].cells[index].textContent.trim().toLowerCase()}`;
  const note = document.querySelector(".order");
  if (note) note.textContent = isWholeList() ? label : `this page is ${label}`;
  const rows = [...table.tBodies[0].rows];
  const sign = isAscending ? 1 : -1;
  rows.sort((a, b) => sign * compare(valueOf(a.cells[index]), valueOf(b.cells[index])));
  table.tBodies[0].append(...rows);
}

// The heading "Submitted" is a link: the server sorts all jobs by it. It can't by the others.
const isWholeList = () => !document.querySelector("nav.next a");

function valueOf(cell) {
  const text = cell.dataset.value ?? cell.textContent.trim();
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number"
    ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });
}

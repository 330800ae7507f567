// The jobs table: the columns that this browser hides.

const COLUMNS_KEY = "kammerton.hidden-columns";
const HIDDEN_AT_FIRST = "size,worker,key,attempts";
const hiddenColumns = new Set((localStorage.getItem(COLUMNS_KEY) ?? HIDDEN_AT_FIRST).split(","));

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

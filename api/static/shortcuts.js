// Keyboard shortcuts of the dashboard. They can be turned off, as WCAG 2.1.4 asks for single keys.
import { address } from "./address.js";

const PAGES = {
  o: "/admin",
  h: "/admin/history",
  j: "/admin/jobs",
  s: "/admin/scheduled",
  d: "/admin/dead",
  b: "/admin/batches",
  w: "/admin/webhooks",
  k: "/admin/keys",
  a: "/admin/audit",
};
const OFF_KEY = "kammerton.shortcuts-off";
const SEQUENCE_MS = 1500;
const dialog = document.querySelector("#shortcuts");
const enabled = document.querySelector("#shortcuts-enabled");
let goUntil = 0; // "g" was pressed; a page's letter may follow until then
let current = null; // id of the current row

enabled.checked = localStorage.getItem(OFF_KEY) !== "yes";
enabled.onchange = () => localStorage.setItem(OFF_KEY, enabled.checked ? "no" : "yes");
document.querySelector("#show-shortcuts").onclick = () => dialog.showModal();

const press = (selector) => document.querySelector(selector)?.click();
const rows = () => [...document.querySelectorAll("main table tbody tr[id]")];
const currentRow = () => rows().find((row) => row.id === current);

const ACTIONS = {
  "?": () => dialog.showModal(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  x: () => currentRow()?.querySelector("input[type=checkbox]")?.click(),
  n: () => press("nav.next a[rel=next]"),
  p: () => press("nav.next a[rel=prev]"),
  u: () => press("#pause-updates"),
  t: () => press("#time-format"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || !enabled.checked) return;
  if (event.target.matches("textarea, select, input:not([type=checkbox])")) return;
  if (event.key === "Enter") {
    if (event.target === document.body) currentRow()?.querySelector("a")?.click();
    return;
  }
  const page = performance.now() < goUntil ? PAGES[event.key] : null;
  goUntil = 0;
  if (page) location.assign(address(page));
  else if (event.key === "g") goUntil = performance.now() + SEQUENCE_MS;
  else if (ACTIONS[event.key]) ACTIONS[event.key]();
  else return;
  event.preventDefault();
});

function move(step) {
  const all = rows();
  if (!all.length) return;
  const index = all.findIndex((row) => row.id === current);
  const next = all[Math.min(all.length - 1, Math.max(0, index < 0 ? 0 : index + step))];
  for (const row of all) row.classList.toggle("current", row === next);
  current = next.id;
  next.scrollIntoView({ block: "nearest" });
}

// Keeps a page of the dashboard up to date: the server announces changes and renders them.
import { address } from "./address.js";
import { localTimes } from "./format.js";
import "./jobs_table.js";

const live = document.querySelector("[data-live]");
const stale = document.querySelector("#stale");
const pauseButton = document.querySelector("#pause-updates");
const selected = new Set(); // ids of jobs; survives every redraw
let paused = false;
let loading = false;
let pending = null; // the newest rows that are announced but not shown

const EXACT_KEY = "kammerton.exact-times";
const REDRAW_TIMES_MS = 10_000;
const timeButton = document.querySelector("#time-format");
let isExact = localStorage.getItem(EXACT_KEY) === "yes";

function showTimes(root = document) {
  localTimes(root, { isRelative: !isExact });
  timeButton.textContent = isExact ? "Show relative times" : "Show exact times";
}

timeButton.hidden = false;
timeButton.onclick = () => {
  isExact = !isExact;
  localStorage.setItem(EXACT_KEY, isExact ? "yes" : "no");
  showTimes();
};
setInterval(showTimes, REDRAW_TIMES_MS, document);
showTimes();

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("input.all")) {
    for (const each of document.querySelectorAll("input[name=ids]")) {
      each.checked = box.checked;
      remember(each);
    }
  } else if (box.matches("input[type=checkbox][name=ids]")) remember(box);
  showSelection();
});

function remember(box) {
  if (box.checked) selected.add(box.value);
  else selected.delete(box.value);
}

// Selected jobs whose rows are gone from the page are still sent with the form.
function showSelection() {
  const form = document.querySelector("#selected");
  if (!form) return;
  for (const hidden of form.querySelectorAll("input.off-page")) hidden.remove();
  for (const box of form.querySelectorAll("input[name=ids]")) {
    box.checked = selected.has(box.value);
  }
  for (const id of selected) {
    if (form.querySelector(`input[name=ids][value="${CSS.escape(id)}"]`)) continue;
    const hidden = document.createElement("input");
    Object.assign(hidden, { type: "hidden", name: "ids", value: id, className: "off-page" });
    form.append(hidden);
  }
  const label = form.querySelector(".selected-count");
  if (label) label.textContent = selected.size ? `Selected (${selected.size}):` : "Selected:";
}

// A person's focus survives a redraw.
function replaceContent(target, fresh) {
  const keyOf = (element) =>
    element?.id ||
    (element?.name ? `${element.name}=${element.value}` : element?.getAttribute?.("href"));
  const focused = target.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  target.replaceChildren(...fresh.childNodes);
  showTimes(target);
  showSelection();
  if (focused) {
    const candidates = [...target.querySelectorAll("a, button, input")];
    candidates.find((element) => keyOf(element) === focused)?.focus();
  }
}

// Rows stay where they are; new ones are announced instead of pushed under the pointer.
function updateRows(fresh) {
  const rows = (root) => [...root.querySelectorAll(".jobs tbody tr")];
  const known = new Map(rows(live).map((row) => [row.id, row]));
  const added = rows(fresh).filter((row) => !known.has(row.id));
  for (const row of rows(fresh))
    known.get(row.id)?.replaceChildren(...row.cloneNode(true).childNodes);
  showTimes(live);
  showSelection();
  const button = document.querySelector("#new-jobs");
  pending = added.length ? fresh : null;
  button.hidden = !added.length;
  button.textContent = `${added.length} new`;
}

async function refresh() {
  if (loading || paused || document.hidden) return;
  loading = true;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.redirected || response.status === 401 || response.status === 403) {
      return warn("Your session has ended. ", "Log in again", location.href);
    }
    if (!response.ok)
      return warn(
        `The server answered with an error (${response.status}). This page may be out of date.`,
      );
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("[data-live]") ?? page.querySelector("#live");
    stale.hidden = true;
    if (!fresh) return;
    if (live.querySelector(".jobs tbody tr") && fresh.querySelector(".jobs")) updateRows(fresh);
    else replaceContent(live, fresh);
  } catch {
    warn("The server can’t be reached. This page may be out of date.");
  } finally {
    loading = false;
  }
}

function warn(sentence, linkText = "", address = "") {
  stale.replaceChildren(sentence);
  if (linkText) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = linkText;
    stale.append(link);
  }
  stale.hidden = false;
}

document.querySelector("#new-jobs")?.addEventListener("click", (event) => {
  if (pending) replaceContent(live, pending);
  pending = null;
  event.target.hidden = true;
});

if (live) {
  let source = null;
  let timer = 0;
  const connect = () => {
    source?.close();
    clearInterval(timer);
    if (document.hidden || paused) return;
    source = new EventSource(address("/admin/api/events"));
    source.addEventListener("changed", refresh);
    source.addEventListener("tick", refresh);
    source.onerror = () => {
      refresh();
      if (source.readyState === EventSource.CLOSED) timer = setInterval(refresh, 5000);
    };
  };
  document.addEventListener("visibilitychange", () => {
    connect();
    refresh();
  });
  pauseButton.hidden = false;
  pauseButton.onclick = () => {
    paused = !paused;
    pauseButton.setAttribute("aria-pressed", String(paused));
    pauseButton.textContent = paused ? "Resume live updates" : "Pause live updates";
    connect();
    refresh();
  };
  connect();
}

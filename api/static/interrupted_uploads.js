// Uploads that a reload or a closed window cut short: they continue when the same file is chosen again.
// tus-js-client keeps them in the browser's storage, one entry for each, and finds its file by fingerprint.
import { authorization } from "./credentials.js";

const PREFIX = "tus::";
const TUS = { "Tus-Resumable": "1.0.0" };
const RECHECK_MS = 2000; // the locks of a page that was reloaded may last a moment longer
const MAX_CHECKS = 3;
const cards = new Map(); // key of the entry → list item

const lockName = (name, size) => `kammerton.upload:${size}:${name}`;

// Run an upload so that other tabs know that it is not interrupted.
export function whileActive(file, run) {
  if (!navigator.locks) return run(); // no HTTPS
  return navigator.locks.request(lockName(file.name, file.size), { mode: "shared" }, run);
}

// newCard(name, size): makes a card at the top of the list.
export async function showInterrupted(newCard, checks = 1) {
  const held = (await navigator.locks?.query())?.held ?? [];
  const active = new Set(held.map((lock) => lock.name));
  let isAnyActive = false;
  for (const [key, entry] of entries()) {
    if (cards.has(key)) continue;
    if (active.has(lockName(entry.metadata.filename, entry.size))) {
      isAnyActive = true;
      continue;
    }
    const offset = await offsetOf(entry.uploadUrl);
    if (offset === null) {
      localStorage.removeItem(key); // the server no longer has it, or it is complete
      continue;
    }
    if (!localStorage.getItem(key)) continue; // chosen again in the meantime
    const { card } = newCard(entry.metadata.filename, "interrupted upload");
    const part = (name) => card.querySelector(name);
    const share = offset === undefined ? null : Math.floor((100 * offset) / entry.size);
    const where = share === null ? "" : ` at ${share} %`;
    part(".status").textContent =
      `Upload interrupted${where}. Choose the same file again to continue.`;
    part("progress").value = share ?? 0;
    part("progress").setAttribute("aria-label", `Upload of ${entry.metadata.filename}`);
    part(".cancel").hidden = true;
    part(".dismiss").hidden = false;
    part(".dismiss").addEventListener("click", () => discard(key, entry.uploadUrl));
    cards.set(key, card.closest("li"));
  }
  if (isAnyActive && checks < MAX_CHECKS) {
    setTimeout(showInterrupted, RECHECK_MS, newCard, checks + 1);
  }
}

// The file is here again: its upload gets a new card.
export function removeInterrupted(file) {
  for (const [key, entry] of entries()) {
    if (entry.metadata.filename !== file.name || entry.size !== file.size) continue;
    cards.get(key)?.remove();
    cards.delete(key);
  }
}

function entries() {
  const found = [];
  try {
    for (const key of Object.keys(localStorage).filter((each) => each.startsWith(PREFIX))) {
      const entry = JSON.parse(localStorage.getItem(key));
      if (entry?.uploadUrl && entry.metadata) found.push([key, entry]);
    }
  } catch {
    /* storage is blocked, or the entry is not ours */
  }
  return found;
}

// Bytes that the server has; null if there is nothing to continue, undefined if the server does not say.
async function offsetOf(url) {
  const response = await fetch(url, {
    method: "HEAD",
    headers: { ...TUS, ...authorization() },
  }).catch(() => null);
  if (!response?.ok) return [404, 410].includes(response?.status) ? null : undefined;
  const offset = Number(response.headers.get("Upload-Offset"));
  return offset < Number(response.headers.get("Upload-Length")) ? offset : null;
}

function discard(key, url) {
  localStorage.removeItem(key);
  cards.delete(key);
  fetch(url, { method: "DELETE", headers: { ...TUS, ...authorization() } }).catch(() => {}); // it expires
}

// The try-it page: drop or choose songs, watch them go up, read what they are tuned to.
import { Refused, sendResumable, sendWhole } from "./upload.js";
import { announce, follow, show } from "./song.js";
import { nameOf, submitLink } from "./link.js";
import { rememberKey } from "./watch.js";

const AT_ONCE = 2;
const RESUMABLE_BYTES = 8 * 1024 * 1024;
const KEPT = "kammerton.songs";
const form = document.querySelector("#drop");
const input = form.querySelector("input[type=file]");
const songs = document.querySelector("#songs");
const template = document.querySelector("#song");
const mostBytes = Number(form.dataset.maxBytes);
const waiting = [];
let busy = 0;

document
  .querySelector("#key")
  ?.addEventListener("change", (event) => rememberKey(event.target.value.trim()));
input.multiple = true;
input.required = false;
input.addEventListener("change", () => {
  take(input.files);
  input.value = "";
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const link = document.querySelector("#link");
  const url = link.value.trim();
  if (!url) return link.focus();
  link.value = "";
  fetchLink(card(nameOf(url) || "Song from a link", ""), url);
});

for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  form.classList.remove("over");
  take(event.dataTransfer.files);
});

function take(files) {
  for (const file of [...files]) {
    const song = { ...card(file.name, inBytes(file.size)), file };
    song.card.querySelector(".again").onclick = () => queue(song);
    queue(song);
  }
  if (files.length) songs.firstElementChild.scrollIntoView({ block: "nearest" });
}

// A new song's card, the first of all.
function card(name, size) {
  const item = template.content.firstElementChild.cloneNode(true);
  const card = item.querySelector(".song");
  card.querySelector(".name").textContent = name;
  card.querySelector(".size").textContent = size;
  card.querySelector(".dismiss").onclick = () => item.remove();
  songs.prepend(item);
  return { file: { name }, card, startSeconds: form.elements.start_seconds.value };
}

async function fetchLink(song, url) {
  const part = (name) => song.card.querySelector(name);
  song.control = new AbortController();
  part(".again").onclick = () => fetchLink(song, url);
  part(".again").hidden = part(".dismiss").hidden = true;
  part(".cancel").hidden = part("progress").hidden = false;
  part(".cancel").onclick = () => song.control.abort();
  part("progress").setAttribute("aria-label", `Progress of ${song.file.name}`);
  part("progress").removeAttribute("value");
  part(".status").textContent = "Fetching…";
  song.card.scrollIntoView({ block: "nearest" });
  try {
    song.card.dataset.job = await submitLink(url, {
      startSeconds: song.startSeconds,
      signal: song.control.signal,
    });
    keep();
    follow(song.card);
  } catch (error) {
    stopped(song, song.control.signal.aborted ? "Canceled." : error.message, true);
  }
}

function queue(song) {
  const part = (name) => song.card.querySelector(name);
  song.control = new AbortController();
  part(".again").hidden = part(".dismiss").hidden = true;
  part(".cancel").hidden = part("progress").hidden = false;
  part(".cancel").onclick = () => song.control.abort();
  part("progress").setAttribute("aria-label", `Upload of ${song.file.name}`);
  part("progress").value = 0;
  if (song.file.size > mostBytes)
    return stopped(
      song,
      `This file is larger than the limit of ${inBytes(mostBytes)}.`,
    );
  part(".status").textContent = "Waiting to upload.";
  waiting.push(song);
  song.control.signal.addEventListener("abort", () => {
    const at = waiting.indexOf(song);
    if (at >= 0) {
      waiting.splice(at, 1);
      stopped(song, "Upload canceled.", true);
    }
  });
  next();
}

function next() {
  while (busy < AT_ONCE && waiting.length) {
    busy += 1;
    upload(waiting.shift()).finally(() => {
      busy -= 1;
      next();
    });
  }
}

async function upload(song) {
  const status = song.card.querySelector(".status");
  const bar = song.card.querySelector("progress");
  let began = performance.now();
  let already = 0; // what had arrived before the last pause
  announce(`Uploading ${song.file.name}`);
  status.textContent = "Uploading…";
  const onProgress = (sent) => {
    const share = song.file.size ? Math.min(1, sent / song.file.size) : 1;
    bar.value = 100 * share;
    const speed = (sent - already) / Math.max(0.001, performance.now() - began);
    const left = (song.file.size - sent) / Math.max(speed, 1) / 1000;
    song.sent = sent;
    status.textContent =
      share >= 1
        ? "Processing…"
        : `Uploading, ${Math.round(100 * share)} %${left > 3 ? `, ${inSeconds(left)} left` : ""}`;
  };
  try {
    const how = { startSeconds: song.startSeconds, onProgress, signal: song.control.signal };
    let id;
    if (form.dataset.tus && song.file.size >= RESUMABLE_BYTES) {
      const transfer = pausable(song, () => {
        began = performance.now();
        already = song.sent ?? 0;
      });
      id = await sendResumable(song.file, transfer, { ...how, url: form.dataset.tus });
    } else {
      id = (await sendWhole(song.file, { ...how, url: form.action })).id;
    }
    song.card.querySelector(".pause").hidden = true;
    song.card.dataset.job = id;
    bar.removeAttribute("value");
    keep();
    follow(song.card);
  } catch (error) {
    if (song.control.signal.aborted) stopped(song, "Upload canceled.", true);
    else stopped(song, error.message, !(error instanceof Refused));
  }
}

// Lets the card's button pause a transfer and take it up again.
function pausable(song, onResume) {
  const button = song.card.querySelector(".pause");
  const transfer = { paused: null, piece: null, interrupted: false };
  let resume = null;
  button.hidden = false;
  button.textContent = "Pause";
  button.onclick = () => {
    if (resume) {
      button.textContent = "Pause";
      onResume();
      resume();
      transfer.paused = resume = null;
    } else {
      button.textContent = "Resume";
      transfer.paused = new Promise((resolve) => (resume = resolve));
      transfer.piece?.abort();
      const share = Math.floor((100 * (song.sent ?? 0)) / song.file.size);
      song.card.querySelector(".status").textContent = `Paused at ${share} %.`;
      announce(`${song.file.name}: paused at ${share} %`);
    }
  };
  song.control.signal.addEventListener("abort", () => resume?.(), { once: true });
  return transfer;
}

function stopped(song, why, mayTryAgain = false) {
  const part = (name) => song.card.querySelector(name);
  part(".status").textContent = why;
  part(".cancel").hidden = part(".pause").hidden = part("progress").hidden = true;
  part(".again").hidden = !mayTryAgain;
  part(".dismiss").hidden = false;
  announce(`${song.file.name}: ${why}`);
}

function inBytes(count) {
  for (const unit of ["B", "kB", "MB"]) {
    if (count < 1000) return `${count.toFixed(unit === "MB" ? 1 : 0)} ${unit}`;
    count /= 1000;
  }
  return `${count.toFixed(1)} GB`;
}

function inSeconds(seconds) {
  return seconds < 60 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

// This tab remembers its songs, so that a reload loses none.
function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

function keep() {
  const ids = [...songs.querySelectorAll("[data-job]")].map((card) => card.dataset.job);
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(ids.slice(0, 30)));
  } catch {
    /* a private window */
  }
}

for (const id of kept()) {
  const item = document.createElement("li");
  const card = document.createElement("article");
  card.dataset.job = id;
  item.append(card);
  songs.append(item);
  show(card, id).then((fresh) => {
    if (!fresh) item.remove();
    else if (fresh.querySelector(".going")) follow(fresh);
  });
}

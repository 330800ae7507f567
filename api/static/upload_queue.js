// Uploads a few files at a time and shows each one's progress on its card.
import { Transfer } from "./transfer.js";
import { bytes, seconds } from "./format.js";
import { whileActive } from "./interrupted_uploads.js";
import { announce } from "./song.js";

const CONCURRENCY = 2;
const waiting = [];
const active = new Set();

addEventListener("beforeunload", (event) => {
  if (active.size || waiting.length) event.preventDefault(); // the browser asks before it leaves
});

// song: {card, file, startSeconds}; options: {url, tus, maxBytes, onJob(song, id)}
export function enqueueUpload(song, options) {
  const part = (name) => song.card.querySelector(name);
  part(".again").hidden = part(".dismiss").hidden = true;
  part(".cancel").hidden = part("progress").hidden = false;
  part("progress").setAttribute("aria-label", `Upload of ${song.file.name}`);
  part("progress").value = 0;
  song.card.classList.remove("rejected");
  if (song.file.size > options.maxBytes) {
    return reject(song, `This file is larger than the limit of ${bytes(options.maxBytes)}.`);
  }
  if (!song.file.size) return reject(song, "This file is empty. Choose another one.");
  part(".status").textContent = "Waiting to upload.";
  part(".again").onclick = () => enqueueUpload(song, options);
  song.transfer = new Transfer(
    song.file,
    { ...options, startSeconds: song.startSeconds },
    progressOf(song),
  );
  part(".cancel").onclick = () => {
    song.transfer.cancel();
    const index = waiting.findIndex((entry) => entry.song === song);
    if (index < 0) return;
    waiting.splice(index, 1);
    stop(song, "Upload canceled.", { canRetry: true });
  };
  waiting.push({ song, options });
  next();
}

function next() {
  while (active.size < CONCURRENCY && waiting.length) {
    const { song, options } = waiting.shift();
    active.add(song);
    send(song, options).finally(() => {
      active.delete(song);
      next();
    });
  }
}

async function send(song, options) {
  const { transfer } = song;
  const part = (name) => song.card.querySelector(name);
  announce(`Uploading ${song.file.name}`);
  part(".status").textContent = "Uploading…";
  if (transfer.canPause) showPause(song);
  try {
    const id = await whileActive(song.file, () => transfer.run());
    part(".pause").hidden = true;
    part("progress").removeAttribute("value");
    options.onJob(song, id);
  } catch (error) {
    if (transfer.canceled) stop(song, "Upload canceled.", { canRetry: true });
    else reject(song, error.message);
  }
}

function progressOf(song) {
  let began = performance.now();
  let offset = 0; // what had arrived before the last interruption
  let interrupted = true;
  const status = () => song.card.querySelector(".status");
  return {
    onProgress(sent) {
      if (interrupted) [began, offset, interrupted] = [performance.now(), sent, false];
      const share = song.file.size ? Math.min(1, sent / song.file.size) : 1;
      song.card.querySelector("progress").value = 100 * share;
      const speed = (sent - offset) / Math.max(1, performance.now() - began);
      const left = speed ? (song.file.size - sent) / speed / 1000 : 0;
      const suffix = left > 3 ? `, ${seconds(left)} left` : "";
      status().textContent =
        share >= 1 ? "Processing…" : `Uploading, ${Math.round(100 * share)} %${suffix}`;
    },
    onLost() {
      interrupted = true;
      status().textContent = "Connection lost. Waiting…";
      announce(`${song.file.name}: connection lost`);
    },
    onPause() {
      interrupted = true;
    },
  };
}

function showPause(song) {
  const button = song.card.querySelector(".pause");
  const { transfer } = song;
  button.hidden = false;
  button.textContent = "Pause";
  button.onclick = () => {
    if (transfer.paused) {
      button.textContent = "Pause";
      transfer.resume();
      return;
    }
    button.textContent = "Resume";
    transfer.handlers.onPause();
    transfer.pause();
    const share = Math.floor((100 * transfer.sent) / song.file.size);
    song.card.querySelector(".status").textContent = `Paused at ${share} %.`;
    announce(`${song.file.name}: paused at ${share} %`);
  };
}

// The server or this page does not take the file.
export function reject(song, sentence) {
  song.card.classList.add("rejected");
  stop(song, sentence, { canRetry: true });
}

export function stop(song, sentence, { canRetry = false } = {}) {
  const part = (name) => song.card.querySelector(name);
  part(".status").textContent = sentence;
  part(".cancel").hidden = part(".pause").hidden = part("progress").hidden = true;
  part(".again").hidden = !canRetry;
  part(".dismiss").hidden = false;
  announce(`${song.file.name}: ${sentence}`);
}

// Watches all jobs of this page over one stream of Server-Sent Events, which is closed while the page is hidden.
// If events don't get through, for example because of a proxy, it polls.
import { address } from "./address.js";
import { authorization, request } from "./credentials.js";
import { stageSentence } from "./stages.js";

const MAX_JOBS = 100;
const POLL_MS = 2000;
const watched = new Map(); // id → {onProgress, onEnd, onRemoved}
let source = null;
let opening = 0;
let polling = 0;

// handlers: {onProgress(sentence), onEnd(), onRemoved()}. Returns a function that stops watching.
export function watchJob(id, handlers) {
  watched.set(id, handlers);
  open();
  return () => forget(id);
}

function forget(id) {
  watched.delete(id);
  if (!watched.size) close();
}

function close() {
  source?.close();
  source = null;
  clearTimeout(opening);
  clearTimeout(polling);
  polling = 0;
}

// Jobs that are added together share one reconnect.
function open() {
  clearTimeout(opening);
  opening = setTimeout(connect, 50);
}

async function connect() {
  close();
  if (document.hidden || !watched.size) return;
  const ids = [...watched.keys()].slice(0, MAX_JOBS);
  const query = ids.map((id) => `job=${encodeURIComponent(id)}`).join("&");
  const url = address(`/v1/events?${query}`);
  source = await newSource(url);
  const opened = source;
  const onProgress = (event) => {
    const { id, stage, queue_position: position, attempt } = JSON.parse(event.data);
    const handlers = watched.get(id);
    if (!handlers || !stage) return;
    handlers.attempt = attempt ?? handlers.attempt;
    handlers.onProgress(stageSentence(stage, { position, attempt: handlers.attempt }));
  };
  source.addEventListener("state", onProgress);
  source.addEventListener("progress", onProgress);
  source.addEventListener("job", (event) => end(event, "onEnd"));
  source.addEventListener("removed", (event) => end(event, "onRemoved"));
  source.addEventListener("error", () => {
    if (opened !== source) return;
    if (source.readyState === 2) return poll(); // closed for good: else it reconnects by itself
    showLost();
  });
}

function showLost() {
  for (const handlers of watched.values()) handlers.onProgress("Connection lost. Waiting…");
}

// The browser's EventSource can't send a key.
async function newSource(url) {
  const headers = authorization();
  if (!headers.Authorization) return new EventSource(url);
  const { EventSource: EventSourceWithHeaders } = await import("./vendor/eventsource-4.1.1.min.js");
  return new EventSourceWithHeaders(url, {
    fetch: (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...headers } }),
  });
}

function end(event, name) {
  const { id } = JSON.parse(event.data);
  const handlers = watched.get(id);
  forget(id);
  handlers?.[name]();
  if (watched.size >= MAX_JOBS) open();
}

async function poll() {
  for (const [id, handlers] of watched) {
    try {
      const job = await (await request(address(`/v1/jobs/${id}`))).json();
      if (["succeeded", "failed", "dead", "canceled"].includes(job.state)) {
        forget(id);
        handlers.onEnd();
      } else {
        const stage = job.state === "running" ? "listening" : "waiting";
        handlers.onProgress(
          stageSentence(stage, { position: job.queue_position, attempt: job.attempts }),
        );
      }
    } catch (error) {
      if (error.status !== 404) {
        handlers.onProgress("Connection lost. Waiting…"); // the next round tries again
        continue;
      }
      forget(id);
      handlers.onRemoved();
    }
  }
  clearTimeout(polling);
  if (watched.size && !document.hidden) polling = setTimeout(poll, POLL_MS);
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("online", open);
addEventListener("offline", showLost);

// One file to the server, with progress, cancel, and pause where the server takes resumable uploads (tus 1.0).

import { credentials } from "./watch.js";

const TUS = { "Tus-Resumable": "1.0.0" };
const TRIES = 6;

export class Refused extends Error {}

function explained(xhr) {
  let detail = "";
  try {
    detail = JSON.parse(xhr.responseText).detail;
  } catch {
    /* not ours: a proxy's page */
  }
  if (xhr.status === 0) return new Error("The connection was lost.");
  return new Refused(detail || `The server answered ${xhr.status}.`);
}

function send(method, url, { body = null, headers = {}, onProgress = () => {}, signal }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener("abort", abort, { once: true });
    xhr.open(method, url);
    for (const [name, value] of Object.entries({
      Accept: "application/json",
      ...credentials(),
      ...headers,
    }))
      xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => onProgress(event.loaded);
    xhr.onloadend = () => {
      signal.removeEventListener("abort", abort);
      if (signal.aborted) reject(signal.reason);
      else if (xhr.status >= 200 && xhr.status < 300) resolve(xhr);
      else reject(Object.assign(explained(xhr), { status: xhr.status }));
    };
    xhr.send(body);
  });
}

// The whole file in one form. Resolves to the job.
export async function sendWhole(file, { url, startSeconds, onProgress, signal }) {
  const form = new FormData();
  if (startSeconds) form.append("start_seconds", startSeconds);
  form.append("file", file);
  const xhr = await send("POST", url, { body: form, onProgress, signal });
  return JSON.parse(xhr.responseText);
}

// The file in as many pieces as it takes: resolves to the id of its job.
// While `upload.paused` is a promise, nothing is sent; pausing aborts `upload.piece`, and what has arrived stays.
export async function sendResumable(file, upload, { url, startSeconds, onProgress, signal }) {
  const metadata = { filename: file.name, filetype: file.type || "application/octet-stream" };
  if (startSeconds) metadata.start_seconds = startSeconds;
  const begun = await send("POST", url, {
    headers: {
      ...TUS,
      "Upload-Length": file.size,
      "Upload-Metadata": Object.entries(metadata)
        .map(([key, value]) => `${key} ${inBase64(value)}`)
        .join(","),
    },
    signal,
  });
  const address = new URL(begun.getResponseHeader("Location"), new URL(url, location.href))
    .pathname;
  signal.addEventListener(
    "abort",
    () =>
      fetch(address, { method: "DELETE", headers: { ...TUS, ...credentials() } }).catch(() => {}),
    { once: true },
  );
  let offset = 0;
  let failures = 0;
  while (true) {
    if (upload.paused) {
      await upload.paused;
      if (signal.aborted) throw signal.reason;
    }
    upload.piece = new AbortController();
    const either = AbortSignal.any([signal, upload.piece.signal]);
    try {
      if (failures || upload.interrupted) {
        const known = await send("HEAD", address, { headers: TUS, signal: either });
        offset = Number(known.getResponseHeader("Upload-Offset"));
        upload.interrupted = false;
        if (offset >= file.size) return address.split("/").pop(); // only the answer to the last piece was lost
      }
      const from = offset;
      const sent = await send("PATCH", address, {
        body: file.slice(offset),
        headers: {
          ...TUS,
          "Upload-Offset": offset,
          "Content-Type": "application/offset+octet-stream",
        },
        onProgress: (loaded) => onProgress(from + loaded),
        signal: either,
      });
      offset = Number(sent.getResponseHeader("Upload-Offset"));
      failures = 0;
      if (offset >= file.size) return address.split("/").pop();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (upload.piece.signal.aborted) {
        upload.interrupted = true;
        continue;
      }
      const permanent =
        error instanceof Refused &&
        error.status < 500 &&
        error.status !== 408 &&
        error.status !== 409;
      failures += 1;
      if (permanent || failures >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** failures));
    }
  }
}

function inBase64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

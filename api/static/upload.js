// One file to the server, with progress, cancel, and pause where the server takes resumable uploads (tus 1.0).

const CHUNK_BYTES = 8 * 1024 * 1024;

export class Refused extends Error {}

function explained(xhr) {
  let detail = "";
  try {
    detail = JSON.parse(xhr.responseText).detail;
  } catch { /* not ours: a proxy's page */ }
  if (xhr.status === 0) return new Error("The connection was lost.");
  return new Refused(detail || `The server answered ${xhr.status}.`);
}

function send(method, url, { body = null, headers = {}, onProgress = () => {}, signal }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener("abort", abort, { once: true });
    xhr.open(method, url);
    for (const [name, value] of Object.entries({ Accept: "application/json", ...headers })) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => onProgress(event.loaded);
    xhr.onloadend = () => {
      signal.removeEventListener("abort", abort);
      if (signal.aborted) reject(signal.reason);
      else if (xhr.status >= 200 && xhr.status < 300) resolve(xhr);
      else reject(explained(xhr));
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

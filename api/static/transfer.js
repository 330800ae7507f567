// Sends one file and resolves to the id of its job. A lost connection is waited for, and a large upload
// continues where it was (tus).
import { authorization, explain, HttpError } from "./credentials.js";

const RESUMABLE_BYTES = 8 * 1024 * 1024;
const STALLED_MS = 8_000;
const RESPONSE_MS = 20_000; // after the last byte, the server may take this long to answer
const MAX_DELAY_MS = 15_000;

export class Transfer {
  // handlers: {onProgress(sentBytes), onLost()}
  constructor(file, { url, tus, startSeconds }, handlers) {
    this.file = file;
    this.url = url;
    this.tus = tus;
    this.startSeconds = startSeconds;
    this.handlers = handlers;
    this.sent = 0;
    this.canceled = false;
    this.canPause = Boolean(tus) && file.size >= RESUMABLE_BYTES;
    this.resume = null;
    this.abort = () => {};
    this.terminate = () => {};
  }

  async run() {
    const attempt = this.canPause ? await this.prepareTus() : this.prepareForm();
    for (let failures = 0; ;) {
      if (this.paused) await this.paused;
      if (this.canceled) throw new Error("canceled");
      const before = this.sent;
      try {
        return await this.guarded(attempt);
      } catch (error) {
        if (this.canceled) throw error;
        if (this.paused || error.message === "paused") continue;
        if (!isTemporary(error)) throw error;
        failures = this.sent > before ? 1 : failures + 1;
        this.handlers.onLost();
        await online(Math.min(MAX_DELAY_MS, 500 * 2 ** failures), (wake) => (this.wake = wake));
      }
    }
  }

  // One attempt that ends when nothing has moved for a while: a dead connection reports no error.
  async guarded(attempt) {
    let moved = performance.now();
    const silentFor = () => performance.now() - moved;
    const giveUp = () => this.abort(new Error("stalled"));
    const timer = setInterval(() => {
      const patience = this.sent < this.file.size ? STALLED_MS : RESPONSE_MS;
      if (silentFor() > patience) this.handlers.onLost();
      if (silentFor() > patience + 2 * STALLED_MS) giveUp();
    }, 1000);
    const wentOffline = () => this.handlers.onLost();
    const cameBack = () => silentFor() > 1000 && giveUp();
    addEventListener("offline", wentOffline);
    addEventListener("online", cameBack);
    try {
      return await attempt((sent) => {
        if (sent !== this.sent) moved = performance.now();
        this.sent = sent;
        this.handlers.onProgress(sent);
      });
    } finally {
      clearInterval(timer);
      removeEventListener("offline", wentOffline);
      removeEventListener("online", cameBack);
    }
  }

  pause() {
    this.paused = new Promise((resolve) => (this.resume = resolve)).then(
      () => (this.paused = null),
    );
    this.abort(new Error("paused"));
  }

  cancel() {
    this.canceled = true;
    this.resume?.();
    this.wake?.();
    this.abort(new Error("canceled"));
    this.terminate();
  }

  prepareForm() {
    const key = crypto.randomUUID?.() ?? String(Math.random()); // a repeated request makes no second job
    return (onProgress) =>
      new Promise((resolve, reject) => {
        const form = new FormData();
        if (this.startSeconds) form.append("start_seconds", this.startSeconds);
        form.append("file", this.file);
        const xhr = new XMLHttpRequest();
        xhr.open("POST", this.url);
        const headers = {
          Accept: "application/json",
          "Idempotency-Key": `"${key}"`,
          ...authorization(),
        };
        for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
        xhr.upload.onprogress = (event) => onProgress(Math.min(event.loaded, this.file.size));
        xhr.onload = () => {
          if (xhr.status >= 300) return reject(httpError(xhr.status, xhr.responseText));
          resolve(JSON.parse(xhr.responseText).id);
        };
        xhr.onerror = xhr.onabort = () => reject(new Error("The connection was lost."));
        this.abort = () => xhr.abort();
        xhr.send(form);
      });
  }

  async prepareTus() {
    const { Upload } = await import("./vendor/tus-js-client-4.3.1.min.js");
    const metadata = {
      filename: this.file.name,
      filetype: this.file.type || "application/octet-stream",
    };
    if (this.startSeconds) metadata.start_seconds = String(this.startSeconds);
    const upload = new Upload(this.file, {
      endpoint: this.tus,
      headers: authorization(),
      metadata,
      retryDelays: null,
      storeFingerprintForResuming: true,
      removeFingerprintOnSuccess: true,
    });
    const [previous] = await upload.findPreviousUploads();
    if (previous) upload.resumeFromPreviousUpload(previous);
    this.terminate = () => upload.abort(true).catch(() => {}); // it may have ended already
    return (onProgress) =>
      new Promise((resolve, reject) => {
        this.abort = (reason) => {
          upload.abort();
          reject(reason);
        };
        upload.options.onProgress = onProgress;
        upload.options.onSuccess = () => resolve(upload.url.split("/").pop());
        upload.options.onError = (error) => {
          const response = error.originalResponse;
          const status = response?.getStatus() ?? 0;
          reject(
            status ? httpError(status, response.getBody()) : new Error("The connection was lost."),
          );
        };
        upload.start();
      });
  }
}

function httpError(status, body) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    /* not ours: a proxy's page */
  }
  return new HttpError(status, explain(status, problem));
}

function isTemporary(error) {
  return (
    !(error instanceof HttpError) ||
    error.status >= 500 ||
    [408, 409, 423, 429].includes(error.status)
  );
}

// Resolves after the delay, or as soon as the browser is online again.
function online(delay, setWake) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, delay);
    addEventListener("online", done);
    setWake(done);
  });
}

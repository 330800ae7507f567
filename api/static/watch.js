// One job's life: Server-Sent Events, and polling where those do not get through.

const POLL_MS = 2000;
const KEY = "kammerton.key";

// The API key of this tab, where the server asks for one: as headers for a request.
export function credentials() {
  try {
    const key = sessionStorage.getItem(KEY);
    return key ? { Authorization: `Bearer ${key}` } : {};
  } catch {
    return {};
  }
}

export function rememberKey(key) {
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    /* a private window */
  }
}

export function sentence(stage, position, attempt) {
  switch (stage) {
    case "uploading":
      return "Uploading.";
    case "waiting":
      if (position === 0) return "Next in line.";
      if (position === 1) return "Waiting. 1 song is ahead of this one.";
      return position > 1 ? `Waiting. ${position} songs are ahead of this one.` : "Waiting.";
    case "waiting_to_retry":
      return "Something went wrong. We will try again in a moment.";
    case "listening":
      return attempt > 1 ? `Analyzing, attempt ${attempt}…` : "Analyzing…";
    case "canceling":
      return "Canceling…";
    default:
      return "Done.";
  }
}

// told: {onProgress(sentence, stage), onEnd(), onGone()}. Returns a function that stops watching.
export function watch(id, told) {
  let attempt = 1;
  let timer = 0;
  let source = null;
  let over = false;

  const end = (how) => {
    if (over) return;
    over = true;
    stop();
    how?.();
  };
  const stop = () => {
    over = true;
    source?.close();
    clearTimeout(timer);
  };
  const poll = async () => {
    try {
      const answer = await fetch(`/v1/jobs/${id}`, {
        headers: { Accept: "application/json", ...credentials() },
      });
      if (answer.status === 404) return end(told.onGone);
      if (answer.ok) {
        const job = await answer.json();
        if (job.finished_at && !["queued", "running"].includes(job.state)) return end(told.onEnd);
        const stage = job.state === "running" ? "listening" : "waiting";
        told.onProgress(sentence(stage, job.queue_position, job.attempts), stage);
      }
    } catch {
      /* the network is unavailable: ask again */
    }
    if (!over) timer = setTimeout(poll, POLL_MS);
  };

  if (!("EventSource" in window) || "Authorization" in credentials()) {
    // an EventSource can't send a key
    poll();
    return stop;
  }
  source = new EventSource(`/v1/jobs/${id}/events`);
  const progress = (event) => {
    const news = JSON.parse(event.data);
    attempt = news.attempt ?? attempt;
    if (news.stage) told.onProgress(sentence(news.stage, news.queue_position, attempt), news.stage);
  };
  source.addEventListener("state", progress);
  source.addEventListener("progress", progress);
  source.addEventListener("job", () => end(told.onEnd));
  source.addEventListener("removed", () => end(told.onGone));
  source.onerror = () => {
    if (over || source.readyState !== EventSource.CLOSED) return; // it reconnects by itself
    poll();
  };
  return stop;
}

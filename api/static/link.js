// A song by its link: the server fetches it, and this page only watches.
import { credentials } from "./watch.js";

// Resolves to the job's id. Throws what the page can show.
export async function submitLink(url, { startSeconds, signal }) {
  const body = { source_url: url };
  const name = nameOf(url);
  if (name) body.filename = name;
  if (startSeconds) body.start_seconds = Number(startSeconds);
  const answer = await fetch("/v1/jobs", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", ...credentials() },
    body: JSON.stringify(body),
    signal,
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail || `The server answered ${answer.status}.`);
  return told.id;
}

// The end of the path, if it looks like a file name.
export function nameOf(url) {
  try {
    const last = decodeURIComponent(new URL(url).pathname.split("/").pop());
    return /\.[a-z0-9]{2,5}$/i.test(last) ? last.slice(0, 200) : "";
  } catch {
    return "";
  }
}

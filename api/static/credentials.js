// The API key of this browser, for servers that require one.

const STORAGE_KEY = "kammerton.key";

export function storedKey() {
  try {
    return localStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return "";
  }
}

export function storeKey(key) {
  try {
    if (key) localStorage.setItem(STORAGE_KEY, key);
    else localStorage.removeItem(STORAGE_KEY);
  } catch {
    /* storage is blocked: the key is not kept */
  }
}

export function authorization() {
  const key = storedKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// Fetch with the key. Throws an Error whose message people can read.
export async function request(url, options = {}) {
  const headers = { Accept: "application/json", ...authorization(), ...options.headers };
  let response;
  try {
    response = await fetch(url, { ...options, headers });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Error("The server can’t be reached. Check your connection.");
  }
  if (!response.ok) throw new HttpError(response.status, await problemText(response));
  return response;
}

export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function problemText(response) {
  const problem = await response.json().catch(() => ({}));
  return explain(response.status, problem);
}

// The sentence for a person: no header names, no jargon.
export function explain(status, problem = {}) {
  if (status === 401)
    return "This server requires an API key. Enter yours under “API key”, then try again.";
  if (status === 415)
    return "This is not an audio file that we can read. Choose an audio or video file.";
  if (status === 413) return "This file is larger than the limit.";
  if (problem.code === "address_refused")
    return "We can’t fetch this address. Use a public link to the audio file itself.";
  return problem.detail || `The server answered with an error (${status}).`;
}

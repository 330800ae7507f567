// The songs of this browser, so that a reload or another tab loses none. Kept locally, and deletable.

const STORAGE_KEY = "kammerton.songs";
const MAX_SONGS = 100;

export function savedSongs() {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? [];
  } catch {
    return [];
  }
}

export function saveSong(id) {
  write([id, ...savedSongs().filter((saved) => saved !== id)]);
}

export function forgetSong(id) {
  write(savedSongs().filter((saved) => saved !== id));
}

export function forgetAllSongs() {
  write([]);
}

function write(ids) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(ids.slice(0, MAX_SONGS)));
  } catch {
    /* storage is blocked: a reload loses the list */
  }
}

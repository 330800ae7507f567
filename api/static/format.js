// Numbers and times in the browser's own format.

export function bytes(count) {
  for (const unit of ["B", "kB", "MB"]) {
    if (count < 1000) return `${count.toFixed(unit === "MB" ? 1 : 0)} ${unit}`;
    count /= 1000;
  }
  return `${count.toFixed(1)} GB`;
}

export function seconds(count) {
  return count < 60 ? `${Math.ceil(count)} s` : `${Math.ceil(count / 60)} min`;
}

// Replaces UTC times of the server by local ones.
export function localTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = time.textContent.trim();
    time.textContent = date.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    time.dataset.local = "";
  }
}

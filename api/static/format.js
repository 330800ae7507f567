// Numbers and times in the browser's own format.

export function number(value, digits = 0) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString(undefined, options);
}

export function bytes(count) {
  for (const unit of ["B", "kB", "MB"]) {
    if (count < 1000) return `${number(count, unit === "MB" ? 1 : 0)} ${unit}`;
    count /= 1000;
  }
  return `${number(count, 1)} GB`;
}

export function seconds(count) {
  return count < 60 ? `${Math.ceil(count)} s` : `${Math.ceil(count / 60)} min`;
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const relativeFormat = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

// A time as people say it: "3 min. ago", "in 20 sec.".
function relative(date) {
  const seconds = (date - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return relativeFormat.format(Math.trunc(seconds / size), unit);
}

// Replaces UTC times of the server by local or relative ones. The title has the others.
export function localTimes(root = document, { isRelative = false } = {}) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.dataset.utc ??= time.textContent.trim();
    const local = date.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    time.title = isRelative ? `${local} (${time.dataset.utc})` : time.dataset.utc;
    const text = isRelative ? relative(date) : local;
    if (time.textContent !== text) time.textContent = text;
  }
}

// Writes the server's numbers as this browser does, with as many decimals as the server gave them.
export function localNumbers(root = document) {
  for (const data of root.querySelectorAll("data[value]")) {
    const decimals = data.value.split(".")[1] ?? "";
    data.textContent = number(Number(data.value), decimals.length);
  }
}

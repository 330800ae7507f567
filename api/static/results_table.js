// The compact table of many songs: one row each, which opens its card, and all of them as CSV or JSON.
import { address } from "./address.js";
import { request } from "./credentials.js";
import { number } from "./format.js";

const COLUMNS = ["name", "a4_hz", "uncertainty_hz", "verdict", "confidence", "drift_cents"];
const section = document.querySelector("#results");
const body = section.querySelector("tbody");

// cards: the articles of all songs, newest first.
export function drawTable(cards, { onOpen }) {
  const finished = cards.filter((card) => card.dataset.result);
  section.hidden = finished.length < 2;
  document.body.classList.toggle("many-songs", finished.length >= 2);
  body.replaceChildren(...finished.map((card) => row(card, onOpen)));
}

function row(card, onOpen) {
  const result = JSON.parse(card.dataset.result);
  const tr = document.createElement("tr");
  const open = document.createElement("button");
  open.type = "button";
  open.className = "quiet";
  open.textContent = result.name;
  open.setAttribute("aria-expanded", String(!card.closest("li").hidden));
  open.onclick = () => onOpen(card);
  const pitch = result.a4_hz == null ? "–" : `${number(result.a4_hz, 1)} Hz`;
  const uncertainty =
    result.uncertainty_hz == null ? "" : ` ± ${number(Math.max(0.1, result.uncertainty_hz), 1)}`;
  const confidence =
    result.confidence == null ? "–" : `${Math.min(99, Math.round(100 * result.confidence))} %`;
  const drift = result.drift_cents == null ? "–" : `${number(result.drift_cents)} cents`;
  const cells = {
    A4: pitch + uncertainty,
    Verdict: result.verdict,
    Confidence: confidence,
    Drift: drift,
  };
  const heading = document.createElement("th");
  heading.scope = "row";
  heading.append(open);
  tr.append(heading);
  for (const [label, text] of Object.entries(cells)) {
    const cell = document.createElement("td");
    if (label === "Confidence" || label === "Drift") cell.className = "only-wide";
    cell.textContent = text;
    tr.append(cell);
  }
  return tr;
}

function results() {
  const cards = [...document.querySelectorAll("#songs .song[data-result]")];
  return cards.map((card) => ({ id: card.dataset.job, ...JSON.parse(card.dataset.result) }));
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

section.querySelector(".csv").onclick = () => {
  // a cell that begins like a formula would be run by a spreadsheet
  const quote = (value) =>
    `"${String(value ?? "")
      .replace(/^[=+\-@\t\r](?!\d)/, "'$&")
      .replaceAll('"', '""')}"`;
  const lines = results().map((result) => COLUMNS.map((column) => quote(result[column])).join(","));
  download("kammerton.csv", "text/csv", [COLUMNS.join(","), ...lines].join("\r\n"));
};

section.querySelector(".json").onclick = async () => {
  const jobs = [];
  for (const { id } of results()) {
    try {
      jobs.push(await (await request(address(`/v1/jobs/${id}`))).json());
    } catch {
      /* expired meanwhile */
    }
  }
  download("kammerton.json", "application/json", JSON.stringify(jobs, null, 2));
};

// Draws the history with uPlot, in the colours of the page, and keeps it fresh.
import { address } from "./address.js";
import { number } from "./format.js";

const charts = document.querySelector("#charts");
const plots = new Map();
const probe = document.body.appendChild(document.createElement("i"));
// The color that a custom property has in the current theme.
const style = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};

const bad = (bucket) => (bucket.counts.failed ?? 0) + (bucket.counts.dead ?? 0);
const well = (bucket) => bucket.counts.succeeded ?? 0;
const canceled = (bucket) => bucket.counts.canceled ?? 0;

// Bars stand on one another: each series is drawn as high as all below it, and told as what it is.
const SERIES = {
  throughput: [
    {
      label: "canceled",
      colour: "--bar",
      value: canceled,
      height: (bucket) => bad(bucket) + well(bucket) + canceled(bucket),
    },
    {
      label: "succeeded",
      colour: "--good",
      value: well,
      height: (bucket) => bad(bucket) + well(bucket),
    },
    { label: "failed or dead", colour: "--found", value: bad },
  ],
  waiting: percentiles("waiting", 1),
  running: percentiles("running", 1),
  memory: percentiles("memory", 1e6),
};

function percentiles(what, unit) {
  return [
    ["p50", "--good"],
    ["p95", "--brass"],
    ["p99", "--found"],
  ].map(([label, colour]) => ({
    label,
    colour,
    value: (bucket) => (bucket[what] ? bucket[what][label] / unit : null),
  }));
}

function draw(history) {
  for (const place of charts.querySelectorAll("[data-chart]")) {
    const series = SERIES[place.dataset.chart];
    const data = [
      history.buckets.map((bucket) => bucket.at),
      ...series.map((one) => history.buckets.map(one.height ?? one.value)),
    ];
    const known = plots.get(place);
    if (known) {
      known.history = history;
      known.setData(data);
      continue;
    }
    const axis = {
      stroke: style("--soft"),
      grid: { stroke: style("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui",
    };
    const isCount = place.dataset.chart === "throughput";
    const bars = isCount ? uPlot.paths.bars({ size: [0.7, 24] }) : undefined;
    const plot = new uPlot(
      {
        width: place.clientWidth,
        height: 200,
        cursor: { drag: { x: true, y: false } },
        scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, isCount ? 4 : 0.001)] } },
        axes: [
          { ...axis, values: (_, times) => times.map(clock) },
          { ...axis, size: 52 },
        ],
        series: [
          {
            label: "Time",
            value: (_, at) => (at == null ? (isCount ? "total" : "latest") : exact(at)),
          },
          ...series.map((one) => ({
            label: one.label,
            stroke: style(one.colour),
            fill: isCount ? style(one.colour) : undefined,
            width: isCount ? 0 : 2,
            paths: bars,
            spanGaps: false,
            points: { show: !isCount, size: 5, fill: style(one.colour) },
            value: (self, drawn, _, at) => {
              const { buckets } = self.history ?? history;
              return told(at == null ? summary(buckets, one, isCount) : one.value(buckets[at]));
            },
          })),
        ],
      },
      data,
      place,
    );
    plots.set(place, plot);
  }
}

function told(value) {
  return value == null ? "–" : value >= 100 ? number(value) : value.toLocaleString(undefined, { maximumSignificantDigits: 3 });
}

// What the legend says while the pointer is elsewhere: the total of counts, else the latest value.
function summary(buckets, one, isCount) {
  const values = buckets.map(one.value);
  if (isCount) return values.reduce((sum, value) => sum + value, 0);
  return values.findLast((value) => value != null) ?? null;
}

function exact(at) {
  return new Date(at * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

function clock(at) {
  const options =
    charts.dataset.span === "week"
      ? { month: "numeric", day: "numeric", hour: "2-digit" }
      : { hour: "2-digit", minute: "2-digit" };
  return new Date(at * 1000).toLocaleString([], options);
}

async function refresh() {
  if (document.hidden && plots.size) return;
  try {
    const answer = await fetch(address(`/admin/api/history?span=${charts.dataset.span}`));
    if (answer.ok) draw(await answer.json());
  } catch {
    /* the network is unavailable */
  }
}

addEventListener("resize", () => {
  for (const [place, plot] of plots) plot.setSize({ width: place.clientWidth, height: 200 });
});
function redraw() {
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  refresh();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
document.addEventListener("themechange", redraw);
await refresh();
setInterval(refresh, 15000);

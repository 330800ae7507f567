// Draws the history with uPlot, in the colours of the page, and keeps it fresh.

const charts = document.querySelector("#charts");
const plots = new Map();
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const SERIES = {
  throughput: [["succeeded", "--good"], ["failed", "--found"], ["dead", "--bad"], ["canceled", "--soft"]].map(
    ([label, colour]) => ({ label, colour, value: (bucket) => bucket.counts[label] ?? 0 })),
  waiting: percentiles("waiting", 1),
  running: percentiles("running", 1),
  memory: percentiles("memory", 1e6),
};

function percentiles(what, unit) {
  return [["p50", "--good"], ["p95", "--brass"], ["p99", "--found"]].map(([label, colour]) => ({
    label, colour, value: (bucket) => (bucket[what] ? bucket[what][label] / unit : null),
  }));
}

function draw(history) {
  for (const place of charts.querySelectorAll("[data-chart]")) {
    const series = SERIES[place.dataset.chart];
    const data = [history.buckets.map((bucket) => bucket.at), ...series.map((one) => history.buckets.map(one.value))];
    const known = plots.get(place);
    if (known) {
      known.setData(data);
      continue;
    }
    const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const isCount = place.dataset.chart === "throughput";
    const bars = isCount ? uPlot.paths.bars({ size: [0.7, 24] }) : undefined;
    plots.set(place, new uPlot({
      width: place.clientWidth,
      height: 200,
      cursor: { drag: { x: true, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, isCount ? 4 : 0.001)] } },
      axes: [axis, { ...axis, size: 52 }],
      series: [{}, ...series.map((one, index) => ({
        label: one.label,
        stroke: style(one.colour),
        fill: isCount ? style(one.colour) : undefined,
        width: isCount ? 0 : 2,
        paths: isCount && index === 0 ? bars : undefined,
        spanGaps: false,
        points: { show: !isCount, size: 5, fill: style(one.colour) },
        value: (_, value) => (value == null ? "–" : value >= 100 ? value.toFixed(0) : String(+value.toPrecision(3))),
      }))],
    }, data, place));
  }
}

async function refresh() {
  if (document.hidden && plots.size) return;
  try {
    const answer = await fetch(`/admin/api/history?span=${charts.dataset.span}`);
    if (answer.ok) draw(await answer.json());
  } catch { /* the network is away */ }
}

addEventListener("resize", () => {
  for (const [place, plot] of plots) plot.setSize({ width: place.clientWidth, height: 200 });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  refresh();
});
await refresh();
setInterval(refresh, 15000);

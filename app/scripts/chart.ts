// Draws curves that can be zoomed, read and smoothed. The MetricChart island loads this file when somebody reaches for
// a chart, and calls `draw` with all there is to draw; calling again with other options redraws in place.

import uPlot from "uplot";

interface Point {
  step: number;
  timestamp: number;
  value: number | null;
}
interface Series {
  name: string;
  hue: number;
  hidden: boolean;
  points: Point[];
}
interface Options {
  byTime: boolean;
  log: boolean;
  smoothing: string | null;
  reference: string | null;
  referenceName: string;
}

const charts = new WeakMap<HTMLElement, { plot: uPlot; byTime: boolean; watch: ResizeObserver }>();

/** The computed colour of a token, in a form that a canvas takes. */
function colour(host: HTMLElement, token: string): string {
  const probe = host.ownerDocument.createElement("i");
  probe.style.color = `var(${token})`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Exponential moving average, with the start not biased towards zero. Gaps stay gaps. */
function smooth(values: (number | null | undefined)[], weight: number): (number | null | undefined)[] {
  if (weight <= 0) return values;
  let last = 0;
  let n = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return value;
    last = last * weight + (1 - weight) * value;
    n += 1;
    return last / (1 - weight ** n);
  });
}

function readable(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

/** A moment in UTC, as exact as the span shown asks for. */
function moment(seconds: number, span: number): string {
  const text = new Date(seconds * 1000).toISOString();
  return span > 2 * 86400 ? text.slice(5, 10) : span > 600 ? text.slice(11, 16) : text.slice(11, 19);
}

function draw(host: HTMLElement, series: Series[], options: Options): void {
  const smoothing = Number(options.smoothing ?? 0);
  const x = (point: Point) => (options.byTime ? point.timestamp / 1000 : point.step);
  const tables = series.map((one) => {
    // One point to an x, the last logged; a logarithm has no place for what is not above zero.
    const points = new Map<number, number | null>();
    for (const point of one.points)
      points.set(x(point), point.value !== null && (!options.log || point.value > 0) ? point.value : null);
    const sorted = [...points].sort((a, b) => a[0] - b[0]);
    return [sorted.map((p) => p[0]), sorted.map((p) => p[1])] as uPlot.AlignedData;
  });
  const joined = tables.length > 1 ? uPlot.join(tables) : (tables[0] ?? [[], []]);
  const xs = joined[0] as number[];
  const raw = joined.slice(1) as (number | null | undefined)[][];
  const columns: (number | null | undefined)[][] = [];
  const lines: uPlot.Series[] = [{ label: options.byTime ? "time" : "step" }];
  series.forEach((one, at) => {
    const stroke = colour(host, `--series-${one.hue}`);
    if (smoothing > 0) {
      columns.push(raw[at]);
      lines.push({ stroke, width: 1, alpha: 0.35, show: !one.hidden, spanGaps: true, points: { show: false } });
    }
    columns.push(smooth(raw[at], smoothing));
    lines.push({ label: one.name, stroke, width: 1.75, show: !one.hidden, spanGaps: true, points: { show: xs.length < 2 } });
  });
  if (options.reference !== null) {
    const reference = Number(options.reference);
    columns.push(xs.map(() => reference));
    lines.push({ label: options.referenceName, stroke: colour(host, "--series-ref"), width: 1.25, dash: [4, 3], points: { show: false } });
  }

  const before = charts.get(host);
  const zoom = before && before.byTime === options.byTime ? { ...before.plot.scales.x } : null;
  before?.watch.disconnect();
  before?.plot.destroy();
  host.replaceChildren();
  const tip = document.createElement("div");
  tip.className = "tipbox";
  tip.hidden = true;

  const grid = { stroke: colour(host, "--grid"), width: 1 };
  const axis = { stroke: colour(host, "--text-3"), font: `11px ${getComputedStyle(host).fontFamily}`, grid, ticks: { show: false }, gap: 4 };
  // As high as the drawing that it covers, so that nothing below moves.
  const heightOf = (width: number) => Math.round((width * 196) / 372);
  const plot = new uPlot(
    {
      width: host.clientWidth,
      height: heightOf(host.clientWidth),
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: options.byTime }, y: { distr: options.log ? 3 : 1 } },
      axes: [
        {
          ...axis,
          size: 24,
          grid: { show: false },
          ...(options.byTime && {
            values: (u: uPlot, ticks: number[]) => ticks.map((tick) => moment(tick, (u.scales.x.max ?? 0) - (u.scales.x.min ?? 0))),
          }),
        },
        { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : readable(tick))) },
      ],
      series: lines,
      hooks: {
        setCursor: [
          (u) => {
            const at = u.cursor.idx;
            tip.hidden = at === null || at === undefined;
            if (at === null || at === undefined) return;
            const head = options.byTime ? new Date(xs[at] * 1000).toISOString().replace("T", " ").slice(0, 19) + " UTC" : `step ${xs[at]}`;
            tip.replaceChildren(head);
            u.series.forEach((line, n) => {
              if (n === 0 || !line.show || line.label === undefined || columns[n - 1][at] === undefined) return;
              const row = document.createElement("div");
              row.textContent = `${String(line.label)} ${readable(columns[n - 1][at])}`;
              tip.append(row);
            });
            const left = u.cursor.left ?? 0;
            tip.style.left = `${left > u.over.clientWidth / 2 ? left - tip.offsetWidth - 10 : left + 10}px`;
            tip.style.top = "4px";
          },
        ],
      },
    },
    [xs, ...columns] as uPlot.AlignedData,
    host,
  );
  plot.over.append(tip);
  if (zoom && zoom.min !== undefined && zoom.max !== undefined) plot.setScale("x", { min: zoom.min, max: zoom.max });
  const watch = new ResizeObserver(() => {
    if (host.clientWidth !== plot.width) plot.setSize({ width: host.clientWidth, height: heightOf(host.clientWidth) });
  });
  watch.observe(host);
  charts.set(host, { plot, byTime: options.byTime, watch });
}

declare global {
  interface Window {
    slipwayChart?: { draw: typeof draw };
  }
}
window.slipwayChart = { draw };
// Colours are read when a chart is drawn: when the system turns dark, it is drawn anew.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("slipway:theme")));

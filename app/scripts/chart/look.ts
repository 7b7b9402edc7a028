// How the charts of a page are looked at: the settings in its address, read and written.

export type Axis = "step" | "time" | "relative";

export interface Look {
  axis: Axis;
  log: boolean;
  smoothing: number;
  inner: boolean;
  start: number | null;
  end: number | null;
}

/** What the address of the page says, as the server reads it. */
export function read(params: URLSearchParams): Look {
  const number = (name: string) => {
    const text = params.get(name);
    return text === null || text === "" || !Number.isFinite(Number(text)) ? null : Number(text);
  };
  const axis = params.get("x");
  const [start, end] = [number("start"), number("end")];
  const isRange = start === null || end === null || start < end;
  return {
    axis: axis === "time" || axis === "relative" ? axis : "step",
    log: params.get("y") === "log",
    smoothing: Math.min(Math.max(Number(params.get("smoothing") ?? 0) || 0, 0), 0.99),
    inner: params.get("outliers") === "ignored",
    start: isRange ? start : null,
    end: isRange ? end : null,
  };
}

/** The same address with these settings. */
export function write(look: Look, address: URL): URL {
  const changed = new URL(address);
  const set = (name: string, value: string | null) => (value === null ? changed.searchParams.delete(name) : changed.searchParams.set(name, value));
  set("x", look.axis === "step" ? null : look.axis);
  set("y", look.log ? "log" : null);
  set("smoothing", look.smoothing > 0 ? look.smoothing.toFixed(2) : null);
  set("outliers", look.inner ? "ignored" : null);
  set("start", look.start === null ? null : String(look.start));
  set("end", look.end === null ? null : String(look.end));
  return changed;
}

/** Exponential moving average that does not lean to zero at its beginning, as `domain::series::smooth`. Gaps stay gaps. */
export function smooth(values: (number | null | undefined)[], weight: number): (number | null | undefined)[] {
  if (weight <= 0) return values;
  let last = 0;
  let share = 1;
  return values.map((value) => {
    if (value === null || value === undefined) return value;
    last = last * weight + (1 - weight) * value;
    share *= weight;
    return last / (1 - share);
  });
}

/** The 5th and the 95th percentile, as `domain::series::inner_range`. */
export function innerRange(values: number[]): [number, number] | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  };
  return [at(0.05), at(0.95)];
}

export function readable(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

const spans: [number, number, string][] = [
  [120, 1, "s"],
  [7200, 60, "min"],
  [172_800, 3600, "h"],
  [Infinity, 86_400, "d"],
];

/** A length of time in seconds, in the unit that fits what is shown. */
export function length(seconds: number, reach: number): string {
  const [, unit, name] = spans.find(([most]) => Math.abs(reach) < most) ?? spans[3];
  return seconds === 0 ? "0" : `${readable(seconds / unit)} ${name}`;
}

/** A length of time in seconds, to read. */
export function duration(seconds: number): string {
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (size < 60) return `${readable(seconds)} s`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (size < 3600) return `${sign}${Math.floor(size / 60)} min ${two(size % 60)} s`;
  return `${sign}${Math.floor(size / 3600)} h ${two((size % 3600) / 60)} min`;
}

/** A moment in UTC, as exact as the span shown asks for. */
export function moment(ms: number, span: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "";
  const text = date.toISOString();
  return span > 2 * 864e5 ? text.slice(5, 10) : span > 6e5 ? text.slice(11, 16) : text.slice(11, 19);
}

/** Where the crosshair is, in words. */
export function place(look: Look, x: number): string {
  if (look.axis === "step") return `step ${x.toLocaleString("en")}`;
  if (look.axis === "relative") return duration(x);
  const date = new Date(x);
  return Number.isNaN(date.getTime()) ? "" : `${date.toISOString().replace("T", " ").slice(0, 19)} UTC`;
}

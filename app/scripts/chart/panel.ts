// One chart: the canvas over the picture that the server drew.

import uPlot from "uplot";
import { type Look, innerRange, length, moment, place, readable, smooth } from "./look";

export interface Point {
  step: number;
  timestamp: number;
  value: number | null;
}
export interface Curve {
  run_id: string;
  key: string;
  total: number;
  points: Point[];
}
export interface Run {
  id: string;
  name: string;
  start: number;
  hue: number;
  hidden: boolean;
}
type Values = (number | null | undefined)[];

/** What a chart tells the others of its page. */
export interface Told {
  look(): Look;
  runs: Run[];
  zoom(start: number, end: number): void;
  reset(): void;
  said(text: string): void;
  /** Every chart shows what it has there. */
  point(x: number): void;
}

const DASHES: number[][] = [[], [7, 3], [2, 3], [8, 3, 2, 3], [12, 4]];
/** With more curves than these, the values are told by the chart under the pointer alone. */
const FEW = 5;
/** The most values that are told at once. */
const MOST_TOLD = 12;

/** The computed colour of a token, in a form that a canvas takes. */
function colour(host: Element, token: string): string {
  const probe = host.ownerDocument.createElement("i");
  probe.style.color = `var(${token})`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Steps between ticks of a time axis, in ms. */
const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800].map((s) => s * 1000);
/** The same for seconds, and parts of one. */
const SECONDS = [0.001, 0.01, 0.1, 0.5, ...CLOCK.map((ms) => ms / 1000)];
/** MLflow keeps what is infinite as the greatest number there is. */
const drawable = (value: number | null) => (value !== null && Math.abs(value) < Number.MAX_VALUE ? value : null);

export class Panel {
  readonly key: string;
  private readonly host: HTMLElement;
  private plot: uPlot | null = null;
  private watch: ResizeObserver | null = null;
  private xs: number[] = [];
  private shown: { run: Run; values: Values }[] = [];
  private curves: Curve[] = [];
  /** Whether the points are those of another part of the axis than is looked at. */
  stale = true;

  constructor(
    readonly root: HTMLElement,
    private readonly told: Told,
  ) {
    this.key = root.dataset.metric ?? "";
    this.host = root.querySelector<HTMLElement>(".plot")!;
    const heading = root.querySelector("h3")?.textContent ?? "";
    this.host.tabIndex = 0;
    this.host.setAttribute("role", "group");
    this.host.setAttribute("aria-label", `${heading}: arrows read values, plus and minus zoom, 0 shows all`);
    this.host.addEventListener("keydown", (event) => this.pressed(event));
  }

  set(curves: Curve[]): void {
    this.curves = curves;
    this.stale = false;
    this.draw();
  }

  get isDrawn(): boolean {
    return this.plot !== null;
  }

  /** Gives the canvas back; the server's picture keeps the place. */
  rest(): void {
    this.watch?.disconnect();
    this.plot?.destroy();
    this.plot = null;
    delete this.root.dataset.drawn;
  }

  private x(run: Run, point: Point): number {
    switch (this.told.look().axis) {
      case "step":
        return point.step;
      case "time":
        return point.timestamp;
      case "relative":
        return (point.timestamp - run.start) / 1000;
    }
  }

  draw(): void {
    if (this.curves.length === 0) return;
    const look = this.told.look();
    // As high as the drawing that it covers, and that from before it is hidden: else the page would be shorter for a
    // moment, and scroll.
    const heightOf = (width: number) => Math.round((width * 196) / 372);
    const width = (this.isDrawn ? this.host : (this.root.querySelector(".drawn") ?? this.host)).clientWidth;
    this.host.style.minHeight = `${heightOf(width)}px`;
    this.root.dataset.drawn = "";
    const runs = this.told.runs.filter((run) => !run.hidden);
    const found = runs.flatMap((run) => {
      const curve = this.curves.find((one) => one.run_id === run.id);
      return curve ? [{ run, curve }] : [];
    });
    const tables = found.map(({ run, curve }) => {
      // One point to an x, the last logged.
      const points = new Map<number, number | null>();
      for (const point of curve.points) {
        const value = drawable(point.value);
        points.set(this.x(run, point), value !== null && (!look.log || value > 0) ? value : null);
      }
      const sorted = [...points].sort((a, b) => a[0] - b[0]);
      return [sorted.map((p) => p[0]), sorted.map((p) => p[1])] as uPlot.AlignedData;
    });
    const joined = tables.length > 1 ? uPlot.join(tables) : (tables[0] ?? [[], []]);
    this.xs = joined[0] as number[];
    this.shown = found.map(({ run }, at) => ({ run, values: joined[at + 1] as Values }));
    const columns: Values[] = [];
    const lines: uPlot.Series[] = [{}];
    const thickness = found.length > 12 ? 1.25 : 1.75;
    for (const { run, values } of this.shown) {
      const stroke = colour(this.host, `--series-${(run.hue % 10) + 1}`);
      const dash = DASHES[Math.floor(run.hue / 10) % 5];
      const points = { show: values.filter((value) => typeof value === "number").length < 2, size: 7 };
      if (look.smoothing > 0) {
        columns.push(values);
        lines.push({ stroke, width: 1, alpha: 0.3, dash, points: { show: false } });
      }
      columns.push(smooth(values, look.smoothing));
      lines.push({ label: run.id, stroke, width: thickness, dash, points });
    }
    const level = this.root.querySelector<HTMLElement>("[data-level]");
    if (level) {
      const value = Number(level.dataset.level);
      if (!look.log || value > 0) {
        columns.push(this.xs.map(() => value));
        lines.push({ stroke: colour(this.host, "--series-ref"), width: 1.25, dash: [4, 3], points: { show: false } });
      }
    }
    this.figures();

    this.watch?.disconnect();
    this.plot?.destroy();
    this.host.replaceChildren();
    const tip = document.createElement("div");
    tip.className = "tipbox";
    tip.hidden = true;
    const grid = { stroke: colour(this.host, "--grid"), width: 1 };
    const axis = { stroke: colour(this.host, "--text-3"), font: `11px ${getComputedStyle(this.host).fontFamily}`, grid, ticks: { show: false }, gap: 4 };
    const gap = colour(this.host, "--fail-solid");
    const plot = new uPlot(
      {
        width,
        height: heightOf(width),
        padding: [8, 14, null, null],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: true, y: false, setScale: false },
          points: { size: (_, n) => (lines[n].label === undefined ? 0 : 7) },
          // Where the pointer is, by value: every chart shows what it has there. What is dragged is told by us.
          sync: { key: "board", scales: ["x", null], filters: { pub: (type) => !/^mouse(down|up)$/.test(type) && type !== "dblclick" } },
          bind: {
            dblclick: () => () => {
              this.told.reset();
              return null;
            },
          },
        },
        scales: {
          x: { time: false, range: (_, min, max) => this.xRange(min, max) },
          y: { distr: look.log ? 3 : 1, range: (u, min, max) => this.yRange(u, min, max) },
        },
        axes: [
          {
            ...axis,
            size: 24,
            grid: { show: false },
            ...(look.axis !== "step" && { incrs: look.axis === "time" ? CLOCK : SECONDS }),
            values: (u, ticks) => {
              const [min, max] = [u.scales.x.min ?? 0, u.scales.x.max ?? 0];
              return ticks.map((tick) => {
                if (look.axis === "time") return moment(tick, max - min);
                return look.axis === "relative" ? length(tick, max) : Math.abs(tick) >= 1e5 ? readable(tick) : tick.toLocaleString("en");
              });
            },
          },
          { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : readable(tick))) },
        ],
        series: lines,
        hooks: {
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              const [start, end] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              this.told.zoom(start, end);
            },
          ],
          setCursor: [(u) => this.point(u, tip)],
          drawSeries: [
            // At the foot a mark for each value that is no number.
            (u, at) => {
              if (lines[at].label === undefined) return;
              u.ctx.save();
              u.ctx.fillStyle = gap;
              const foot = u.bbox.top + u.bbox.height;
              const unit = devicePixelRatio;
              (columns[at - 1] ?? []).forEach((value, n) => {
                if (value === null) u.ctx.fillRect(u.valToPos(this.xs[n], "x", true) - unit / 2, foot - 6 * unit, 1.5 * unit, 6 * unit);
              });
              u.ctx.restore();
            },
          ],
        },
      },
      [this.xs, ...columns] as uPlot.AlignedData,
      this.host,
    );
    plot.over.append(tip);
    this.plot = plot;
    this.watch = new ResizeObserver(() => {
      const width = this.host.clientWidth;
      if (width === 0 || width === plot.width) return;
      this.host.style.minHeight = `${heightOf(width)}px`;
      plot.setSize({ width, height: heightOf(width) });
    });
    this.watch.observe(this.host);
  }

  private xRange(min: number, max: number): [number, number] {
    const look = this.told.look();
    const [low, high] = [look.start ?? min ?? 0, look.end ?? max ?? 1];
    return low < high ? [low, high] : [low - 1, low + 1];
  }

  private yRange(u: uPlot, min: number, max: number): [number, number] {
    const look = this.told.look();
    let [low, high] = [min, max];
    if (look.inner) {
      const [from, to] = this.xRange(this.xs[0], this.xs[this.xs.length - 1]);
      const within = this.shown.flatMap(({ values }) => values.filter((value, at): value is number => typeof value === "number" && this.xs[at] >= from && this.xs[at] <= to));
      [low, high] = innerRange(within) ?? [min, max];
    }
    if (low === null || high === null || low === undefined || !Number.isFinite(low) || !Number.isFinite(high)) return look.log ? [0.1, 1] : [0, 1];
    if (look.log && low > 0) return u.data.length > 0 ? (uPlot.rangeLog(low, high, 10, false) as [number, number]) : [low, high];
    return uPlot.rangeNum(low, high, 0.08, true) as [number, number];
  }

  /** Zooms to what is looked at, with the points that are here, until finer ones are. */
  rescale(): void {
    if (!this.plot || this.xs.length === 0) return;
    const [min, max] = this.xRange(this.xs[0], this.xs[this.xs.length - 1]);
    this.plot.setScale("x", { min, max });
  }

  /** Puts the crosshair there. */
  pointAt(x: number): void {
    this.plot?.setCursor({ left: this.plot.valToPos(x, "x"), top: this.plot.over.clientHeight / 2 });
  }

  /** Tells what the crosshair is at. */
  private point(u: uPlot, tip: HTMLElement): void {
    const at = u.cursor.idx;
    const head = this.root.querySelector<HTMLElement>(".at");
    const isHere = u.cursor.event !== null && u.cursor.event !== undefined && u.over.matches(":hover, :focus-within");
    if (at === null || at === undefined || (u.cursor.left ?? -1) < 0) {
      tip.hidden = true;
      if (head) head.textContent = "";
      return;
    }
    const look = this.told.look();
    const rows = this.shown.flatMap(({ run, values }) => {
      const smoothed = look.smoothing > 0 ? smooth(values, look.smoothing) : values;
      // Runs have their points at other places: the last one before is what it had reached.
      let n = at;
      while (n >= 0 && values[n] === undefined) n -= 1;
      return n < 0 ? [] : [{ run, value: smoothed[n], raw: values[n] }];
    });
    const where = place(look, this.xs[at]);
    if (rows.length <= 1) {
      const value = rows[0]?.raw === null ? "NaN" : readable(rows[0]?.value);
      if (head) head.textContent = `${where} · ${value}`;
      tip.hidden = true;
      return;
    }
    if (head) head.textContent = where;
    tip.hidden = rows.length > FEW && !isHere;
    if (tip.hidden) return;
    const top = u.cursor.top ?? 0;
    const distance = (value: number | null | undefined) => (typeof value === "number" ? Math.abs(u.valToPos(value, "y") - top) : Infinity);
    if (rows.length > MOST_TOLD) rows.sort((a, b) => distance(a.value) - distance(b.value)).splice(MOST_TOLD);
    rows.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
    tip.replaceChildren(
      ...rows.map(({ run, value, raw }) => {
        const row = document.createElement("div");
        row.innerHTML = `<svg class="swatch" viewBox="0 0 20 8"><path class="line k${(run.hue % 10) + 1} d${Math.floor(run.hue / 10) % 5}" d="M0 4H20"/></svg><span></span><b></b>`;
        row.querySelector("span")!.textContent = run.name;
        row.querySelector("b")!.textContent = raw === null ? "NaN" : readable(value);
        return row;
      }),
    );
    if (this.shown.length > rows.length) {
      const more = document.createElement("p");
      more.textContent = `${this.shown.length - rows.length} more`;
      tip.append(more);
    }
    const left = u.cursor.left ?? 0;
    tip.style.left = `${left > u.over.clientWidth / 2 ? left - tip.offsetWidth - 12 : left + 12}px`;
    tip.style.top = "4px";
  }

  /** The numbers below a chart of one curve follow it. */
  private figures(): void {
    if (this.shown.length !== 1) return;
    const numbers = this.shown[0].values.filter((value): value is number => typeof value === "number");
    const put = (name: string, value: number | undefined) => {
      const place = this.root.querySelector(`[data-${name}]`);
      if (place && value !== undefined) place.textContent = readable(value);
    };
    const look = this.told.look();
    // Of a part of the axis the least and the greatest are that part's; the last one is the curve's.
    if (look.start === null && look.end === null && !look.log) {
      put("last", numbers[numbers.length - 1]);
      put("least", numbers.reduce((a, b) => Math.min(a, b), Infinity));
      put("most", numbers.reduce((a, b) => Math.max(a, b), -Infinity));
    }
  }

  private pressed(event: KeyboardEvent): void {
    const plot = this.plot;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const [min, max] = [plot.scales.x.min ?? 0, plot.scales.x.max ?? 1];
    const at = plot.cursor.idx ?? null;
    const x = at === null ? (min + max) / 2 : this.xs[at];
    const within = this.xs.map((_, n) => n).filter((n) => this.xs[n] >= min && this.xs[n] <= max);
    const go = (n: number) => {
      const to = within[Math.min(Math.max(n, 0), within.length - 1)];
      if (to === undefined) return;
      this.told.point(this.xs[to]);
      const values = this.shown.map(({ run, values }) => `${this.shown.length > 1 ? `${run.name} ` : ""}${values[to] === null ? "NaN" : readable(values[to])}`);
      this.told.said(`${place(this.told.look(), this.xs[to])}: ${values.slice(0, MOST_TOLD).join(", ")}`);
    };
    const here = at === null ? -1 : within.indexOf(at);
    const stride = event.shiftKey ? Math.max(1, Math.round(within.length / 20)) : 1;
    switch (event.key) {
      case "ArrowRight":
        go(here + stride);
        break;
      case "ArrowLeft":
        go(here < 0 ? within.length - 1 : here - stride);
        break;
      case "Home":
        go(0);
        break;
      case "End":
        go(within.length - 1);
        break;
      case "+":
      case "=":
        this.told.zoom(x - (max - min) / 4, x + (max - min) / 4);
        break;
      case "-":
        this.told.zoom(min - (max - min) / 2, max + (max - min) / 2);
        break;
      case "0":
      case "Escape":
        this.told.reset();
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

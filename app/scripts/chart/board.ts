// All charts of a page: they are looked at in the same way, and their points are asked for together.

import { type Look, read, write } from "./look";
import { type Curve, Panel, type Run } from "./panel";

/** About how many points of one curve are drawn; of many runs each has fewer. */
const points = (runs: number) => Math.round(Math.min(1000, Math.max(150, 8000 / runs)));
/** How often a run that runs is asked for new points. */
const EVERY = 5000;
/** Settings that stay from one part of the page to the next. */
const KEPT = ["x", "y", "smoothing", "outliers", "hide"];
/** How many metrics are asked for at once. */
const AT_ONCE = 12;

export class Board {
  private look: Look;
  private readonly runs: Run[];
  private readonly panels = new Map<HTMLElement, Panel>();
  private readonly near = new Set<HTMLElement>();
  private readonly eye: IntersectionObserver;
  private isAwake = false;
  private asked = 0;
  private timer = 0;
  private following = 0;

  constructor(private readonly root: HTMLElement) {
    this.look = read(new URLSearchParams(location.search));
    this.runs = JSON.parse(root.dataset.runs ?? "[]") as Run[];
    this.eye = new IntersectionObserver((seen) => this.saw(seen), { rootMargin: "300px 0px" });
    this.adopt(root);
    this.listen();
    if (root.dataset.running !== undefined) {
      this.isAwake = true;
      this.following = setInterval(() => this.follow(), EVERY);
    }
  }

  /** Takes in panels and links that have come into the page. */
  private adopt(within: ParentNode): void {
    const told = {
      look: () => this.look,
      runs: this.runs,
      zoom: (start: number, end: number) => this.zoom(start, end),
      reset: () => this.change({ start: null, end: null }),
      said: (text: string) => this.say(text),
      point: (x: number) => {
        for (const panel of this.panels.values()) panel.pointAt(x);
      },
    };
    for (const root of within.querySelectorAll<HTMLElement>("[data-metric]")) {
      if (this.panels.has(root)) continue;
      this.panels.set(root, new Panel(root, told));
      this.eye.observe(root);
    }
    for (const link of within.querySelectorAll<HTMLElement>("[data-load]")) this.eye.observe(link);
  }

  private say(text: string): void {
    const said = this.root.querySelector("[data-said]");
    if (said) said.textContent = text;
  }

  private listen(): void {
    for (const reach of ["pointerenter", "pointermove", "focusin"]) this.root.addEventListener(reach, () => this.wake());
    // Somebody may have been faster than this script, and then lie still.
    if (this.root.matches(":hover, :focus-within")) this.wake();
    this.root.addEventListener("click", (event) => {
      if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const link = event.target.closest<HTMLElement>("[data-x], [data-y], [data-reset], [data-load]");
      if (!link) return;
      event.preventDefault();
      if (link.dataset.x) this.change({ axis: link.dataset.x as Look["axis"], start: null, end: null });
      else if (link.dataset.y) this.change({ log: link.dataset.y === "log" });
      else if (link.dataset.reset !== undefined) this.change({ start: null, end: null });
      else void this.load(link as HTMLAnchorElement);
    });
    const form = this.root.querySelector<HTMLFormElement>("form.chart-controls");
    form?.addEventListener("input", (event) => {
      const field = event.target;
      if (!(field instanceof HTMLInputElement)) return;
      if (field.name === "smoothing") this.change({ smoothing: Number(field.value) }, false);
      if (field.name === "outliers") this.change({ inner: field.checked });
    });
    form?.addEventListener("change", (event) => {
      if (event.target instanceof HTMLInputElement && event.target.name === "smoothing") this.remember();
    });
    // What was set before this script was there counts as well.
    for (const field of form?.querySelectorAll<HTMLInputElement>("input") ?? []) {
      if (field.name === "smoothing" && field.value !== field.defaultValue) this.change({ smoothing: Number(field.value) });
      if (field.name === "outliers" && field.checked !== field.defaultChecked) this.change({ inner: field.checked });
    }
    form?.addEventListener("submit", (event) => {
      event.preventDefault();
      const number = (name: string) => {
        const field = form.elements.namedItem(name);
        return field instanceof HTMLInputElement && field.value !== "" && Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : null;
      };
      const [start, end] = [number("start"), number("end")];
      if (start !== null && end !== null && start >= end) return this.say("The range ends before it begins.");
      this.change({ start, end });
      form.querySelector<HTMLDetailsElement>("details.zoom")!.open = false;
    });
    // A group that is opened and has nothing to show yet is loaded; which are open stands in the address.
    this.root.addEventListener(
      "toggle",
      (event) => {
        const group = event.target;
        if (!(group instanceof HTMLDetailsElement) || group.dataset.group === undefined) return;
        if (group.open && !group.querySelector("[data-metric]")) {
          const link = group.querySelector<HTMLAnchorElement>("[data-load]");
          if (link) void this.load(link);
        }
        const address = new URL(location.href);
        address.searchParams.delete("open");
        address.searchParams.delete("after");
        const open = [...this.root.querySelectorAll<HTMLDetailsElement>("details[data-group][open]")];
        for (const one of open) address.searchParams.append("open", one.dataset.group ?? "");
        if (open.length === 0) address.searchParams.set("open", "none");
        this.go(address);
      },
      true,
    );
    // The lines beside the names of runs, elsewhere in the page.
    document.addEventListener("click", (event) => {
      if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey) return;
      const link = event.target.closest<HTMLAnchorElement>("[data-toggle]");
      const run = this.runs.find((one) => one.id === link?.dataset.toggle);
      if (!link || !run) return;
      event.preventDefault();
      run.hidden = !run.hidden;
      link.closest("tr")?.classList.toggle("off", run.hidden);
      link.setAttribute("aria-label", `${run.hidden ? "Show" : "Hide"} ${run.name}`);
      const address = new URL(location.href);
      const id = run.id.replaceAll("-", "");
      if (run.hidden) address.searchParams.append("hide", id);
      else address.searchParams.delete("hide", id);
      this.go(address);
      this.wake();
      this.redraw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    document.addEventListener("visibilitychange", () => this.follow());
  }

  /** From the first reach on, what is in view is drawn here. */
  private wake(): void {
    if (this.isAwake) return;
    this.isAwake = true;
    this.ask();
  }

  private saw(seen: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of seen) {
      if (!(target instanceof HTMLElement)) continue;
      if (target.dataset.load !== undefined) {
        // The rest of a group that is open comes as one scrolls to it.
        const group = target.closest("details");
        if (isIntersecting && group?.open && group.querySelector("[data-metric]") && this.isAwake) void this.load(target as HTMLAnchorElement);
        continue;
      }
      if (isIntersecting) this.near.add(target);
      else {
        this.near.delete(target);
        this.panels.get(target)?.rest();
      }
    }
    this.ask();
  }

  /** Asks for the points of what is in view, a moment later, so that one question asks for all. */
  private ask(): void {
    if (!this.isAwake || this.timer !== 0) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      void this.fetch();
    }, 60);
  }

  private async fetch(): Promise<void> {
    const wanted = [...this.near].flatMap((root) => this.panels.get(root) ?? []);
    for (const panel of wanted) if (!panel.stale && !panel.isDrawn) panel.draw();
    const stale = wanted.filter((panel) => panel.stale);
    const turn = this.asked;
    for (let from = 0; from < stale.length; from += AT_ONCE) {
      const part = stale.slice(from, from + AT_ONCE);
      const url = new URL(this.root.dataset.series ?? "", location.href);
      for (const panel of part) url.searchParams.append("key", panel.key);
      url.searchParams.set("points", String(points(this.runs.length)));
      url.searchParams.set("axis", this.look.axis);
      if (this.look.start !== null) url.searchParams.set("start", String(this.look.start));
      if (this.look.end !== null) url.searchParams.set("end", String(this.look.end));
      const answer = await fetch(url).catch(() => null);
      // Meanwhile another part of the axis is looked at.
      if (turn !== this.asked) return;
      if (!answer?.ok) {
        this.say("The points could not be loaded; the charts are as they were.");
        return;
      }
      const { items } = (await answer.json()) as { items: Curve[] };
      if (turn !== this.asked) return;
      for (const panel of part) panel.set(items.filter((one) => one.key === panel.key));
      this.root.dataset.loaded = String(Number(this.root.dataset.loaded ?? 0) + 1);
    }
  }

  private redraw(): void {
    for (const panel of this.panels.values()) if (panel.isDrawn) panel.draw();
  }

  private zoom(start: number, end: number): void {
    // Ends in digits that can be told apart, and no more of them.
    const digits = Math.max(0, Math.min(12, Math.ceil(-Math.log10((end - start) / 10000))));
    const round = (value: number) => Number(value.toFixed(digits));
    if (!(round(start) < round(end))) return;
    this.change({ start: round(start), end: round(end) });
    this.say(`Zoomed to ${round(start)} to ${round(end)}. 0 shows all.`);
  }

  private change(what: Partial<Look>, isRemembered = true): void {
    const before = this.look;
    this.look = { ...before, ...what };
    this.isAwake = true;
    if (isRemembered) this.remember();
    this.show();
    const isElsewhere = before.axis !== this.look.axis || before.start !== this.look.start || before.end !== this.look.end;
    if (isElsewhere) {
      this.asked += 1;
      for (const panel of this.panels.values()) {
        panel.stale = true;
        if (before.axis === this.look.axis) panel.rescale();
      }
    } else this.redraw();
    this.ask();
  }

  private remember(): void {
    this.go(write(this.look, new URL(location.href)));
  }

  /** The page is at this address from now on, and what leads on from it takes its settings along. */
  private go(address: URL): void {
    history.replaceState(history.state, "", address);
    for (const link of document.querySelectorAll<HTMLAnchorElement>("main a[href]")) {
      const to = new URL(link.href);
      if (to.pathname !== address.pathname || link.matches("[data-x], [data-y], [data-reset], [data-toggle]")) continue;
      for (const name of KEPT) {
        to.searchParams.delete(name);
        for (const value of address.searchParams.getAll(name)) to.searchParams.append(name, value);
      }
      link.href = to.href;
    }
    for (const form of document.querySelectorAll<HTMLFormElement>("main form[method=get]:not(.chart-controls)")) {
      if (new URL(form.action).pathname !== address.pathname) continue;
      for (const name of KEPT) {
        for (const old of form.querySelectorAll(`input[type=hidden][name=${name}]`)) old.remove();
        for (const value of address.searchParams.getAll(name)) form.prepend(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
      }
    }
  }

  /** The controls say what is looked at. */
  private show(): void {
    const { look, root } = this;
    const one = (selector: string, value: string, name: "x" | "y") => {
      for (const link of root.querySelectorAll<HTMLElement>(selector))
        if (link.dataset[name] === value) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
    };
    one("[data-x]", look.axis, "x");
    one("[data-y]", look.log ? "log" : "linear", "y");
    const text = root.querySelector("[data-smoothing]");
    if (text) text.textContent = look.smoothing.toFixed(2);
    const isZoomed = look.start !== null || look.end !== null;
    for (const reset of root.querySelectorAll<HTMLElement>("[data-reset]")) reset.hidden = !isZoomed;
    for (const word of root.querySelectorAll("[data-zoomed]")) word.textContent = isZoomed ? "Range set" : "Range";
    for (const unit of root.querySelectorAll("[data-unit]")) unit.textContent = { step: "step", time: "ms since 1970", relative: "s" }[look.axis];
    for (const name of ["start", "end"] as const) {
      const field = root.querySelector<HTMLInputElement>(`input[name=${name}]`);
      if (field) field.value = look[name] === null ? "" : String(look[name]);
    }
  }

  /** Puts what a link leads to in the place of the link. */
  private async load(link: HTMLAnchorElement): Promise<void> {
    if (link.dataset.loading !== undefined) return;
    link.dataset.loading = "";
    link.setAttribute("aria-busy", "true");
    const group = link.closest<HTMLDetailsElement>("details[data-group]");
    const answer = await fetch(write(this.look, new URL(link.href))).catch(() => null);
    if (!answer?.ok || !group) {
      // The link stays, and leads there.
      delete link.dataset.loading;
      link.removeAttribute("aria-busy");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const other = fresh.getElementById(group.id);
    const charts = group.querySelector(".charts");
    if (!other || !charts) return;
    const had = document.activeElement === link;
    charts.append(...(other.querySelector(".charts")?.children ?? []));
    const next = other.querySelector<HTMLAnchorElement>("[data-load]");
    this.eye.unobserve(link);
    if (next) link.replaceWith(next);
    else link.remove();
    group.open = true;
    if (had) (next ?? group.querySelector<HTMLElement>("summary"))?.focus();
    this.adopt(group);
    this.ask();
  }

  /** While a run runs, its charts follow it; when none does any more, for the last time. */
  private follow(): void {
    if (document.hidden || this.root.dataset.running === undefined) return;
    if (document.getElementById("run-running")?.dataset.is === "over") {
      delete this.root.dataset.running;
      clearInterval(this.following);
    }
    if (this.panels.size === 0) {
      void this.appear();
      return;
    }
    for (const root of this.near) {
      const panel = this.panels.get(root);
      if (panel) panel.stale = true;
    }
    this.ask();
  }

  /** The first curves of a run that has just begun. */
  private async appear(): Promise<void> {
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(this.root.id);
    if (!fresh?.querySelector("[data-metric]")) return;
    for (const old of this.root.querySelectorAll("#curves")) old.remove();
    const controls = this.root.querySelector("form.chart-controls");
    controls?.after(...fresh.querySelectorAll(":scope > .metric-group, :scope > .charts"));
    this.adopt(this.root);
  }
}

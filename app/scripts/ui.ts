// What every page's script does: keys, copying, rows that are selected, menus that close. It only ever adds to what
// the HTML already does, and listens on the document, so that rows and buttons that appear later work as well.

document.documentElement.dataset.js = "";

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const element = <T extends Element>(from: EventTarget | null, selector: string): T | null =>
  from instanceof Element ? from.closest<T>(selector) : null;

// ---- the addresses that MLflow's clients print are of MLflow's own pages: to ours of the same things

function ours(hash: string, here: string): string | null {
  const [path, query] = hash.replace(/^#\//, "").split("?");
  const [kind, first, second, third] = path.split("/");
  const workspace = new URLSearchParams(query).get("workspace");
  const home = workspace ? `/w/${encodeURIComponent(workspace)}` : here;
  if (!hash.startsWith("#/") || !first) return null;
  if (kind === "experiments") return second === "runs" && third ? `${home}/runs/${third}` : `${home}/experiments/${first}`;
  if (kind === "models") return second === "versions" && third ? `${home}/models/${first}/versions/${third}` : `${home}/models/${first}`;
  return null;
}

function follow(): void {
  const home = document.querySelector<HTMLElement>("[data-home]")?.dataset.home;
  const form = document.querySelector<HTMLFormElement>('form[action="/sign-in"]');
  // Whoever has to sign in first gets there after it.
  if (form && location.hash.startsWith("#/")) form.action = `/sign-in${location.hash}`;
  const page = home ? ours(location.hash, home) : null;
  if (page) location.replace(page);
}
follow();
addEventListener("hashchange", follow);

// ---- copying

document.addEventListener("click", async (event) => {
  const button = element<HTMLButtonElement>(event.target, "[data-copy]");
  if (!button) return;
  // The first label: a second click comes while the button says "Copied".
  const label = (button.dataset.label ??= button.getAttribute("aria-label") ?? "Copy");
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
    button.dataset.done = "";
    button.dataset.tip = "Copied";
    button.setAttribute("aria-label", "Copied");
  } catch {
    // The clipboard is closed to pages without HTTPS: the text is selected, so that one key copies it.
    const text = button.parentElement?.querySelector("pre, code");
    if (text) getSelection()?.selectAllChildren(text);
    button.dataset.tip = isMac ? "Press ⌘C" : "Press Ctrl+C";
  }
  setTimeout(() => {
    delete button.dataset.done;
    button.dataset.tip = label;
    button.setAttribute("aria-label", label);
  }, 2000);
});

// ---- menus of rows and heads close as others do

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.more[open]"))
    if (!(event.target instanceof Node && menu.contains(event.target))) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.more[open]")) {
    menu.open = false;
    menu.querySelector<HTMLElement>("summary")?.focus();
  }
});

// ---- rows that are selected

function count(form: HTMLFormElement): void {
  const boxes = [...form.querySelectorAll<HTMLInputElement>("tbody input[type=checkbox]")];
  const all = form.querySelector<HTMLInputElement>("thead [data-all]");
  const chosen = boxes.filter((other) => other.checked).length;
  const words = form.querySelector("[data-selected]");
  if (words) words.textContent = `${chosen} selected`;
  if (all) {
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.type !== "checkbox" || !box.form) return;
  if (box.matches("thead [data-all]"))
    for (const other of box.form.querySelectorAll<HTMLInputElement>("tbody input[type=checkbox]")) other.checked = box.checked;
  count(box.form);
});

document.addEventListener("reset", ({ target }) => {
  // Once the boxes are empty.
  if (target instanceof HTMLFormElement) setTimeout(() => count(target));
});

// ---- a form of its own for what is done with them, which gets them when it opens

document.addEventListener("click", (event) => {
  const button = element<HTMLButtonElement>(event.target, "button[data-opens]");
  const dialog = document.getElementById(button?.dataset.opens ?? "");
  const form = dialog?.querySelector<HTMLFormElement>("form[data-of]");
  if (!button?.form || !dialog || !form) return;
  event.preventDefault();
  for (const copied of form.querySelectorAll("[data-copied]")) copied.remove();
  for (const run of new FormData(button.form).getAll("run")) {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: "run", value: String(run) });
    field.dataset.copied = "";
    form.append(field);
  }
  dialog.showPopover();
  form.querySelector<HTMLInputElement>("input:not([type=hidden])")?.focus();
});

// ---- keys

const popover = (id: string) => document.getElementById(id);
const show = (id: string) => {
  const target = popover(id);
  if (target && !target.matches(":popover-open")) target.showPopover();
};
const rows = () => [...document.querySelectorAll<HTMLTableRowElement>("table[data-keys] tbody tr")];

function move(by: number) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("cursor"));
  const next = Math.min(Math.max(at + by, 0), all.length - 1);
  all[at]?.classList.remove("cursor");
  all[next].classList.add("cursor");
  all[next].scrollIntoView({ block: "nearest" });
  // The link takes the focus, so that what is read aloud is the row, and Enter opens it by itself.
  all[next].querySelector<HTMLElement>("th a, td a")?.focus({ preventScroll: true });
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio])"));

// Whoever speaks to the machine, or hits keys by accident, can do without keys that are one letter.
const SINGLE_KEYS = "slipway.single-keys";
const singleKeys = () => {
  try {
    return localStorage.getItem(SINGLE_KEYS) !== "off";
  } catch {
    return true; // Nothing is kept here: as on the first visit.
  }
};
for (const box of document.querySelectorAll<HTMLInputElement>("[data-single-keys]")) {
  box.checked = singleKeys();
  box.addEventListener("change", () => localStorage.setItem(SINGLE_KEYS, box.checked ? "on" : "off"));
}

let leader = -Infinity; // When `g` was pressed, by the clock that starts with the page.

document.addEventListener("keydown", (event) => {
  if ((event.metaKey || event.ctrlKey) && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    show("palette");
    return;
  }
  if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target) || !singleKeys()) return;
  const floats = document.querySelector(".dialog:popover-open, .palette:popover-open");
  if (floats && event.key !== "?") return;
  if (performance.now() - leader < 1500) {
    leader = -Infinity;
    const target = [...document.querySelectorAll<HTMLAnchorElement>("[data-go]")].find((link) => link.dataset.go === event.key);
    if (target) {
      event.preventDefault();
      location.assign(target.href);
      return;
    }
  }
  switch (event.key) {
    case "/": {
      const filter = document.querySelector<HTMLInputElement>("[data-filter]");
      if (filter) filter.select();
      else show("palette");
      break;
    }
    case "?":
      popover("keys")?.togglePopover();
      break;
    case "g":
      leader = performance.now();
      break;
    case "j":
      move(1);
      break;
    case "k":
      move(-1);
      break;
    case "x":
      document.querySelector<HTMLInputElement>("table[data-keys] tr.cursor input[type=checkbox]")?.click();
      break;
    case "d": {
      // To the decision, wherever the page has scrolled to; on a phone it is a sheet.
      const decide = document.getElementById("decide");
      if (!decide) return;
      if (!decide.checkVisibility()) decide.showPopover();
      decide.querySelector<HTMLElement>("input:not([type=hidden]), select, textarea")?.focus();
      break;
    }
    case "Enter": {
      const link = document.querySelector<HTMLAnchorElement>("table[data-keys] tr.cursor :is(th, td) a");
      if (!link || event.target !== document.body) return;
      link.click();
      break;
    }
    default:
      return;
  }
  event.preventDefault();
});

if (!isMac) for (const key of document.querySelectorAll("kbd")) key.textContent = (key.textContent ?? "").replace("⌘K", "Ctrl K").replace("⌘", "Ctrl");

// ---- what goes on counts on, from the seconds that it had taken when the page was made

const counted = new WeakMap<Element, { seconds: string; since: number }>();
const two = (n: number) => String(n).padStart(2, "0");

function span(seconds: number): string {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (seconds < 60) return `${seconds} s`;
  if (hours === 0) return `${minutes} min ${two(seconds % 60)} s`;
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

setInterval(() => {
  for (const element of document.querySelectorAll<HTMLElement>("[data-seconds]")) {
    const seconds = element.dataset.seconds ?? "0";
    let known = counted.get(element);
    if (known?.seconds !== seconds) counted.set(element, (known = { seconds, since: performance.now() }));
    element.textContent = span(Math.floor(Number(seconds) + (performance.now() - known.since) / 1000));
  }
}, 1000);

// ---- a problem of a file leads to its place in the field

document.addEventListener("click", (event) => {
  const link = element<HTMLAnchorElement>(event.target, "a[data-line]");
  const field = link && document.querySelector<HTMLTextAreaElement>(link.hash);
  if (!link || !field) return;
  event.preventDefault();
  const lines = field.value.split("\n");
  const line = Number(link.dataset.line) - 1;
  const start = lines.slice(0, line).reduce((sum, text) => sum + text.length + 1, 0);
  field.focus({ preventScroll: true });
  field.setSelectionRange(start + Number(link.dataset.column) - 1, start + (lines[line]?.length ?? 0));
  // The line in the middle of the field, and the field in view.
  field.scrollTop = (line / lines.length) * field.scrollHeight - field.clientHeight / 2;
  field.scrollIntoView({ block: "nearest" });
});

// ---- logs: how lines are shown, lines that are elsewhere in the log, and finding what is on the page while one types

document.addEventListener("change", ({ target }) => {
  // A box names the class that it puts on the lines.
  if (!(target instanceof HTMLInputElement) || !target.dataset.class) return;
  const log = target.closest(".panel")?.querySelector(".log");
  log?.classList.toggle(target.dataset.class, target.checked !== "off" in target.dataset);
});

function toLine(): void {
  const elsewhere = document.querySelector<HTMLElement>("[data-elsewhere]")?.dataset.elsewhere;
  const line = /^#L(\d+)$/.exec(location.hash)?.[1];
  if (line && elsewhere && !document.getElementById(`L${line}`)) location.replace(elsewhere + line + location.hash);
}
toLine();
addEventListener("hashchange", toLine);

class Finder {
  private hits: Element[] = [];
  private at = -1;
  private readonly lines: Element | null;
  private readonly field: HTMLInputElement;

  constructor(private readonly form: HTMLFormElement, field: HTMLInputElement) {
    this.field = field;
    this.lines = form.closest(".panel")?.querySelector(".log ol") ?? null;
    form.addEventListener("submit", (event) => {
      // All of the log is here: what is typed is found already.
      if (!("whole" in form.dataset)) return;
      event.preventDefault();
      this.go(1);
    });
    form.addEventListener("click", (event) => {
      const by = element<HTMLElement>(event.target, "[data-hit]")?.dataset.hit;
      if (by) this.go(Number(by));
    });
    field.addEventListener("input", () => this.look());
    // Lines that come while a log goes on.
    let due = false;
    if (this.lines)
      new MutationObserver(() => {
        if (due || !field.value) return;
        due = true;
        setTimeout(() => {
          due = false;
          this.look(true);
        }, 250);
      }).observe(this.lines, { childList: true });
    // What the server found it has said itself.
    if (field.value) this.look(false, false);
  }

  look(keeps = false, tells = true): void {
    const text = this.field.value.toLowerCase();
    const ranges: Range[] = [];
    this.hits = [];
    for (const line of text ? (this.lines?.children ?? []) : []) {
      const words = line.lastElementChild;
      const shown = words?.textContent?.toLowerCase() ?? "";
      let from = shown.indexOf(text);
      if (!words || from < 0) continue;
      this.hits.push(line);
      for (; from >= 0; from = shown.indexOf(text, from + text.length)) {
        const range = rangeOf(words, from, from + text.length);
        if (range) ranges.push(range);
      }
    }
    // Marked without a change to the lines, which others work on too.
    if ("highlights" in CSS) CSS.highlights.set("found", new Highlight(...ranges));
    if (!keeps) this.at = -1;
    if (tells) this.tell();
  }

  go(by: number): void {
    if (!this.hits.length) return;
    this.hits[this.at]?.classList.remove("hit");
    this.at = this.at < 0 && by < 0 ? this.hits.length - 1 : (this.at + by + this.hits.length) % this.hits.length;
    this.hits[this.at].classList.add("hit");
    this.hits[this.at].scrollIntoView({ block: "nearest" });
    this.tell();
  }

  private tell(): void {
    const output = this.form.querySelector("[data-found]");
    const count = this.hits.length;
    const where = this.at < 0 ? `${count}` : `${this.at + 1} of ${count}`;
    const words = `${where} ${count === 1 ? "line" : "lines"}${"whole" in this.form.dataset ? "" : " of those here"}`;
    if (output) output.textContent = this.field.value ? words : "";
  }
}

function rangeOf(element: Element, from: number, to: number): Range | null {
  const range = document.createRange();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let [passed, begun] = [0, false];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.nodeValue?.length ?? 0;
    if (!begun && from < passed + length) {
      range.setStart(node, from - passed);
      begun = true;
    }
    if (begun && to <= passed + length) {
      range.setEnd(node, to - passed);
      return range;
    }
    passed += length;
  }
  return null;
}

function findIn(form: HTMLFormElement): void {
  const field = form.querySelector<HTMLInputElement>("[data-find]");
  if (field && !finders.has(form)) finders.set(form, new Finder(form, field));
}
const finders = new WeakMap<HTMLFormElement, Finder>();
document.querySelectorAll<HTMLFormElement>("[data-log-search]").forEach(findIn);
// One that came with a step that began meanwhile.
document.addEventListener("focusin", ({ target }) => {
  if (target instanceof HTMLInputElement && "find" in target.dataset && target.form) findIn(target.form);
});

// ---- a log begins at its end or at the line that was asked for, and a graph that is larger than its frame where the reader is

if (!location.hash.startsWith("#L"))
  for (const log of document.querySelectorAll(".log[data-last]")) {
    const asked = log.querySelector("li.hit");
    if ("end" in (log as HTMLElement).dataset) log.scrollTop = log.scrollHeight;
    else if (asked) log.scrollBy(0, asked.getBoundingClientRect().y - log.getBoundingClientRect().y - log.clientHeight / 2);
  }
for (const graph of document.querySelectorAll(".dag")) {
  const [frame, node] = [graph.getBoundingClientRect(), graph.querySelector("[aria-current] .box:not(.behind)")?.getBoundingClientRect()];
  if (node) graph.scrollBy(node.x + node.width / 2 - frame.x - frame.width / 2, node.y + node.height / 2 - frame.y - frame.height / 2);
}

// ---- a form that was refused starts at what is wrong

document.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();

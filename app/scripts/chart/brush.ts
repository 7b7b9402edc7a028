// Parallel coordinates: a range on an axis keeps the runs that pass through it.

interface Rail {
  group: SVGGElement;
  at: number;
  x: number;
  range: [number, number] | null;
  shade: SVGRectElement;
}

const SVG = "http://www.w3.org/2000/svg";

export function brush(root: HTMLElement): void {
  const picture = root.querySelector<SVGSVGElement>("svg.parallel");
  const said = root.parentElement?.querySelector("[data-brushed]");
  if (!picture) return;
  const threads = [...picture.querySelectorAll<SVGPathElement>(".thread")].map((path) => ({
    path,
    at: (path.dataset.at ?? "").split(",").map((text) => (text === "" ? null : Number(text))),
  }));
  const rails = [...picture.querySelectorAll<SVGGElement>(".rail")].map((group): Rail => {
    const shade = document.createElementNS(SVG, "rect");
    const hit = document.createElementNS(SVG, "rect");
    const [x, top, bottom] = [Number(group.dataset.x), Number(group.dataset.top), Number(group.dataset.bottom)];
    for (const [rect, half, name] of [[hit, 16, "hit"], [shade, 7, "brush"]] as const) {
      rect.setAttribute("class", name);
      rect.setAttribute("x", String(x - half));
      rect.setAttribute("width", String(2 * half));
      rect.setAttribute("y", String(top));
      rect.setAttribute("height", name === "hit" ? String(bottom - top) : "0");
      group.append(rect);
    }
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `Range on ${group.querySelector("title")?.textContent ?? ""}`);
    return { group, at: Number(group.dataset.axis), x, range: null, shade };
  });
  // A picture with controls in it is not one image.
  picture.setAttribute("role", "group");

  const show = (rail: Rail) => {
    const [top, bottom] = [Number(rail.group.dataset.top), Number(rail.group.dataset.bottom)];
    const [low, high] = rail.range ?? [0, 0];
    rail.shade.setAttribute("y", String(bottom - high * (bottom - top)));
    rail.shade.setAttribute("height", String((high - low) * (bottom - top)));
    const brushed = rails.filter((one) => one.range);
    let kept = 0;
    for (const { path, at } of threads) {
      const passes = brushed.every(({ at: axis, range }) => {
        const place = at[axis];
        return place !== null && place !== undefined && range && place >= range[0] - 1e-6 && place <= range[1] + 1e-6;
      });
      path.classList.toggle("off", !passes);
      if (passes) kept += 1;
    }
    if (said) said.textContent = brushed.length > 0 ? `${kept} of ${threads.length} runs` : "";
  };
  const placeOf = (event: PointerEvent, rail: Rail) => {
    const box = picture.getBoundingClientRect();
    const y = ((event.clientY - box.top) / box.height) * picture.viewBox.baseVal.height;
    const [top, bottom] = [Number(rail.group.dataset.top), Number(rail.group.dataset.bottom)];
    return Math.min(1, Math.max(0, (bottom - y) / (bottom - top)));
  };
  for (const rail of rails) {
    let from: number | null = null;
    rail.group.addEventListener("pointerdown", (event) => {
      from = placeOf(event, rail);
      rail.group.setPointerCapture(event.pointerId);
      event.preventDefault();
      rail.group.focus();
    });
    rail.group.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = placeOf(event, rail);
      rail.range = [Math.min(from, to), Math.max(from, to)];
      show(rail);
    });
    rail.group.addEventListener("pointerup", (event) => {
      // A press without a drag lifts the range.
      if (from !== null && Math.abs(placeOf(event, rail) - from) < 0.01) rail.range = null;
      from = null;
      show(rail);
    });
    // A drag that the browser takes away, such as for scrolling, ends without a pointerup.
    rail.group.addEventListener("lostpointercapture", () => {
      from = null;
    });
    rail.group.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowUp" ? 0.05 : event.key === "ArrowDown" ? -0.05 : 0;
      if (event.key === "Escape") rail.range = null;
      else if (step !== 0) {
        const [low, high] = rail.range ?? [0, 1];
        const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));
        if (event.shiftKey) rail.range = [low, clamp(high + step, low, 1)];
        else rail.range = rail.range ? [clamp(low + step, 0, high), high] : [Math.max(0, step), 1];
      } else return;
      event.preventDefault();
      event.stopPropagation();
      show(rail);
    });
  }
}

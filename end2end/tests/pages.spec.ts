// Every page that can be reached: it answers, has no serious fault for people who do not see it, fits a phone.
import AxeBuilder from "@axe-core/playwright";
import { type Page, expect, test } from "@playwright/test";
import { PEOPLE, type Role } from "../support/slipway";
import { signIn } from "../support/people";

/** The sort of page an address leads to: ids and names of objects are one sort, and so are the values of a query. */
function sort(address: string): string {
  const url = new URL(address, "http://any");
  const path = url.pathname
    .replace(/\/[0-9a-f]{32}(?=\/|$)/g, "/{id}")
    .replace(/\/\d+(?=\/|$)/g, "/{number}")
    .replace(/\/(models|pipelines|environments)\/(?!new(?:\/|$))[^/]+/g, "/$1/{name}");
  return `${path}?${[...new Set(url.searchParams.keys())].sort().join("&")}`;
}

/** Follows links from the home page and gives two addresses of each sort. A link that leads nowhere fails. */
async function reachable(page: Page): Promise<string[]> {
  const found = new Map<string, string[]>();
  const queue = ["/w/default"];
  const seen = new Set(queue);
  const broken: string[] = [];
  for (let address = queue.shift(); address !== undefined; address = queue.shift()) {
    const answer = await page.request.get(address);
    if (!answer.ok()) broken.push(`${address} answers ${answer.status()}`);
    if (!(answer.headers()["content-type"] ?? "").startsWith("text/html")) continue;
    const known = found.get(sort(address)) ?? [];
    found.set(sort(address), [...known, address]);
    for (const [, href] of (await answer.text()).matchAll(/<a[^>]* href="([^"]+)"/g)) {
      const link = href.replaceAll("&amp;", "&").split("#")[0];
      // Ours, and of this workspace; what a download or a stream gives is no page.
      if (!link.startsWith("/w/default") || /\/(api|events)\//.test(link) || seen.has(link)) continue;
      const others = [...seen].filter((other) => sort(other) === sort(link));
      if (others.length >= 2) continue;
      seen.add(link);
      queue.push(link);
    }
  }
  expect(broken).toEqual([]);
  return [...found.values()].flat();
}

async function faults(page: Page, address: string): Promise<string[]> {
  await page.goto(address);
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return serious.map(({ id, nodes }) => `${address}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

for (const scheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious in ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    const found = await faults(page, "/sign-in");
    await signIn(page, "admin");
    const addresses = [...(await reachable(page)), "/w/default/no-such-page"];
    for (const address of addresses) found.push(...(await faults(page, address)));
    expect(found).toEqual([]);
  });
}

test("no page scrolls sideways on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn(page, "admin");
  const wide: string[] = [];
  for (const address of await reachable(page)) {
    await page.goto(address);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 390) wide.push(`${address} is ${width} wide`);
  }
  expect(wide).toEqual([]);
});

test("no page complains to the console, whoever looks at it", async ({ page }) => {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
  for (const role of Object.keys(PEOPLE) as Role[]) {
    await page.context().clearCookies();
    await signIn(page, role);
    for (const address of await reachable(page)) await page.goto(address);
  }
  expect(complaints).toEqual([]);
});

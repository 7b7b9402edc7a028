// Every page that can be reached: it answers, has no serious fault for people who do not see it, fits a phone.
import { type Page, expect, test } from "@playwright/test";
import { AXE, faults } from "../support/axe";
import { complaintsOf, signIn } from "../support/people";
import { PEOPLE, type Role } from "../support/slipway";

/** The sort of page an address leads to: ids and names of objects are one sort, and so is what a list is narrowed to. */
function sort(address: string): string {
  const url = new URL(address, "http://any");
  const path = url.pathname
    .replace(/\/[0-9a-f]{32}(?=\/|$)/g, "/{id}")
    .replace(/\/\d+(?=\/|$)/g, "/{number}")
    .replace(/\/(models|pipelines|environments)\/(?!new(?:\/|$))[^/]+/g, "/$1/{name}");
  const shown = ["tab", "view", "step", "new"].filter((name) => url.searchParams.has(name));
  // Files of one sort are shown as one sort of page.
  const ending = /\.\w+$/.exec(url.searchParams.get("path") ?? "")?.[0] ?? "";
  return `${path}?${shown.map((name) => (name === "step" ? name : `${name}=${url.searchParams.get(name)}`)).join("&")}${ending}`;
}

/** Follows links from the home page and looks at one address of each sort. That none leads nowhere, of any sort, the tests
 * of the API ask. */
async function followAll(page: Page, look: () => Promise<void>): Promise<void> {
  const queue = ["/w/default"];
  const seen = new Set(queue.map(sort));
  for (let address = queue.shift(); address !== undefined; address = queue.shift()) {
    const answer = await page.goto(address);
    expect(answer?.ok(), `${address} answers ${answer?.status()}`).toBe(true);
    // The file of a pipeline as it is, say.
    if (!answer?.headers()["content-type"]?.startsWith("text/html")) continue;
    await look();
    // Ours, and of this workspace; what a download or a stream gives is no page.
    const links = await page.locator("a[href^='/w/default']:not([download])").evaluateAll((all) => all.map((a) => a.getAttribute("href") ?? ""));
    for (const link of links.filter((href) => !/\/(api|events)\//.test(href))) {
      if (seen.has(sort(link))) continue;
      seen.add(sort(link));
      queue.push(link);
    }
  }
  // Else the home page has lost its links, and nothing was looked at.
  expect(seen.size).toBeGreaterThan(20);
}

const PHONE = { width: 390, height: 844 };
const DESK = { width: 1440, height: 900 };

/** What sticks out of the page at the side on a phone. */
async function overhang(page: Page): Promise<string[]> {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  return width > PHONE.width ? [`${page.url()} is ${width} wide`] : [];
}

test("axe finds nothing serious, and nothing is wider than a phone or complains to the console", async ({ page }) => {
  // It looks at each page three times.
  test.slow();
  const wrong = complaintsOf(page);
  const found = async () => {
    const wide = await overhang(page);
    await page.setViewportSize(DESK);
    const all = [...wide, ...(await faults(page))];
    // The next page is opened on a phone: that is where it complains to the console, if it does.
    await page.setViewportSize(PHONE);
    return all;
  };
  const hold = async () => void wrong.push(...(await found()));
  await page.addInitScript({ path: AXE });
  await page.setViewportSize(PHONE);
  await page.goto("/sign-in");
  await hold();
  await signIn(page, "admin");
  await followAll(page, hold);
  expect(wrong).toEqual([]);
  // The browser itself complains of this one.
  await page.goto("/w/default/no-such-page");
  expect(await found()).toEqual([]);
});

for (const role of (Object.keys(PEOPLE) as Role[]).filter((role) => role !== "admin")) {
  test(`no page is wider than a phone, or complains to the console, when ${role} looks at it`, async ({ page }) => {
    const wrong = complaintsOf(page);
    await page.setViewportSize(PHONE);
    await signIn(page, role);
    await followAll(page, async () => void wrong.push(...(await overhang(page))));
    expect(wrong).toEqual([]);
  });
}

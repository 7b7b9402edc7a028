// Every page that can be reached: it answers, has no serious fault for people who do not see it, fits a phone.
import { type Page, expect, test } from "@playwright/test";
import { faults } from "../support/axe";
import { complaintsOf, signIn } from "../support/people";

/** The sort of page an address leads to: ids and names of objects are one sort, and so is what a list is narrowed to. */
function sort(address: string): string {
  const url = new URL(address, "http://any");
  const path = url.pathname
    .replace(/\/[0-9a-f]{32}(?=\/|$)/g, "/{id}")
    .replace(/\/\d+(?=\/|$)/g, "/{number}")
    .replace(/\/(models|pipelines|environments)\/(?!new(?:\/|$))[^/]+/g, "/$1/{name}");
  const shown = ["tab", "view", "step"].filter((name) => url.searchParams.has(name));
  return `${path}?${shown.map((name) => (name === "step" ? name : `${name}=${url.searchParams.get(name)}`)).join("&")}`;
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

test("axe finds nothing serious, in light and in dark", async ({ page }) => {
  // The pages as the server sends them: what the scripts start beside axe takes most of the time on a slow machine.
  await page.route("**/pkg/*.{js,wasm}", (route) => route.abort());
  const found: string[] = [];
  const hold = async () => void found.push(...(await faults(page, "light")), ...(await faults(page, "dark")));
  await page.goto("/sign-in");
  await hold();
  await signIn(page, "admin");
  await followAll(page, hold);
  await page.goto("/w/default/no-such-page");
  await hold();
  expect(found).toEqual([]);
});

test("no page is wider than a phone, or complains to the console", async ({ page }) => {
  const wrong = complaintsOf(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn(page, "admin");
  await followAll(page, async () => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 390) wrong.push(`${page.url()} is ${width} wide`);
  });
  expect(wrong).toEqual([]);
});

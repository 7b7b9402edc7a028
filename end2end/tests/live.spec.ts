// What moves by itself: the log of a step, and the state of its run.
import { type Page, expect, test } from "@playwright/test";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complaintsOf, signIn, signOut } from "../support/people";
import { PASSWORD, PEOPLE, apiJson, readState } from "../support/slipway";

test("a log is followed while its step runs, without loading the page again", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-e2e-go-"));
  chmodSync(folder, 0o755);
  const go = join(folder, "go");
  const source = [
    "name: followed",
    "steps:",
    "  talk:",
    "    timeout: 2m",
    `    command: "echo it began; until [ -e ${go} ]; do sleep 0.1; done; echo it went on; echo see https://example.com/there."`,
  ].join("\n");
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source });
  const run = await apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/followed/runs", {});

  const complaints = complaintsOf(page);
  await signIn(page, "viewer");
  await page.goto(`/w/default/pipeline-runs/${run.number}?step=talk`);
  const log = page.getByRole("region", { name: "Log of talk" });
  await expect(log.getByText("it began", { exact: true })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 }).locator("..")).toContainText("Running");
  await page.evaluate(() => document.body.setAttribute("data-same-page", ""));
  writeFileSync(go, "");
  await expect(log.getByText("it went on", { exact: true })).toBeVisible();
  // An address in a line is a link, also in one that came later, and the full stop is none of it.
  const there = log.getByRole("link", { name: "https://example.com/there", exact: true });
  await expect(there).toHaveAttribute("href", "https://example.com/there");
  await expect(there).toHaveAttribute("rel", "noopener noreferrer nofollow");
  await expect(page.getByRole("heading", { level: 1 }).locator("..")).toContainText("Succeeded");
  await expect(page.locator("body[data-same-page]")).toHaveCount(1);
  expect(complaints).toEqual([]);
});

test("the palette finds a model by a part of its name", async ({ page }) => {
  await signIn(page, "viewer");
  // Keys are heard once the page's script is there.
  await expect(page.locator("html[data-js]")).toBeAttached();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("wine-cul");
  await expect(page.getByRole("option", { name: /wine-cultivar/ }).first()).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/models\/wine-cultivar/);
});

/** Lets a test count a page's open streams, and put the page in the background and back. */
async function watchStreams(page: Page): Promise<{ open: () => Promise<number>; setHidden: (hidden: boolean) => Promise<void> }> {
  await page.addInitScript(() => {
    const sources: EventSource[] = [];
    let hidden = false;
    class Watched extends EventSource {
      constructor(url: string | URL) {
        super(url);
        sources.push(this);
      }
    }
    window.EventSource = Watched;
    Object.defineProperty(document, "hidden", { get: () => hidden });
    Object.assign(window, {
      openStreams: () => sources.filter((source) => source.readyState === EventSource.OPEN).length,
      setHidden: (is: boolean) => {
        hidden = is;
        document.dispatchEvent(new Event("visibilitychange"));
      },
    });
  });
  return {
    open: () => page.evaluate(() => (window as unknown as { openStreams: () => number }).openStreams()),
    setHidden: (hidden) => page.evaluate((is) => (window as unknown as { setHidden: (is: boolean) => void }).setHidden(is), hidden),
  };
}

test("a page in the background holds no stream, and is current when it comes back", async ({ page }) => {
  const source = ["name: watched", "steps:", "  only:", '    command: "true"'].join("\n");
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source });
  const start = () => apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/watched/runs", {});
  const first = await start();
  const streams = await watchStreams(page);
  await signIn(page, "viewer");
  await page.goto("/w/default/pipelines/watched");
  await expect.poll(streams.open).toBe(1);
  const shown = (run: { number: number }) => page.getByRole("link", { name: `#${run.number}`, exact: true });
  await expect(shown(first)).toBeVisible();

  await streams.setHidden(true);
  expect(await streams.open()).toBe(0);
  const second = await start();
  await streams.setHidden(false);
  await expect(shown(second)).toBeVisible();
  await expect.poll(streams.open).toBe(1);
});

test("what happened while a page was on its way is shown", async ({ page }) => {
  const source = ["name: early", "steps:", "  only:", '    command: "true"'].join("\n");
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source });
  const start = () => apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/early/runs", {});
  await start();
  await signIn(page, "viewer");
  let run: { number: number } | undefined;
  await page.route("**/events?*", async (route) => {
    run ??= await start();
    await route.continue();
  });
  await page.goto("/w/default/pipelines/early");
  await expect.poll(() => run?.number).toBeGreaterThan(0);
  await expect(page.getByRole("link", { name: `#${run?.number}`, exact: true })).toBeVisible();
});

test("the address that MLflow's client prints leads to the page here, also through the sign-in", async ({ page }) => {
  const run = readState().runId;
  await page.goto(`/#/experiments/0/runs/${run}`);
  await expect(page).toHaveURL(/\/sign-in/);
  await page.getByLabel("E-mail").fill(PEOPLE.viewer);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(`/w/default/runs/${run}`);
  await page.goto("/w/default#/models/wine-cultivar/versions/1");
  await expect(page).toHaveURL("/w/default/models/wine-cultivar/versions/1");
});

test("a page whose reader was signed out elsewhere leads to the form", async ({ page }) => {
  const streams = await watchStreams(page);
  await signIn(page, "viewer");
  await page.goto("/w/default/experiments/0");
  await expect.poll(streams.open).toBe(1);
  await streams.setHidden(true);
  await signOut(page);
  await streams.setHidden(false);
  await expect(page).toHaveURL(/\/sign-in\?next=/);
});

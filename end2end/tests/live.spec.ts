// What moves by itself: the log of a step, and the state of its run.
import { expect, test } from "@playwright/test";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signIn } from "../support/people";
import { apiJson } from "../support/slipway";

test("a log is followed while its step runs, without loading the page again", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-e2e-go-"));
  chmodSync(folder, 0o755);
  const go = join(folder, "go");
  const source = [
    "name: followed",
    "steps:",
    "  talk:",
    "    timeout: 2m",
    `    command: "echo it began; until [ -e ${go} ]; do sleep 0.1; done; echo it went on"`,
  ].join("\n");
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source });
  const run = await apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/followed/runs", {});

  await signIn(page, "viewer");
  await page.goto(`/w/default/pipeline-runs/${run.number}?step=talk`);
  const log = page.getByRole("region", { name: "Log of talk" });
  await expect(log.getByText("it began", { exact: true })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 }).locator("..")).toContainText("Running");
  await page.evaluate(() => document.body.setAttribute("data-same-page", ""));
  writeFileSync(go, "");
  await expect(log.getByText("it went on", { exact: true })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 }).locator("..")).toContainText("Succeeded");
  await expect(page.locator("body[data-same-page]")).toHaveCount(1);
});

test("the palette finds a model by a part of its name", async ({ page }) => {
  await signIn(page, "viewer");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("wine-cul");
  await page.getByRole("option", { name: /wine-cultivar/ }).first().waitFor();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/models\/wine-cultivar/);
});

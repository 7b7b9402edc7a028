// Charts of runs: settings that all share, zoom, groups that load when they are opened, runs beside each other.
import { expect, test } from "@playwright/test";
import { drag } from "../support/charts";
import { complaintsOf, signIn } from "../support/people";
import { apiJson } from "../support/slipway";

const mlflow = <T>(path: string, body: unknown) => apiJson<T>("contributor", "POST", `/api/2.0/mlflow/${path}`, body);

/** Starts a run and logs points to it, as clients do. */
async function logged(experiment: string, name: string, keys: string[], points: number, params: Record<string, string> = {}): Promise<string> {
  const { run } = await mlflow<{ run: { info: { run_id: string } } }>("runs/create", { experiment_id: experiment, run_name: name, start_time: 1_700_000_000_000 });
  const run_id = run.info.run_id;
  const shift = name.length / 10;
  const metrics = Array.from({ length: points }, (_, step) => keys.map((key) => ({ key, step, timestamp: 1_700_000_000_000 + 1000 * step, value: shift + Math.exp(-step / 40) + 0.05 * Math.sin(step * 7.3) }))).flat();
  const pairs = Object.entries(params).map(([key, value]) => ({ key, value }));
  await mlflow("runs/log-batch", { run_id, params: pairs });
  for (let from = 0; from < metrics.length; from += 1000) await mlflow("runs/log-batch", { run_id, metrics: metrics.slice(from, from + 1000) });
  await mlflow("runs/update", { run_id, status: "FINISHED", end_time: 1_700_000_000_000 + 1000 * points });
  return run_id;
}

async function experiment(name: string): Promise<string> {
  return (await mlflow<{ experiment_id: string }>("experiments/create", { name })).experiment_id;
}

test("runs are filtered, compared, and zoomed together", async ({ page }) => {
  const wrong = complaintsOf(page);
  const id = await experiment("curves");
  for (const [name, lr] of [["a", "0.1"], ["ab", "0.01"], ["abc", "0.001"]]) await logged(id, name, ["loss", "val/loss"], 300, { lr });
  await logged(id, "other", ["loss"], 3, { lr: "9" });
  await signIn(page, "contributor");
  await page.goto(`/w/default/experiments/${id}?q=${encodeURIComponent("params.lr != '9'")}`);
  await page.getByLabel("Select all on this page").check();
  await page.getByRole("button", { name: "Compare" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Compare 3 runs");

  await page.locator('[data-metric="loss"]').hover();
  await expect(page.locator('[data-metric="loss"]')).toHaveAttribute("data-drawn", "");
  await expect(page.locator('[data-metric="val/loss"]')).toHaveAttribute("data-drawn", "");
  const finer = page.waitForResponse((answer) => answer.url().includes("/runs/series") && answer.url().includes("start="));
  await drag(page, "loss", 0.4, 0.6);
  // One question for the finer points of both charts.
  const asked = new URL((await finer).url());
  expect(asked.searchParams.getAll("key").sort()).toEqual(["loss", "val/loss"]);
  expect(asked.searchParams.getAll("run")).toHaveLength(3);
  const start = Number(new URL(page.url()).searchParams.get("start"));
  expect(start).toBeGreaterThan(90);
  expect(start).toBeLessThan(150);
  const reset = page.getByRole("link", { name: "Reset zoom" });
  await expect(reset).toBeVisible();
  // What the address says is what is drawn when it is opened again.
  await page.reload();
  await expect(reset).toBeVisible();
  await page.locator('[data-metric="val/loss"]').hover();
  await expect(page.locator('[data-metric="val/loss"] .u-over')).toBeVisible();
  await page.locator('[data-metric="val/loss"] .u-over').dblclick();
  await expect(reset).toBeHidden();
  expect(new URL(page.url()).searchParams.has("start")).toBe(false);

  // A run is left out by the line beside its name, and the address says so.
  await page.getByRole("link", { name: "Hide abc" }).click();
  await expect(page).toHaveURL(/hide=/);
  await expect(page.getByRole("link", { name: "Show abc" })).toBeVisible();

  await page.getByRole("link", { name: "Parallel coordinates" }).click();
  const rail = page.getByLabel(/Range on lr/);
  await rail.focus();
  await rail.press("Shift+ArrowDown");
  await expect(page.locator("[data-brushed]")).toHaveText("1 of 2 runs");
  await rail.press("Escape");
  await expect(page.locator("[data-brushed]")).toHaveText("");
  expect(wrong).toEqual([]);
});

test("a chart is drawn whose reader was faster than its script", async ({ page }) => {
  const wrong = complaintsOf(page);
  const id = await experiment("early");
  const run = await logged(id, "early", ["loss"], 300, {});
  await signIn(page, "contributor");
  let come = () => {};
  const reached = new Promise<void>((resolve) => (come = resolve));
  await page.route("**/pkg/chart.*.js", async (route) => {
    await reached;
    await route.continue();
  });
  await page.goto(`/w/default/runs/${run}?tab=metrics`, { waitUntil: "commit" });
  await page.locator('[data-metric="loss"]').hover();
  come();
  await expect(page.locator('[data-metric="loss"]')).toHaveAttribute("data-drawn", "");
  expect(wrong).toEqual([]);
});

test("settings are obeyed by all charts, by mouse and by keys, and stand in the address", async ({ page }) => {
  const id = await experiment("settings");
  const run = await logged(id, "one", ["loss", "val/loss"], 200);
  await signIn(page, "contributor");
  await page.goto(`/w/default/runs/${run}?tab=metrics`);
  await page.getByLabel("Smoothing").focus();
  for (let press = 0; press < 5; press += 1) await page.keyboard.press("ArrowRight");
  await expect(page).toHaveURL(/smoothing=0.05/);
  await page.getByRole("link", { name: "Log", exact: true }).click();
  await page.getByRole("link", { name: "Relative" }).click();
  await page.getByLabel("Ignore outliers").check();
  await expect(page).toHaveURL(/y=log/);
  await expect(page).toHaveURL(/x=relative/);
  await expect(page).toHaveURL(/outliers=ignored/);

  const plot = page.locator('[data-metric="loss"] .plot');
  await expect(plot.locator(".u-over")).toBeVisible();
  // The other chart follows only once it is drawn again too.
  await expect(page.locator('[data-metric="val/loss"] .u-over')).toBeVisible();
  await plot.focus();
  await plot.press("End");
  await expect(page.locator("[data-said]")).toContainText("3 min 19 s");
  await expect(page.locator('[data-metric="val/loss"] .at')).toContainText("3 min 19 s");
  await plot.press("+");
  await expect(page).toHaveURL(/start=/);
  await plot.press("0");
  await expect(page).not.toHaveURL(/start=/);
  await page.reload();
  await expect(page.getByLabel("Ignore outliers")).toBeChecked();
  await expect(page.locator('[data-metric="loss"] path.raw')).toHaveCount(1);
});

test("a run of thousands of metrics opens, and a group is loaded when it is opened", async ({ page }) => {
  const id = await experiment("many");
  const keys = Array.from({ length: 3000 }, (_, at) => `layer${Math.floor(at / 1000)}/grad/${at}`);
  const run = await logged(id, "many", keys, 2);
  await signIn(page, "contributor");
  await page.goto(`/w/default/runs/${run}?tab=metrics`);
  await expect(page.locator("[data-metric]")).toHaveCount(24);
  const group = page.locator('[data-group="layer2"]');
  await group.locator("summary").click();
  await expect(group.locator("[data-metric]")).toHaveCount(24);
  await expect(page).toHaveURL(/open=layer2/);
  await group.locator("[data-metric]").last().scrollIntoViewIfNeeded();
  await expect(group.locator("[data-metric]")).not.toHaveCount(24);
  // Far away charts give their canvases back.
  await page.evaluate(() => scrollTo(0, 0));
  await expect(group.locator("[data-metric]").last()).not.toHaveAttribute("data-drawn", "");
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("curves are drawn, settings are links and a form, groups open by a link", async ({ page }) => {
    const id = await experiment("plain");
    const keys = Array.from({ length: 30 }, (_, at) => `g/${at}`);
    const run = await logged(id, "plain", keys, 20);
    await signIn(page, "contributor");
    await page.goto(`/w/default/runs/${run}?tab=metrics`);
    await expect(page.locator("[data-metric] path.line").first()).toBeVisible();
    await page.getByRole("link", { name: "Log", exact: true }).click();
    await page.getByLabel("Ignore outliers").check();
    await page.locator("form.chart-controls > button.no-script").click();
    await expect(page).toHaveURL(/y=log/);
    await expect(page).toHaveURL(/outliers=ignored/);
    await page.getByRole("link", { name: "6 more" }).click();
    await expect(page.locator('[data-metric="g/29"]')).toBeVisible();
  });
});

// From the table of runs into the registry, by pages alone: filter, compare, zoom, register, alias, and the alias over time.
import { expect, test } from "@playwright/test";
import { drag } from "../support/charts";
import { runWith } from "../support/files";
import { complaintsOf, signIn } from "../support/people";
import { apiJson } from "../support/slipway";

const MODEL = "wine-from-a-page";
const mlflow = <T>(path: string, body: unknown) => apiJson<T>("contributor", "POST", `/api/2.0/mlflow/${path}`, body);

/** An experiment with three runs that have a curve and a model. Gives its id. */
async function logged(): Promise<string> {
  const { experiment_id } = await mlflow<{ experiment_id: string }>("experiments/create", { name: `cellar ${Date.now()}` });
  for (const [name, lr] of [["slow", "0.001"], ["fast", "0.1"], ["other", "9"]] as const) {
    const run_id = await runWith(name, { "model/MLmodel": "flavors: {}\n", "model/requirements.txt": "onnxruntime\n" }, experiment_id);
    const metrics = Array.from({ length: 300 }, (_, step) => ({ key: "loss", step, timestamp: 1_700_000_000_000 + 1000 * step, value: Number(lr) + Math.exp(-step / 40) }));
    await mlflow("runs/log-batch", { run_id, metrics, params: [{ key: "lr", value: lr }] });
  }
  return experiment_id;
}

test("a run is found, compared, looked at closely and registered, and its alias has a history", async ({ page }) => {
  const experiment = await logged();
  const wrong = complaintsOf(page);
  await signIn(page, "contributor");
  await page.goto(`/w/default/experiments/${experiment}`);
  const rows = page.locator("#runs tbody tr");
  await expect(rows).toHaveCount(3);

  await test.step("a filter that is typed leaves two of three runs", async () => {
    await page.getByRole("combobox", { name: "Filter runs" }).fill("params.lr != '9'");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/q=params/);
    await expect(rows).toHaveCount(2);
  });

  await test.step("the two are selected and compared", async () => {
    await page.getByRole("checkbox", { name: "Select slow" }).check();
    await page.getByRole("checkbox", { name: "Select fast" }).check();
    await page.getByRole("button", { name: "Compare" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Compare 2 runs");
  });

  await test.step("a drag over the chart shows a part of it, with finer points of both runs", async () => {
    await page.locator('[data-metric="loss"]').hover();
    await expect(page.locator('[data-metric="loss"]')).toHaveAttribute("data-drawn", "");
    const finer = page.waitForResponse((answer) => answer.url().includes("/runs/series") && answer.url().includes("start="));
    await drag(page, "loss", 0.4, 0.6);
    expect(new URL((await finer).url()).searchParams.getAll("run")).toHaveLength(2);
    await expect(page.getByRole("link", { name: "Reset zoom" })).toBeVisible();
    const { searchParams } = new URL(page.url());
    expect(Number(searchParams.get("start"))).toBeGreaterThan(90);
    expect(Number(searchParams.get("end"))).toBeLessThan(210);
  });

  await test.step("one of them is opened, and its model registered under a new name", async () => {
    await page.getByRole("link", { name: "fast", exact: true }).first().click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText("fast");
    await page.getByRole("link", { name: "Register model" }).click();
    await expect(page.getByText(/runs:\/[0-9a-f]{32}\/model/)).toBeVisible();
    await page.getByLabel("Registered model").fill("cellar/wine");
    await page.getByLabel("Description").fill("The faster one.");
    await page.getByRole("button", { name: "Register", exact: true }).click();
    // Refused, with what was typed.
    await expect(page.getByText("Names cannot contain '/' or ':'")).toBeVisible();
    await expect(page.getByLabel("Registered model")).toHaveValue("cellar/wine");
    await expect(page.getByLabel("Description")).toHaveValue("The faster one.");
    await page.getByLabel("Registered model").fill(MODEL);
    await page.getByRole("button", { name: "Register", exact: true }).click();
    await expect(page).toHaveURL(new RegExp(`/models/${MODEL}/versions/1$`));
    await expect(page.getByRole("heading", { level: 1 })).toContainText(`${MODEL} v1`);
  });

  const tabs = page.getByRole("navigation", { name: "Model" });
  const standing = page.getByRole("region", { name: "Where they point", exact: true }).getByRole("row", { name: /@champion/ });
  await test.step("an alias is set, and one that an environment protects is not", async () => {
    await page.goto(`/w/default/models/${MODEL}`);
    await tabs.getByRole("link", { name: /^Aliases/ }).click();
    await page.getByRole("region", { name: "Set an alias" }).getByLabel("Alias").fill("production");
    await page.getByRole("button", { name: "Set alias" }).click();
    await expect(page.getByRole("link", { name: "new promotion" })).toHaveAttribute("href", /promotions\/new\?model=.*environment=production/);
    await page.getByRole("region", { name: "Set an alias" }).getByLabel("Alias").fill("champion");
    await page.getByRole("button", { name: "Set alias" }).click();
    await expect(page.getByText("@champion points at v1.")).toBeVisible();
    await expect(standing.getByRole("link", { name: "v1" })).toBeVisible();
  });

  await test.step("the history has the change, and the day before does not show it", async () => {
    const moves = page.getByRole("group", { name: "Moves of aliases" });
    await expect(moves.getByRole("row", { name: /@champion set to v1/ })).toHaveCount(1);
    await page.getByLabel("As of (UTC)").fill(new Date(Date.now() - 86_400_000).toISOString().slice(0, 16));
    await page.getByRole("button", { name: "Show" }).click();
    await expect(page).toHaveURL(/as_of=/);
    const then = page.getByRole("region", { name: "Where they pointed", exact: true }).getByRole("row", { name: /@champion/ });
    await expect(then.getByRole("cell").first()).toHaveText("nothing");
    await page.getByRole("link", { name: "Now", exact: true }).click();
    await expect(standing.getByRole("link", { name: "v1" })).toBeVisible();
  });

  await test.step("the alias is removed, once it is said that it shall be", async () => {
    await standing.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("dialog", { name: "Remove @champion?" }).getByRole("button", { name: "Remove @champion" }).click();
    await expect(page.getByText("@champion is removed.")).toBeVisible();
    await expect(standing).toContainText("nothing");
    await expect(page.getByRole("group", { name: "Moves of aliases" }).getByRole("row", { name: /@champion/ })).toHaveCount(2);
  });
  // A refusal has its status.
  expect(wrong.filter((complaint) => !/status of 40[03]/.test(complaint))).toEqual([]);
});

// The table of runs by the keyboard: a filter that is completed, columns that are chosen and kept in view, groups, and a
// tag for two runs.
import { expect, test } from "@playwright/test";
import { complaintsOf, signIn } from "../support/people";
import { apiJson } from "../support/slipway";

const ML = "/api/2.0/mlflow";

async function logged(): Promise<string> {
  const { experiment_id } = await apiJson<{ experiment_id: string }>("contributor", "POST", `${ML}/experiments/create`, { name: `table ${Date.now()}` });
  for (const [name, model, f1] of [["one", "hgb", 0.5], ["two", "hgb", 0.7], ["three", "mlp", "NaN"], ["four", "rf", 0.6]] as const) {
    const made = await apiJson<{ run: { info: { run_id: string } } }>("contributor", "POST", `${ML}/runs/create`, { experiment_id, run_name: name, start_time: Date.now() });
    const run_id = made.run.info.run_id;
    const metrics = [1, 2, 3].map((step) => ({ key: "val/f1", value: f1, timestamp: step, step }));
    await apiJson("contributor", "POST", `${ML}/runs/log-batch`, { run_id, metrics, params: [{ key: "model", value: model }, { key: "lr", value: "0.1" }] });
    await apiJson("contributor", "POST", `${ML}/runs/update`, { run_id, status: "FINISHED", end_time: Date.now() });
  }
  return experiment_id;
}

test("runs are filtered, shown, grouped and tagged by keys", async ({ page }) => {
  const wrong = complaintsOf(page);
  const experiment = await logged();
  await signIn(page, "contributor");
  await page.goto(`/w/default/experiments/${experiment}`);
  const rows = page.locator("#runs tbody tr");
  await expect(rows).toHaveCount(4);

  // A filter, of which only beginnings are typed.
  const filter = page.getByRole("combobox", { name: "Filter runs" });
  const options = page.locator("#filter-options").getByRole("option");
  await page.keyboard.press("/");
  await expect(filter).toBeFocused();
  await page.keyboard.type("mode");
  await expect(options.first()).toContainText("params.model");
  await page.keyboard.press("ArrowDown");
  await expect(options.first()).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Enter");
  await expect(filter).toHaveValue("params.model ");
  await page.keyboard.type("= 'h");
  await expect(options).toHaveText([/hgb/]);
  await page.keyboard.press("Tab");
  await expect(filter).toHaveValue("params.model = 'hgb' ");
  await expect(options.first()).toContainText("AND");
  await page.keyboard.press("Escape");
  await expect(filter).toHaveAttribute("aria-expanded", "false");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=params/);
  await expect(rows).toHaveCount(2);

  // A column, found by a part of its key, and kept in view.
  await page.getByText("Columns", { exact: false }).first().click();
  const add = page.getByRole("combobox", { name: "Add a column" });
  await add.fill("runName");
  await expect(page.locator("#column-add-options").getByRole("option").first()).toContainText("tags.mlflow.runName");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/col=tags\.mlflow\.runName/);
  await expect(page.getByRole("columnheader", { name: "mlflow.runName" })).toBeVisible();
  // The disclosure is open where the answer leads to.
  await page.getByRole("button", { name: "Keep in view: metrics.val/f1" }).click();
  await expect(page).toHaveURL(/pin=metrics\.val/);
  await page.getByRole("button", { name: "Draw the course of metrics.val/f1" }).click();
  await expect(page.locator("#runs svg.spark").first()).toBeVisible();
  await page.keyboard.press("Escape");

  // In groups, and from a group back to its runs.
  await page.locator(".group-by > summary").click();
  await page.locator(".group-by").getByRole("link", { name: "params.model" }).click();
  await expect(page.getByText("Grouped by params.model")).toBeVisible();
  await page.locator("#runs").getByRole("link", { name: "hgb" }).click();
  await expect(rows).toHaveCount(2);

  // Two of them get a tag.
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await expect(page.getByText("2 selected")).toBeVisible();
  await page.getByRole("button", { name: "Tag" }).click();
  const dialog = page.getByRole("dialog", { name: "Tag the selected runs" });
  await dialog.getByLabel("Key").fill("team");
  await dialog.getByLabel("Value").fill("lab");
  await page.keyboard.press("Enter");
  await expect(page.getByText("2 runs are tagged.")).toBeVisible();
  await expect(page).toHaveURL(/q=params/);
  const table = await apiJson<{ rows: { tags: Record<string, string> }[] }>("contributor", "GET", `/api/v1/experiments/${experiment}/table?col=tags.team&filter=${encodeURIComponent("tags.team = 'lab'")}`);
  expect(table.rows.map((row) => row.tags.team)).toEqual(["lab", "lab"]);
  expect(wrong).toEqual([]);
});

test("a run is renamed, noted and tagged, and a version commented on, by page", async ({ page }) => {
  const wrong = complaintsOf(page);
  const name = `by-page-${Date.now()}`;
  const { run } = await apiJson<{ run: { info: { run_id: string } } }>("contributor", "POST", `${ML}/runs/create`, { experiment_id: "0", run_name: "before", start_time: Date.now() });
  const id = run.info.run_id;
  await apiJson("contributor", "POST", `${ML}/registered-models/create`, { name });
  await apiJson("contributor", "POST", `${ML}/model-versions/create`, { name, source: `runs:/${id}/model`, run_id: id });
  await signIn(page, "contributor");
  await page.goto(`/w/default/runs/${id}`);

  const menu = page.getByLabel("Change this run");
  await menu.click();
  await page.getByRole("button", { name: "Rename" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Rename this run" });
  await expect(dialog.getByLabel("Name")).toBeFocused();
  await dialog.getByLabel("Name").fill(name);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText(name);

  await menu.click();
  await page.getByRole("link", { name: "Add a note" }).click();
  await page.getByRole("textbox", { name: "Note" }).fill("It **holds** up.");
  await page.getByRole("button", { name: "Save note" }).click();
  await expect(page.locator("#about strong")).toHaveText("holds");

  const tags = page.locator("#tags");
  await tags.getByText("Add a tag").click();
  await tags.getByLabel("Key").fill("mlflow.team");
  await tags.getByLabel("Value").fill("lab");
  await tags.getByRole("button", { name: "Set tag" }).click();
  await expect(tags.getByText("choose another key")).toBeInViewport();
  await expect(tags.getByLabel("Value")).toHaveValue("lab");
  await tags.getByLabel("Key").fill("team");
  await tags.getByRole("button", { name: "Set tag" }).click();
  await expect(tags.locator(".chip")).toHaveText([/team\s*lab/]);
  await tags.getByRole("button", { name: "Remove the tag team" }).click();
  await expect(tags.locator(".chip")).toHaveCount(0);

  await menu.click();
  await page.getByRole("button", { name: "Delete" }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete run" }).click();
  await page.getByRole("button", { name: "Restore run" }).click();
  await expect(page.getByText("The run is restored.")).toBeVisible();

  await page.goto(`/w/default/models/${name}/versions/1`);
  await page.getByRole("link", { name: "Comments 0" }).click();
  await page.getByLabel("Comment", { exact: true }).fill("Ready for *staging*?");
  await page.getByRole("button", { name: "Comment", exact: true }).click();
  await expect(page.locator("#comments em")).toHaveText("staging");
  await expect(page.getByRole("link", { name: "Comments 1" })).toHaveAttribute("aria-current", "page");
  await page.locator("#comments").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("Nobody has said anything of this version yet.")).toBeVisible();
  // A browser tells of the one form that was refused.
  expect(wrong.filter((complaint) => !complaint.includes("400"))).toEqual([]);
});

test("a new run and a new state appear in the table, and what is selected stays", async ({ page }) => {
  const experiment = await logged();
  await signIn(page, "contributor");
  await page.goto(`/w/default/experiments/${experiment}`);
  const rows = page.locator("#runs tbody tr");
  await rows.nth(1).getByRole("checkbox").check();
  const chosen = await rows.nth(1).getAttribute("id");
  const made = await apiJson<{ run: { info: { run_id: string } } }>("contributor", "POST", `${ML}/runs/create`, { experiment_id: experiment, run_name: "five", start_time: Date.now() });
  const row = page.locator(`#run-${made.run.info.run_id}`);
  await expect(row).toContainText("Running");
  await apiJson("contributor", "POST", `${ML}/runs/update`, { run_id: made.run.info.run_id, status: "FAILED", end_time: Date.now() });
  await expect(row).toContainText("Failed");
  await expect(rows).toHaveCount(5);
  await expect(page.locator(`#${chosen}`).getByRole("checkbox")).toBeChecked();
  await expect(page.getByText("1 selected")).toBeVisible();
});

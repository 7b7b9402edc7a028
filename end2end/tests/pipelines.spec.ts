// Pipelines as people run them: started by a form, followed while they run, read when they failed, run again from there.
import { expect, test } from "@playwright/test";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AXE, faults } from "../support/axe";
import { complaintsOf, signIn } from "../support/people";
import { apiJson } from "../support/slipway";

/** A pipeline that waits for a file, then fails until another is there. */
function walked(folder: string): string {
  return [
    "name: walked",
    "params:",
    "  rounds: { type: integer, default: 20, minimum: 1, description: How often }",
    "steps:",
    "  prepare:",
    `    command: "echo prepared; echo rows > \\"$OUTPUT_ROWS\\""`,
    "    outputs: { rows: rows.csv }",
    "  train:",
    "    inputs: { rows: prepare.rows }",
    "    command: |",
    `      printf '\\033[34mINFO\\033[0m  %s rounds\\n' "$PARAM_ROUNDS"`,
    `      until [ -e ${folder}/go ]; do sleep 0.1; done`,
    `      [ -e ${folder}/mended ] || { echo 'ValueError: no rows of the east' >&2; exit 3; }`,
    "      echo trained",
    "  report: { needs: train, command: echo report }",
    "finally:",
    "  tidy: { command: echo tidied }",
  ].join("\n");
}

test("a pipeline is started by its form, followed, explains its failure, and is run again from there", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-e2e-walk-"));
  chmodSync(folder, 0o755);
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source: walked(folder) });
  const complaints = complaintsOf(page);
  await page.addInitScript({ path: AXE });
  await signIn(page, "contributor");
  const head = page.getByRole("heading", { level: 1 }).locator("..");
  const graph = page.getByRole("region", { name: "Graph of steps" });

  await test.step("a mistake in the form stays in it, and says what is wrong", async () => {
    await page.goto("/w/default/pipelines/walked");
    await page.getByLabel("rounds").fill("0");
    // The browser knows the bounds as well.
    expect(await page.getByLabel("rounds").evaluate((field: HTMLInputElement) => field.validity.rangeUnderflow)).toBe(true);
    await page.getByLabel("rounds").evaluate((field: HTMLInputElement) => (field.form!.noValidate = true));
    await page.getByRole("button", { name: "Start run" }).click();
    await expect(page.getByText('The param "rounds" must be')).toBeVisible();
    await expect(page.getByLabel("rounds")).toHaveValue("0");
    await expect(page.getByLabel("rounds")).toBeFocused();
    // The browser complains of the answer to a form that was refused.
    complaints.length = 0;
  });

  await test.step("by keyboard it starts, and the log of what runs is followed", async () => {
    await page.getByLabel("rounds").fill("50");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/\/pipeline-runs\/\d+$/);
    await page.goto(`${page.url()}?step=train`);
    const log = page.getByRole("region", { name: "Log of train" });
    await expect(log.getByText("50 rounds")).toBeVisible();
    await expect(log.getByText("Following")).toBeVisible();
    await expect(head).toContainText("Running");
    writeFileSync(join(folder, "go"), "");
    await expect(log.getByText("ValueError: no rows of the east")).toBeVisible();
    await expect(head).toContainText("Failed");
  });
  const failed = page.url();

  await test.step("the failure explains itself where one looks first", async () => {
    await page.goto(failed.replace(/\?.*/, ""));
    const why = page.locator("#failure");
    await expect(why).toContainText("train: Exit status 3.");
    await expect(why).toContainText("ValueError: no rows of the east");
    // What it quotes is a link to its line.
    await why.getByRole("link").click();
    await expect(page).toHaveURL(/#L\d+$/);
    await expect(page.locator("li:target")).toContainText("ValueError");
    // What runs in the end stands at the right end of the graph, and ran.
    await expect(graph.locator("a").last()).toHaveAttribute("href", /step=tidy/);
    await expect(graph.getByRole("link", { name: "tidy: Passed" })).toBeVisible();
    await expect(graph.getByRole("link", { name: "report: Skipped" })).toBeVisible();
    expect(await faults(page)).toEqual([]);
  });

  await test.step("the log is searched while one types, and as a whole", async () => {
    const field = page.getByRole("searchbox", { name: "Search the log" });
    await field.fill("valueerror");
    await expect(page.locator("[data-found]")).toHaveText("1 line");
    await field.press("Enter");
    await expect(page.locator("[data-found]")).toHaveText("1 of 1 line");
    await expect(page.locator(".log li.hit")).toContainText("ValueError");
    await page.goto(`${failed}&find=rows`);
    await expect(page.locator(".log mark").first()).toHaveText("rows");
    await page.getByRole("link", { name: "Show all" }).click();
    await expect(page.locator(".log li").first()).toBeVisible();
  });

  await test.step("over time, each try has its lane", async () => {
    await page.getByRole("navigation", { name: "View" }).getByRole("link", { name: "Gantt" }).click();
    await expect(page.getByRole("region", { name: /^Steps over/ }).getByRole("listitem")).toHaveCount(4);
    expect(await faults(page)).toEqual([]);
  });

  await test.step("run again from what failed, it takes over what succeeded", async () => {
    writeFileSync(join(folder, "mended"), "");
    await page.goto(failed.replace(/\?.*/, ""));
    const again = page.getByRole("region", { name: "Run again" });
    await expect(again.getByLabel("From")).toHaveValue("failed");
    await again.getByRole("button", { name: "Run again" }).click();
    await expect(page).not.toHaveURL(failed.replace(/\?.*/, ""));
    await expect(head).toContainText("Succeeded");
    await expect(graph.getByRole("link", { name: /^report: Passed/ })).toBeVisible();
    await page.goto(`${page.url()}?step=prepare`);
    await expect(page.getByText(/It did not run here: its outputs are those that it had in run #\d+/)).toBeVisible();
  });
  expect(complaints).toEqual([]);
});

/** A pipeline whose score is what a file says. */
function scored(folder: string): string {
  return [
    "name: scored",
    "seed: 7",
    "steps:",
    `  prepare: { command: "echo rows > \\"$OUTPUT_ROWS\\"", outputs: { rows: rows.csv }, cache: true }`,
    "  score:",
    `    command: "cp ${folder}/scores.json scores.json"`,
    "    inputs: { rows: prepare.rows }",
    "    outputs: { scores: { path: scores.json, type: metrics, tolerance: 0.01 } }",
  ].join("\n");
}

test("a run is reproduced from its record, and the verdict says what came of it", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-e2e-scored-"));
  chmodSync(folder, 0o755);
  const says = (accuracy: number) => writeFileSync(join(folder, "scores.json"), JSON.stringify({ accuracy }), { mode: 0o644 });
  says(0.9);
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source: scored(folder) });
  const first = await apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/scored/runs", {});
  const address = `/w/default/pipeline-runs/${first.number}`;
  const complaints = complaintsOf(page);
  await page.addInitScript({ path: AXE });
  await signIn(page, "contributor");
  const record = page.getByRole("region", { name: "Record" });
  const verdict = page.locator("#verdict");
  const reproduce = async (): Promise<void> => {
    await page.goto(address);
    await record.getByRole("button", { name: "Reproduce" }).click();
    await expect(page).not.toHaveURL(new RegExp(`${address}$`));
  };

  await page.goto(address);
  await expect(page.getByRole("heading", { level: 1 }).locator("..")).toContainText("Succeeded");
  await expect(record).toContainText("No commit is known");
  await reproduce();
  await expect(verdict).toContainText("Reproduced, byte for byte.");
  await expect(verdict).toContainText("2 outputs of 2 steps");
  expect(await faults(page)).toEqual([]);

  says(0.905);
  await reproduce();
  await expect(verdict).toContainText("Reproduced within the tolerance.");

  says(0.5);
  await reproduce();
  await expect(verdict).toContainText("Diverged first in the output scores of score: accuracy: 0.9 before, 0.5 now");

  await page.goto(address);
  await expect(record.getByRole("listitem").filter({ hasText: "diverged" })).toHaveCount(1);
  await expect(record.getByRole("listitem").filter({ hasText: "identical" })).toHaveCount(1);
  expect(complaints).toEqual([]);
});

test("the list of runs is narrowed by its address and follows what happens", async ({ page }) => {
  const source = ["name: listed", "params: { day: '' }", "steps:", "  only:", '    command: "true"'].join("\n");
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source });
  const start = (day: string) => apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/listed/runs", { params: { day } });
  const [first, second] = [await start("monday"), await start("tuesday")];
  await signIn(page, "viewer");
  await page.goto("/w/default/pipeline-runs");
  const shown = (run: { number: number }) => page.getByRole("row", { name: new RegExp(`#${run.number}\\b`) });
  await expect(shown(first)).toBeVisible();
  await page.keyboard.press("/");
  await page.keyboard.type("tuesday");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=tuesday/);
  await expect(shown(second)).toBeVisible();
  await expect(shown(first)).toHaveCount(0);
  const third = await start("next tuesday");
  await expect(shown(third)).toContainText("Succeeded");
  await page.getByLabel("Pipeline", { exact: true }).selectOption("listed");
  await page.getByRole("button", { name: "Filter" }).click();
  await expect(page).toHaveURL(/q=tuesday/);
  await expect(page).toHaveURL(/pipeline=listed/);
  await page.getByRole("link", { name: "Clear" }).click();
  await expect(shown(first)).toBeVisible();
});

// A notebook as a step: its cells while it runs, what they made, the cell that fails, and what is different.
import { expect, test } from "@playwright/test";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { complaintsOf, signIn } from "../support/people";
import { PYTHON, apiJson } from "../support/slipway";

const code = (id: string, source: string, ...tags: string[]) => ({
  cell_type: "code",
  id,
  metadata: { tags },
  source,
  outputs: [],
  execution_count: null,
});

/** A pipeline whose one step runs a notebook, which waits for the file `go` and then fails. */
function pipeline(go: string): string {
  const cells = [
    { cell_type: "markdown", id: "title", metadata: {}, source: "# Wine, nightly\n\nWe minimise $\\frac{1}{n}\\sum_i e_i^2$." },
    code("params", "rows = 1", "parameters"),
    code("table", "import pandas as pd\nfrom IPython.display import HTML, SVG, display\npd.DataFrame({'rows': [rows, 41.5]})"),
    code(
      "drawn",
      "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\"><rect width=\"40\" height=\"20\"/></svg>'))\n" +
        "display(HTML('<p id=\"by-script\"></p><script>document.getElementById(\"by-script\").textContent = window.origin</script>'))",
    ),
    code("wait", `import os, time\nprint('it waits', flush=True)\nwhile not os.path.exists(${JSON.stringify(go)}): time.sleep(0.1)`),
    code("verdict", "# the verdict\nraise ValueError(f'{rows} rows are too few')"),
  ];
  const notebook = { nbformat: 4, nbformat_minor: 5, metadata: { kernelspec: { name: "python3", language: "python", display_name: "Python" } }, cells };
  // JSON is YAML.
  return JSON.stringify({
    name: "noted",
    params: { rows: 7 },
    files: { "report.ipynb": JSON.stringify(notebook) },
    steps: { report: { notebook: "report.ipynb", timeout: "5m", env: { PATH: `${dirname(PYTHON)}:/usr/bin:/bin` } } },
  });
}

test("a notebook is followed cell by cell, drawn safely, and held against its source", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-e2e-noted-"));
  chmodSync(folder, 0o755);
  const go = join(folder, "go");
  await apiJson("contributor", "PUT", "/api/v1/pipelines", { source: pipeline(go) });
  const run = await apiJson<{ number: number }>("contributor", "POST", "/api/v1/pipelines/noted/runs", {});

  const complaints = complaintsOf(page);
  await signIn(page, "viewer");
  await page.goto(`/w/default/pipeline-runs/${run.number}?step=report`);
  const panel = page.getByRole("region", { name: "Notebook", exact: true });
  await expect(panel.getByText("it waits", { exact: true })).toBeVisible();
  await expect(panel).toContainText("of 6");
  await expect(panel.locator("li[data-s=run]")).toContainText("Runs for");
  await page.evaluate(() => document.body.setAttribute("data-same-page", ""));
  writeFileSync(go, "");
  await expect(panel.getByText("ValueError: 7 rows are too few")).toBeVisible();
  await expect(page.locator("body[data-same-page]")).toHaveCount(1);

  await panel.getByRole("link", { name: "Open" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("report.ipynb");
  await expect(page.getByText('Cell 6 of 6 ("the verdict") failed: ValueError: 7 rows are too few.')).toBeVisible();
  await expect(page.locator("math mfrac").first()).toBeVisible();
  await expect(page.getByRole("cell", { name: "41.5" })).toBeVisible();
  await expect(page.locator("img[src^='data:image/svg+xml']")).toBeVisible();
  // A document runs in an origin that nothing else has, once somebody wants to see it.
  await page.getByText("Show the document that the cell made").click();
  await expect(page.frameLocator("iframe.frame").locator("#by-script")).toHaveText("null");

  await page.getByRole("link", { name: "Compare", exact: true }).click();
  const diff = page.getByRole("region", { name: "What is different" });
  await expect(diff).toContainText("1 cell added");
  await expect(diff).toContainText("rows = 7");
  await expect(diff).toContainText("ValueError: 7 rows are too few");
  expect(complaints).toEqual([]);
});

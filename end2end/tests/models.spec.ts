// A model's aliases over time, its card, and two of its versions.
import { expect, test } from "@playwright/test";
import { runWith } from "../support/files";
import { complaintsOf, signIn } from "../support/people";
import { apiJson } from "../support/slipway";

const MODEL = "wine-with-history";
const mlflow = <T>(method: string, path: string, body?: unknown) => apiJson<T>("contributor", method, `/api/2.0/mlflow/${path}`, body);

/** Two versions, and an alias that moves from the first to the second. Gives the moment between the two moves. */
async function moved(): Promise<string> {
  await mlflow("POST", "registered-models/create", { name: MODEL });
  for (const round of ["1", "2"]) {
    const run = await runWith(`history ${round}`, { "model/requirements.txt": `onnxruntime==1.${round}\n` });
    await mlflow("POST", "model-versions/create", { name: MODEL, source: `runs:/${run}/model`, run_id: run, tags: [{ key: "round", value: round }] });
  }
  // A browser leaves seconds out that are 0, and a minute is asked about to its end.
  await expect.poll(() => new Date().getUTCSeconds()).toBeGreaterThan(0);
  await mlflow("POST", "registered-models/alias", { name: MODEL, alias: "champion", version: "1" });
  const history = () => apiJson<{ items: { at: string }[] }>("viewer", "GET", `/api/v1/models/${MODEL}/aliases/champion/history`);
  const first = Date.parse((await history()).items[0]?.at ?? "");
  // The field of the page tells seconds apart: the second move waits for another second than the first's.
  await expect.poll(() => Math.floor(Date.now() / 1000)).toBeGreaterThan(Math.floor(first / 1000) + 1);
  await mlflow("POST", "registered-models/alias", { name: MODEL, alias: "champion", version: "2" });
  return new Date(first).toISOString().slice(0, 19);
}

test("an alias is read as of a moment, a card is written, and two versions are compared", async ({ page }) => {
  const between = await moved();
  const complaints = complaintsOf(page);
  await signIn(page, "contributor");
  await page.goto("/w/default/models");
  await page.getByRole("link", { name: MODEL }).click();
  const tabs = page.getByRole("navigation", { name: "Model" });

  await test.step("the alias points at the second version now, and pointed at the first then", async () => {
    await tabs.getByRole("link", { name: /^Aliases/ }).click();
    const standing = page.getByRole("region", { name: "Where they point", exact: true }).getByRole("row", { name: /@champion/ });
    await expect(standing).toContainText("v2");
    await page.getByLabel("As of (UTC)").fill(between);
    await page.getByRole("button", { name: "Show" }).click();
    await expect(page).toHaveURL(/as_of=/);
    const then = page.getByRole("region", { name: "Where they pointed", exact: true }).getByRole("row", { name: /@champion/ });
    await expect(then.getByRole("link", { name: "v1" })).toBeVisible();
    await expect(page.getByText(/was here/)).toBeVisible();
    // What is in the address is the page.
    await page.reload();
    await expect(then.getByRole("link", { name: "v1" })).toBeVisible();
    await page.getByLabel("As of (UTC)").fill("2001-01-01T00:00");
    await page.getByRole("button", { name: "Show" }).click();
    await expect(then).toContainText("nothing");
  });

  await test.step("the moves are all there, and lead to the difference of the two", async () => {
    const moves = page.getByRole("group", { name: "Moves of aliases" });
    await expect(moves.getByRole("row", { name: /@champion/ })).toHaveCount(2);
    await page.goto(`/w/default/models/${MODEL}`);
    await page.getByRole("radio", { name: "Compare from v1" }).check();
    await page.getByRole("radio", { name: "Compare to v2" }).check();
    await page.getByRole("button", { name: "Compare the chosen two" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText("v1 → v2");
    await expect(page.getByRole("region", { name: "Changes of requirements.txt" })).toContainText("onnxruntime==1.2");
  });

  await test.step("a card is looked at, saved, and kept from being written over", async () => {
    await page.goto(`/w/default/models/${MODEL}/card`);
    await page.getByRole("link", { name: "Write card" }).click();
    await page.getByLabel("Text").fill("## Wine\n\nFrom **two** valleys.");
    await page.getByRole("button", { name: "Preview" }).click();
    await expect(page.getByRole("region", { name: "Preview" }).getByText("two", { exact: true })).toHaveCSS("font-weight", /[67]00/);
    await page.getByRole("button", { name: "Save card" }).click();
    await expect(page.getByRole("heading", { name: "Wine", exact: true })).toBeVisible();
    await page.getByRole("link", { name: "Edit card" }).click();
    await apiJson("admin", "PUT", `/api/v1/models/${MODEL}/card`, { text: "## Wine\n\nFrom three valleys.", instead_of: 1 });
    await page.getByLabel("Text").fill("## Wine\n\nFrom four valleys.");
    await page.getByRole("button", { name: "Save card" }).click();
    await expect(page.getByText("saved version 2 while you were writing")).toBeVisible();
    await expect(page.getByLabel("Text")).toHaveValue("## Wine\n\nFrom four valleys.");
    await page.getByRole("button", { name: "Save card" }).click();
    await expect(page.getByText("From four valleys.")).toBeVisible();
    await page.getByRole("button", { name: "Compare" }).click();
    await expect(page.getByText("From three valleys.")).toBeVisible();
  });
  // Saving over another's card is refused with its status.
  expect(complaints.filter((complaint) => !complaint.includes("409"))).toEqual([]);
});

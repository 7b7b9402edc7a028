// The loop, as people walk it: see a run, ask for production, approve, call the endpoint, watch it drift, find the candidate.
import { expect, test } from "@playwright/test";
import { complaintsOf, signIn, signOut } from "../support/people";
import { api, apiJson, readState, until } from "../support/slipway";
import { type Listed, retraining, sendShifted, wines } from "../support/walk";

const MODEL = "wine-cultivar";

test("a model goes from a run to production, drifts, and comes back as a candidate", async ({ page }) => {
  const { runId, runName } = readState();
  const complaints = complaintsOf(page);

  await test.step("the run that MLflow's client logged is there, with its curve", async () => {
    await signIn(page, "contributor");
    await page.getByRole("navigation", { name: "Workspace" }).getByRole("link", { name: "Experiments" }).click();
    await page.getByRole("link", { name: "wine", exact: true }).click();
    await page.getByRole("link", { name: runName }).first().click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText(runName);
    await page.getByRole("link", { name: /^Metrics/ }).click();
    await expect(page.getByText("val_log_loss").filter({ visible: true }).first()).toBeVisible();
    expect(page.url()).toContain(runId);
  });

  let promotion = "";
  await test.step("a contributor asks for production, and the gates pass", async () => {
    await page.goto(`/w/default/promotions/new?model=${MODEL}&version=1`);
    await page.getByLabel("Environment").selectOption("production");
    await page.getByLabel("Why").fill("The first version.");
    await page.getByRole("button", { name: "Request promotion" }).click();
    await expect(page).toHaveURL(/\/promotions\/\d+$/);
    promotion = page.url();
    await expect(page.getByText("Waiting for approval").first()).toBeVisible({ timeout: 240_000 });
    await expect(page.getByRole("button", { name: /^Approve v1/ })).toHaveCount(0);
    await signOut(page);
  });

  await test.step("an approver approves, with a comment", async () => {
    await signIn(page, "approver");
    await expect(page.getByText(`${MODEL} v1 → production`).first()).toBeVisible();
    await page.goto(promotion);
    await page.getByRole("complementary", { name: "Decision" }).getByLabel(/^Comment/).fill("Accuracy and the golden rows convince me.");
    await page.getByRole("button", { name: "Approve v1 for production" }).click();
    await expect(page.getByText(/Live|Deploying|Approved/).first()).toBeVisible();
  });

  await test.step("the endpoint answers", async () => {
    await until("The deployment", async () => ((await api("operator", "GET", `/v2/models/${MODEL}/ready`)).ok ? true : undefined));
    const answer = await apiJson<{ outputs: { name: string; data: number[] }[]; model_version: string }>(
      "operator",
      "POST",
      `/v2/models/${MODEL}/infer`,
      wines(3, 1),
    );
    expect(answer.model_version).toBe("1");
    expect(answer.outputs[0].data).toHaveLength(3);
    await page.reload();
    await expect(page.getByText("Live").first()).toBeVisible();
  });

  await test.step("a retraining pipeline waits for an alert", async () => {
    const source = retraining("retrain-wine", MODEL);
    await apiJson("contributor", "PUT", "/api/v1/pipelines", { source });
    await apiJson("operator", "PATCH", `/api/v1/environments/production/models/${MODEL}/monitor`, { min_rows: 50, window_rows: 200 });
    await apiJson("operator", "POST", "/api/v1/triggers", { model: MODEL, pipeline: "retrain-wine" });
  });

  await test.step("shifted traffic opens an alert", async () => {
    await sendShifted(MODEL);
    await until("The alert", async () => {
      const alerts = await apiJson<Listed<{ model: string }>>("operator", "GET", "/api/v1/alerts?unresolved=true");
      return alerts.items.find((alert) => alert.model === MODEL);
    });
    await page.goto("/w/default/alerts");
    await expect(page.getByText(MODEL).first()).toBeVisible();
  });

  await test.step("the retrained candidate waits for approval", async () => {
    const candidate = await until("The candidate", async () => {
      const listed = await apiJson<Listed<{ number: number; version: number; state: string }>>("approver", "GET", `/api/v1/promotions?model=${MODEL}`);
      return listed.items.find((item) => item.version === 2 && item.state === "awaiting_approval");
    });
    const runs = await apiJson<Listed<unknown>>("contributor", "GET", "/api/v1/pipeline-runs?pipeline=retrain-wine");
    expect(runs.items).toHaveLength(1);
    await page.goto(`/w/default/promotions/${candidate.number}`);
    await expect(page.getByRole("button", { name: "Approve v2 for production" })).toBeVisible();
  });
  expect(complaints).toEqual([]);
});

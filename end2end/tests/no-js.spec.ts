// Forms and pages without JavaScript.
import { expect, test } from "@playwright/test";
import { signIn, signOut } from "../support/people";
import { apiJson, until } from "../support/slipway";
import { registerAs, retraining, sendShifted, wines } from "../support/walk";

test.use({ javaScriptEnabled: false });

test("signing in with a wrong password keeps the address and says why", async ({ page }) => {
  await page.goto("/sign-in");
  await page.getByLabel("E-mail").fill("risk-approver@example.com");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByLabel("E-mail")).toHaveValue("risk-approver@example.com");
  await expect(page.getByText("No account has this e-mail address and password.")).toBeVisible();
});

test("a token is made, shown once, and revoked", async ({ page }) => {
  await signIn(page, "contributor");
  await page.goto("/w/default/settings/tokens");
  await page.getByLabel("Name").fill("laptop");
  await page.getByRole("button", { name: "Make token" }).click();
  await expect(page.getByText("MLFLOW_TRACKING_TOKEN=slipway_")).toBeVisible();
  await page.goto("/w/default/settings/tokens");
  await expect(page.getByText("MLFLOW_TRACKING_TOKEN=slipway_")).toHaveCount(0);
  await page.getByRole("row", { name: /laptop/ }).getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("row", { name: /laptop/ })).toHaveCount(0);
});

test("a promotion is requested and withdrawn", async ({ page }) => {
  await signIn(page, "contributor");
  await page.goto("/w/default/promotions/new");
  await page.getByLabel("Version").selectOption("wine-cultivar/1");
  await page.getByLabel("Environment").selectOption("staging");
  await page.getByRole("button", { name: "Request promotion" }).click();
  await expect(page).toHaveURL(/\/promotions\/\d+$/);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("staging");
});

test("a broken pipeline file is shown again with line and column", async ({ page }) => {
  await signIn(page, "contributor");
  await page.goto("/w/default/pipelines/new");
  const broken = "name: broken\nsteps:\n  a:\n    command: [true]\n    needs: [b]\n";
  await page.locator("textarea").fill(broken);
  await page.locator("main form button[type=submit]").first().click();
  await expect(page.locator("textarea")).toHaveValue(broken);
  await expect(page.getByText(/line 5/i).first()).toBeVisible();
});

test("the loop is walked by forms alone", async ({ page }) => {
  const model = "wine-by-form";
  /** A page without scripts shows news when it is asked for again; not so often that nothing else gets to run. */
  const shows = async (what: RegExp | string) =>
    expect(async () => {
      await page.reload();
      await expect(page.getByText(what).first()).toBeVisible({ timeout: 500 });
    }).toPass({ intervals: [1_000, 2_000, 5_000], timeout: 300_000 });

  await test.step("a contributor requests production for what MLflow's client logged", async () => {
    await registerAs(model);
    await signIn(page, "contributor");
    await page.goto(`/w/default/models/${model}/versions/1`);
    await page.getByRole("link", { name: "Request promotion" }).first().click();
    await page.getByLabel("Environment").selectOption("production");
    await page.getByRole("button", { name: "Request promotion" }).click();
    await shows("Waiting for approval");
  });
  const promotion = page.url();

  await test.step("a rejection without a reason keeps the form and says so; an approval with a comment deploys", async () => {
    await signOut(page);
    await signIn(page, "approver");
    await page.goto(promotion);
    await page.getByRole("button", { name: "Reject" }).click();
    await expect(page.getByText("Say why, so that the requester knows what to do").first()).toBeVisible();
    await page.getByRole("complementary", { name: "Decision" }).getByLabel(/^Comment/).fill("Convincing.");
    await page.getByRole("button", { name: "Approve v1 for production" }).click();
    await shows("Live");
    const answer = await apiJson<{ model_version: string }>("operator", "POST", `/v2/models/${model}/infer`, wines(3, 1));
    expect(answer.model_version).toBe("1");
  });

  await test.step("a contributor stores the pipeline that trains again", async () => {
    await signOut(page);
    await signIn(page, "contributor");
    await page.goto("/w/default/pipelines/new");
    await page.getByRole("textbox", { name: "File" }).fill(retraining("retrain-by-form", model));
    await page.getByRole("button", { name: "Store pipeline" }).click();
    await expect(page).toHaveURL(/\/pipelines\/retrain-by-form/);
  });

  await test.step("an operator sets the monitor and its trigger", async () => {
    await signOut(page);
    await signIn(page, "operator");
    await page.goto(`/w/default/environments/production/models/${model}/monitor`);
    await page.getByLabel("Rows, at most").fill("200");
    await page.getByLabel("Rows, at least").fill("50");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByLabel("Rows, at least")).toHaveValue("50");
    await page.getByRole("combobox", { name: "Pipeline", exact: true }).selectOption("retrain-by-form");
    await page.getByRole("button", { name: "Set trigger" }).click();
    await expect(page.getByRole("row", { name: /retrain-by-form/ })).toContainText("On");
  });

  await test.step("shifted traffic opens an alert, which is acknowledged", async () => {
    await sendShifted(model);
    await page.goto("/w/default/alerts");
    await shows(model);
    await page.getByRole("row", { name: new RegExp(model) }).getByRole("link").first().click();
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await expect(page.getByText("Acknowledged").first()).toBeVisible();
    await shows("Waiting for approval");
  });

  await test.step("the candidate is approved, and rolled back again", async () => {
    await page.getByRole("link", { name: /Promotion #\d+ to production/ }).click();
    const candidate = page.url();
    await signOut(page);
    await signIn(page, "approver");
    await page.goto(candidate);
    await page.getByRole("button", { name: "Approve v2 for production" }).click();
    await shows("Live");
    await signOut(page);
    await signIn(page, "operator");
    await page.goto(`/w/default/environments/production/models/${model}`);
    await page.getByRole("button", { name: "Roll back to v1" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Roll back to v1" }).click();
    await until("The rollback", async () => {
      const answer = await apiJson<{ model_version: string }>("operator", "POST", `/v2/models/${model}/infer`, wines(3, 1));
      return answer.model_version === "1" ? true : undefined;
    });
    await page.reload();
    await expect(page.getByText(/rolled back to it/).first()).toBeVisible();
  });
});

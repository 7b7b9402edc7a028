// Forms and pages without JavaScript.
import { expect, test } from "@playwright/test";
import { signIn } from "../support/people";

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
  await expect(page.locator("textarea")).toHaveValue(broken.trimEnd());
  await expect(page.getByText(/line 5/i).first()).toBeVisible();
});

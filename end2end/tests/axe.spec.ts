// No page has a serious fault for people who do not see it, and none scrolls sideways on a phone.
import AxeBuilder from "@axe-core/playwright";
import { expect, test } from "@playwright/test";
import { signIn } from "../support/people";
import { apiJson, readState } from "../support/slipway";

interface Listed<T> {
  items: T[];
}

async function addresses(): Promise<string[]> {
  const experiments = await apiJson<Listed<{ experiment: { id: number; name: string } }>>("contributor", "GET", "/api/v1/experiments");
  const wine = experiments.items.find((item) => item.experiment.name === "wine");
  const promotions = await apiJson<Listed<{ number: number }>>("contributor", "GET", "/api/v1/promotions");
  const runs = await apiJson<Listed<{ run: { number: number } }>>("contributor", "GET", "/api/v1/pipeline-runs");
  const alerts = await apiJson<Listed<{ number: number }>>("contributor", "GET", "/api/v1/alerts");
  const paths = [
    "",
    "/experiments",
    `/experiments/${wine?.experiment.id ?? 0}`,
    `/runs/${readState().runId}`,
    "/models",
    "/models/wine-cultivar",
    "/models/wine-cultivar/versions/1",
    "/pipelines",
    "/pipelines/new",
    "/promotions",
    "/promotions/new",
    "/environments",
    "/deployments",
    "/alerts",
    "/settings/members",
    "/settings/tokens",
    "/settings/account",
    "/no-such-page",
  ];
  for (const promotion of promotions.items.slice(0, 2)) paths.push(`/promotions/${promotion.number}`);
  for (const run of runs.items.slice(0, 1)) paths.push(`/pipeline-runs/${run.run.number}`);
  for (const alert of alerts.items.slice(0, 1)) paths.push(`/alerts/${alert.number}`);
  return ["/sign-in", ...paths.map((path) => `/w/default${path}`)];
}

for (const scheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious in ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    await signIn(page, "admin");
    for (const address of await addresses()) {
      await page.goto(address);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      expect(serious.map(({ id, nodes }) => `${address}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
    }
  });
}

test("no page scrolls sideways on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn(page, "admin");
  for (const address of await addresses()) {
    await page.goto(address);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, address).toBeLessThanOrEqual(390);
  }
});

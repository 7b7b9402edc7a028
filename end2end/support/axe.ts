// What axe finds on a page.
import type { Page } from "@playwright/test";
import axe from "axe-core";

/** What axe finds serious. Between light and dark only colours differ. */
export async function faults(page: Page, scheme: "light" | "dark"): Promise<string[]> {
  await page.emulateMedia({ colorScheme: scheme });
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe.source);
  const violations = await page.evaluate(async (rules) => {
    const options: axe.RunOptions = { resultTypes: ["violations"], preload: false, ...(rules && { runOnly: rules }) };
    return (await (globalThis as unknown as { axe: typeof axe }).axe.run(document, options)).violations;
  }, scheme === "dark" ? ["color-contrast"] : undefined);
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return serious.map(({ id, nodes }) => `${page.url()} in ${scheme}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

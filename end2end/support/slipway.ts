// The server under test, its people, and what a client of it needs.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const port = process.env.SLIPWAY_E2E_PORT ?? "3977";
export const BASE_URL = `http://127.0.0.1:${port}`;
export const LISTEN = `127.0.0.1:${port}`;
export const STATE_FILE = join(tmpdir(), `slipway-e2e-${port}.json`);
export const CACHE = join(homedir(), ".cache", "slipway");
export const PYTHON = join(CACHE, "python-test", "bin", "python");
export const BINARY = process.env.SLIPWAY_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(CACHE, "target"), "debug", "slipway");

export const PASSWORD = "a long enough password";
/** The people of the walk, by what they are. */
export const PEOPLE = {
  contributor: "data-scientist@example.com",
  viewer: "auditor@example.com",
  approver: "risk-approver@example.com",
  operator: "on-call@example.com",
  admin: "administrator@example.com",
} as const;
export type Role = keyof typeof PEOPLE;

/** What setup leaves for the tests and the teardown. */
export interface State {
  pid: number;
  dataDir: string;
  tokens: Record<Role, string>;
  /** The tracked run that setup logged. */
  runId: string;
  runName: string;
}

export const readState = (): State => JSON.parse(readFileSync(STATE_FILE, "utf8")) as State;
export const writeState = (state: State): void => writeFileSync(STATE_FILE, JSON.stringify(state));

/** Runs a command of the binary against the data folder and gives what it prints. */
export function admin(dataDir: string, args: string[], input = ""): string {
  return execFileSync(BINARY, ["admin", ...args, "--data-dir", dataDir], { input, encoding: "utf8" }).trim();
}

/** Sends a request to the REST API as one of the people. */
export async function api(role: Role, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(`${BASE_URL}${path}`, {
    method,
    headers: { authorization: `Bearer ${readState().tokens[role]}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

/** The same, when it must succeed. */
export async function apiJson<T>(role: Role, method: string, path: string, body?: unknown): Promise<T> {
  const response = await api(role, method, path, body);
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** Asks again until the answer is what is wanted, for a while. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, seconds = 240): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Runs the training script of the tests with the MLflow client. */
export function train(token: string, args: string[]): { run_id: string; run_name: string; version: number } {
  const output = execFileSync(PYTHON, [join(import.meta.dirname, "train.py"), ...args], {
    env: { ...process.env, MLFLOW_TRACKING_URI: `${BASE_URL}/w/default`, MLFLOW_TRACKING_TOKEN: token, SLIPWAY_URL: BASE_URL },
    encoding: "utf8",
  });
  return JSON.parse(output.trim().split("\n").at(-1) ?? "{}") as { run_id: string; run_name: string; version: number };
}

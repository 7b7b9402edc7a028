// Starts a Slipway of the tests' own, makes its people, and logs a first run with MLflow's client.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BASE_URL, BINARY, LISTEN, PASSWORD, PEOPLE, type Role, type State, admin, train, until, writeState } from "./slipway";

export default async function setup(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "slipway-e2e-"));
  const log = openSync(join(dataDir, "server.log"), "a");
  const server = spawn(BINARY, ["serve", "--listen", LISTEN, "--data-dir", dataDir, "--monitor-interval", "1", "--lease", "5"], {
    stdio: ["ignore", log, log],
    env: { ...process.env, DATABASE_URL: "", SLIPWAY_DATABASE_URL: "" },
  });
  if (server.pid === undefined) throw new Error(`${BINARY} cannot be started`);
  const state: State = { pid: server.pid, dataDir, tokens: { viewer: "", contributor: "", approver: "", operator: "", admin: "" }, runId: "", runName: "" };
  writeState(state);
  let ended = false;
  server.once("exit", () => (ended = true));
  await until("The server's readiness", async () => {
    // Else the tests would go to whatever else answers at its address.
    if (ended) throw new Error(`The server ended: ${readFileSync(join(dataDir, "server.log"), "utf8").slice(-2000)}`);
    const answer = await fetch(`${BASE_URL}/readyz`).catch(() => undefined);
    return answer?.ok ? true : undefined;
  });
  for (const role of Object.keys(PEOPLE) as Role[]) {
    admin(dataDir, ["create-user", "--email", PEOPLE[role], "--role", role, "--password-stdin"], `${PASSWORD}\n`);
    state.tokens[role] = admin(dataDir, ["create-token", "--email", PEOPLE[role], "--name", "end-to-end", "--scope", "admin"]);
  }
  writeState(state);
  const logged = train(state.tokens.contributor, ["--register"]);
  state.runId = logged.run_id;
  state.runName = logged.run_name;
  writeState(state);
}

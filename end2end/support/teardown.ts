// Stops the server that setup started, and it alone.
import { rmSync } from "node:fs";
import { STATE_FILE, readState, until } from "./slipway";

export default async function teardown(): Promise<void> {
  const { pid, dataDir } = readState();
  process.kill(pid, "SIGTERM");
  await until("The server's end", async () => {
    try {
      process.kill(pid, 0);
      return undefined;
    } catch {
      return true;
    }
  });
  if (process.env.SLIPWAY_E2E_KEEP === undefined) rmSync(dataDir, { recursive: true, force: true });
  rmSync(STATE_FILE, { force: true });
}

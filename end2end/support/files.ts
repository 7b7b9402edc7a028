// Files of every sort that a run's page draws, and some that try to get out of where they are drawn.
import { BASE_URL, apiJson, readState } from "./slipway";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const ORDINARY: Record<string, string | Uint8Array> = {
  "README.md": "# Wine\n\nSee [the rows](data/rows.csv) and [the curve](plots/curve.png).\n\n| metric | value |\n|-|-|\n| f1 | 0.9 |\n\n- [x] done\n\n![curve](plots/curve.png)\n",
  "data/rows.csv": 'name,alcohol\n"Barolo, 2019",13.5\n"Chianti",12.9\n',
  "data/config.json": '{"depth":6,"rate":0.05}',
  "plots/curve.png": Buffer.from(PIXEL, "base64"),
  "shapes.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" fill="teal"/></svg>',
  "report.html": "<!doctype html><html lang=en><title>Report</title><h1>Report</h1><p>Nothing wrong.",
  "work.ipynb": JSON.stringify({
    cells: [
      { cell_type: "markdown", source: "## A look at it" },
      { cell_type: "code", execution_count: 1, source: "plot()", outputs: [{ output_type: "display_data", data: { "image/png": PIXEL } }] },
    ],
  }),
  "train.log": "epoch 1\nepoch 2\n",
  "weights.bin": new Uint8Array([0, 1, 2, 3]),
};

interface Made {
  run: { info: { run_id: string; artifact_uri: string } };
}

async function send(run: Made, method: string, path: string, body?: string | Uint8Array): Promise<void> {
  const address = `${BASE_URL}/api/2.0/mlflow-artifacts/artifacts/${run.run.info.artifact_uri.replace("mlflow-artifacts:/", "")}/${path}`;
  const headers = { authorization: `Bearer ${readState().tokens.contributor}` };
  const answer = await fetch(address, { method, headers, body: body as BodyInit | undefined });
  if (!answer.ok) throw new Error(`${method} ${address} answered ${answer.status}: ${await answer.text()}`);
}

/** Makes a run with these files, and gives its id. */
export async function runWith(name: string, files: Record<string, string | Uint8Array>, experiment = "0"): Promise<string> {
  const path = "/api/2.0/mlflow/runs/create";
  const made = await apiJson<Made>("contributor", "POST", path, { experiment_id: experiment, run_name: name, start_time: Date.now() });
  for (const [path, body] of Object.entries(files)) await send(made, "PUT", path, body);
  await apiJson("contributor", "POST", "/api/2.0/mlflow/runs/update", { run_id: made.run.info.run_id, status: "FINISHED", end_time: Date.now() });
  return made.run.info.run_id;
}

/** Deletes these files of a run. */
export async function withoutFiles(runId: string, paths: string[]): Promise<void> {
  const made = await apiJson<Made>("contributor", "GET", `/api/2.0/mlflow/runs/get?run_id=${runId}`);
  for (const path of paths) await send(made, "DELETE", path);
}

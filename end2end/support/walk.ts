// What both walks send from outside the browser: traffic, and the pipeline that trains again.
import { join } from "node:path";
import { PYTHON, apiJson } from "./slipway";

export interface Listed<T> {
  items: T[];
}

const ROW = [13.2, 1.78, 2.14, 11.2, 100, 2.65, 2.76, 0.26, 1.28, 4.38, 1.05, 3.4, 1050];

/** Wines around an ordinary one. With a factor other than 1 they are not as those of the training. */
export function wines(count: number, factor: number) {
  const data = Array.from({ length: count }, (_, row) => ROW.map((value, at) => factor * value * (1 + 0.15 * Math.sin(row * 7.3 + at))));
  return { inputs: [{ name: "X", shape: [count, ROW.length], datatype: "FP32", data }] };
}

/** Sends four batches of wines that are half as much again of everything. */
export async function sendShifted(model: string): Promise<void> {
  for (let sent = 0; sent < 4; sent += 1) await apiJson("operator", "POST", `/v2/models/${model}/infer`, wines(50, 1.5));
}

/** Registers what the setup's run logged as another model too, as MLflow's client would. */
export async function registerAs(name: string): Promise<void> {
  const mlflow = <T>(method: string, path: string, body?: unknown) => apiJson<T>("contributor", method, `/api/2.0/mlflow/${path}`, body);
  const logged = await mlflow<{ model_version: { source: string; run_id: string; model_id?: string } }>("GET", "model-versions/get?name=wine-cultivar&version=1");
  const { source, run_id, model_id } = logged.model_version;
  await mlflow("POST", "registered-models/create", { name });
  await mlflow("POST", "model-versions/create", { name, source, run_id, model_id });
}

/** A pipeline file that trains the model again, on shifted wines too, and asks for production. */
export function retraining(name: string, model: string): string {
  const script = join(import.meta.dirname, "train.py");
  return [
    `name: ${name}`,
    "steps:",
    "  train:",
    `    command: [${PYTHON}, ${script}, --model, ${model}, --shifted, --promote, production]`,
    "    timeout: 5m",
    "    env:",
    "      GIT_PYTHON_REFRESH: quiet",
  ].join("\n");
}

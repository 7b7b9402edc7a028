//! Requests for predictions, by the Open Inference Protocol, and answers held against the training's own.

use super::{
    client::{Client, Refusal},
    station::Failure,
    training::TOLERANCE,
    walk::MODEL,
};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

/// Requests on their way at once.
const AT_ONCE: usize = 4;

/// Rows with the answers of the model that trained on their like: `traffic/*.json` among the artifacts of its run.
#[derive(Deserialize)]
pub(super) struct Rows {
    dataframe_split: Split,
    outputs: Outputs,
}

#[derive(Deserialize)]
struct Split {
    data: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Outputs {
    label: Vec<i64>,
    probability: Vec<f64>,
}

/// What the endpoint answers to one row.
#[derive(Deserialize)]
pub(super) struct Answer {
    model_version: Option<String>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    data: Vec<f64>,
}

/// MLflow's answer about a run.
#[derive(Deserialize)]
struct RunAnswer {
    run: Run,
}

#[derive(Deserialize)]
struct Run {
    info: RunInfo,
}

#[derive(Deserialize)]
struct RunInfo {
    artifact_uri: String,
}

impl Answer {
    /// The version that answered.
    pub(super) fn version(&self) -> Option<i32> {
        self.model_version.as_deref()?.parse().ok()
    }

    fn value(&self, output: &str) -> Option<f64> {
        self.outputs.iter().find(|found| found.name == output)?.data.first().copied()
    }
}

impl Rows {
    /// Those that this run logged.
    pub(super) async fn fetch(client: &Client, run_id: &str, part: &str) -> Result<Self, Failure> {
        let expected = format!("the artifact traffic/{part}.json of run {run_id}");
        let refused = |refusal: Refusal| refusal.instead_of(&expected);
        let path = format!("/api/2.0/mlflow/runs/get?run_id={run_id}");
        let RunAnswer { run } = client.get(&path).await.map_err(refused)?;
        let uri = run.info.artifact_uri;
        let Some(folder) = uri.strip_prefix("mlflow-artifacts:/") else {
            return Err(Failure::new(expected, format!("artifacts that are not the server's: {uri}")));
        };
        let folder = folder.trim_start_matches('/');
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/{folder}/traffic/{part}.json");
        let rows: Self = client.get(&path).await.map_err(refused)?;
        let count = rows.len();
        if count == 0 || rows.outputs.label.len() != count || rows.outputs.probability.len() != count {
            return Err(Failure::new(expected, "rows and answers of different numbers"));
        }
        Ok(rows)
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.dataframe_split.data.len()
    }

    /// Asks production about one row.
    pub(super) async fn ask(&self, client: &Client, row: usize) -> Result<Answer, Refusal> {
        let data = self.dataframe_split.data.get(row).map(Vec::as_slice).unwrap_or_default();
        let input = json!({ "name": "measurements", "shape": [1, data.len()], "datatype": "FP32", "data": data });
        client.post(&format!("/v2/models/{MODEL}/infer"), json!({ "inputs": [input] })).await
    }

    /// Asks production about every row, and holds each answer against the training's. Tells after each how many it was.
    pub(super) async fn ask_all(&self, client: &Client, asked: impl Fn(usize)) -> Result<(), Failure> {
        let expected = "the training's own answer to every row";
        let mut answers =
            stream::iter(0..self.len()).map(|row| async move { (row, self.ask(client, row).await) }).buffered(AT_ONCE);
        while let Some((row, answer)) = answers.next().await {
            let answer = answer.map_err(|refusal| refusal.instead_of(expected))?;
            self.difference(row, &answer).map_err(|difference| Failure::new(expected, difference))?;
            asked(row + 1);
        }
        Ok(())
    }

    /// Says how an answer differs from the training's, if it does.
    pub(super) fn difference(&self, row: usize, answer: &Answer) -> Result<(), String> {
        let recorded = (self.outputs.label.get(row), self.outputs.probability.get(row));
        let (Some(label), Some(probability)) = recorded else {
            return Err(format!("no answer is known for row {row}"));
        };
        match (answer.value("label"), answer.value("probability")) {
            #[allow(clippy::cast_precision_loss, clippy::float_cmp, reason = "labels are 0 and 1")]
            (Some(found), Some(close)) if found == *label as f64 && (close - probability).abs() <= TOLERANCE => Ok(()),
            (found, close) => Err(format!(
                "row {row} is {label} with {probability:.6} in training, and {} with {} here",
                shown(found),
                shown(close)
            )),
        }
    }
}

fn shown(value: Option<f64>) -> Value {
    value.map_or_else(|| "nothing".into(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let text = r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]},
            "outputs": {"label": [1], "probability": [0.75]}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn answer(label: i64, probability: f64) -> Answer {
        let outputs = json!([
            {"name": "label", "shape": [1], "datatype": "INT64", "data": [label]},
            {"name": "probability", "shape": [1, 1], "datatype": "FP32", "data": [probability]},
        ]);
        serde_json::from_value(json!({"model_name": MODEL, "model_version": "3", "outputs": outputs})).unwrap()
    }

    #[test]
    fn an_answer_within_the_tolerance_is_the_trainings_own() {
        assert_eq!(rows().difference(0, &answer(1, 0.750_05)), Ok(()));
        assert_eq!(answer(1, 0.0).version(), Some(3));
    }

    #[test]
    fn another_answer_is_told_beside_the_trainings() {
        let difference = rows().difference(0, &answer(0, 0.25)).unwrap_err();
        assert_eq!(difference, "row 0 is 1 with 0.750000 in training, and 0.0 with 0.25 here");
        assert!(rows().difference(0, &answer(1, 0.7502)).is_err());
        assert!(rows().difference(1, &answer(1, 0.75)).is_err());
    }
}

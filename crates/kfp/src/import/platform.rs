//! The second document of a file: what is of a platform.

use super::{Import, show};
use domain::document::Document;
use serde_json::Value;

impl Import<'_> {
    /// Reads it: how long a container may take is kept, what only changes how it is fetched or labelled is told, and all
    /// else is refused.
    pub(super) fn platform(&mut self, document: &Document) {
        let fields = match document.value() {
            Value::Null => return,
            Value::Object(fields) => fields,
            _ => return self.problems.push(document.problem(&[], "The second document is no mapping.")),
        };
        for key in fields.keys().filter(|key| *key != "platforms") {
            self.problems.push(
                document.problem(&[key], format!("\"{}\" is not known in the document of a platform.", show(key))),
            );
        }
        let platforms = fields.get("platforms").and_then(Value::as_object).into_iter().flatten();
        for (platform, spec) in platforms {
            for (key, value) in spec.as_object().into_iter().flatten() {
                let path = ["platforms", platform.as_str(), key.as_str()];
                match key.as_str() {
                    "platform" => {}
                    "pipelineConfig" => self.of_pipeline(document, &path, value),
                    "deploymentSpec" => {
                        let executors = value.get("executors").and_then(Value::as_object).into_iter().flatten();
                        for (executor, settings) in executors {
                            self.of_executor(document, &path, executor, settings);
                        }
                    }
                    _ => {
                        let message = format!(
                            "The setting \"{}\" of the platform \"{}\" is not supported here.",
                            show(key),
                            show(platform)
                        );
                        self.problems.push(document.problem(&path, message));
                    }
                }
            }
        }
    }

    fn of_pipeline(&mut self, document: &Document, path: &[&str], value: &Value) {
        for key in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if key.starts_with("resourceTtl") {
                self.note(format!("How long the cluster keeps what ran ({}) is Slipway's own setting.", show(key)));
            } else {
                let message = format!("The setting \"{}\" of the whole pipeline is not supported here.", show(key));
                self.problems.push(document.problem(path, message));
            }
        }
    }

    fn of_executor(&mut self, document: &Document, path: &[&str], executor: &str, settings: &Value) {
        let path: Vec<&str> = path.iter().copied().chain(["executors", executor]).collect();
        for (key, value) in settings.as_object().into_iter().flatten() {
            let seconds = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // what is too much is refused later
            let seconds = seconds.map(|seconds: f64| seconds as u64);
            match (key.as_str(), seconds) {
                ("activeDeadlineSeconds", Some(seconds)) if seconds > 0 => {
                    self.timeouts.insert(executor.to_owned(), seconds);
                }
                ("imagePullPolicy", _) => {
                    self.note(format!(
                        "The pull policy of {} is left out: an image is fetched when it is not there.",
                        show(executor)
                    ));
                }
                ("podMetadata", _) => {
                    self.note(format!("Labels and annotations of the pod of {} are left out.", show(executor)))
                }
                _ => {
                    let message = format!(
                        "The executor \"{}\" asks its platform for \"{}\", which is not supported here.",
                        show(executor),
                        show(key)
                    );
                    self.problems.push(document.problem(&path, message));
                }
            }
        }
    }
}

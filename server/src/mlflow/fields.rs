//! Reading requests as MLflow's clients send them: the query of a GET, JSON otherwise.
//!
//! A field may be spelt `run_id` or, in JSON, `runId`, unless it must be there: then MLflow knows the first alone. Both at
//! once are refused, so that nobody checks one and acts on the other. Whole numbers may come as numbers or as texts. What
//! nobody asks for is ignored.

use super::MlflowError;
use crate::extract::content_length;
use axum::{
    extract::{FromRequest, Query, Request},
    http::{Method, header},
};
use domain::{
    Error, ErrorKind,
    experiment::ViewType,
    id::{ExperimentId, LoggedModelId, RunId},
    logged_model::LoggedModelStatus,
    run::RunStatus,
    values::MetricValue,
    webhook::WebhookStatus,
};
use futures::StreamExt as _;
use serde_json::{Map, Value};

/// The most bytes of a JSON body: a data set's profile alone may have 16 MiB.
const BODY_LIMIT: usize = 32 << 20;

/// The fields of a request, or of an object in one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    /// In a query there is one spelling.
    is_query: bool,
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = MlflowError;

    async fn from_request(request: Request, _: &S) -> Result<Self, MlflowError> {
        let has_query = request.uri().query().is_some_and(|query| !query.is_empty());
        // The clients send a body with DELETE; for people's own scripts a query will do as well.
        let is_query = has_query && matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE);
        let method = request.method().clone();
        let query = is_query.then(|| Query::<Vec<(String, String)>>::try_from_uri(request.uri()));
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = if matches!(method, Method::GET | Method::HEAD) && is_query {
            Vec::new()
        } else {
            read_body(request).await?
        };
        if body.is_empty()
            && let Some(query) = query
        {
            let Query(pairs) = query.map_err(|_| Error::invalid("The query is not well-formed."))?;
            return Ok(Self::of_query(pairs));
        }
        if matches!(method, Method::POST | Method::PUT) && !body.is_empty() {
            check_content_type(content_type.as_ref().and_then(|value| value.to_str().ok()))?;
        }
        Ok(Self { map: parse(&body)?, is_query: false })
    }
}

async fn read_body(request: Request) -> Result<Vec<u8>, Error> {
    if content_length(request.headers()).is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Error::invalid("The body could not be read to its end."))?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large() -> Error {
    let message =
        format!("The body is larger than {} MiB; split what is logged across several requests.", BODY_LIMIT >> 20);
    Error::new(ErrorKind::TooLarge, message)
}

fn check_content_type(value: Option<&str>) -> Result<(), Error> {
    match value {
        None => Err(Error::invalid("Bad Request. Content-Type header is missing.")),
        Some(value)
            if value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) =>
        {
            Ok(())
        }
        Some(_) => Err(Error::invalid("Bad Request. Content-Type must be one of ['application/json'].")),
    }
}

/// The object in a body; nothing in an empty one.
fn parse(body: &[u8]) -> Result<Map<String, Value>, Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let not_json = |error: serde_json::Error| Error::invalid(format!("The body is not well-formed JSON: {error}."));
    let mut value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        // Some encoders write NaN and Infinity as bare words.
        Err(error) => match quote_numbers(body) {
            Some(quoted) => serde_json::from_slice(&quoted).map_err(|_| not_json(error))?,
            None => return Err(not_json(error)),
        },
    };
    // Old clients send the object as a text.
    if let Value::String(text) = &value {
        value = serde_json::from_str(text).map_err(not_json)?;
    }
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(Error::invalid("The body must be a JSON object.")),
    }
}

/// The JSON with `NaN` and `Infinity` outside of texts in quotes; none when there are none.
fn quote_numbers(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() + 16);
    let (mut in_text, mut escaped, mut changed) = (false, false, false);
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let word = [b"NaN".as_slice(), b"-Infinity", b"Infinity"].into_iter().find(|word| rest.starts_with(word));
        if let Some(word) = word.filter(|_| !in_text) {
            out.push(b'"');
            out.extend_from_slice(word);
            out.push(b'"');
            at += word.len();
            changed = true;
            continue;
        }
        let byte = body[at];
        if byte == b'"' && !escaped {
            in_text = !in_text;
        }
        escaped = in_text && byte == b'\\' && !escaped;
        out.push(byte);
        at += 1;
    }
    changed.then_some(out)
}

/// `run_id` as `runId`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut out, part| {
        let mut chars = part.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(chars.as_str());
        out
    })
}

const API_DOCS: &str = "See the API docs for more information about request parameters.";

/// The sort of a value, as MLflow names it.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn wrong_type(name: &str, value: &Value) -> Error {
    let shown: String = value.to_string().chars().take(300).collect();
    Error::invalid_field(
        name,
        format!(
            "Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{}'. {API_DOCS}",
            type_name(value)
        ),
    )
}

/// The refusal of a request without a field that must be there.
pub(crate) fn missing(name: &str) -> Error {
    Error::invalid_field(name, format!("Missing value for required parameter '{name}'. {API_DOCS}"))
}

impl Fields {
    fn of_query(pairs: Vec<(String, String)>) -> Self {
        let mut map: Map<String, Value> = Map::new();
        for (key, value) in pairs {
            match map.get_mut(&key) {
                None => _ = map.insert(key, Value::String(value)),
                Some(Value::Array(values)) => values.push(Value::String(value)),
                Some(single) => {
                    let first = single.take();
                    *single = Value::Array(vec![first, Value::String(value)]);
                }
            }
        }
        Self { map, is_query: true }
    }

    /// A field's value, in either spelling; none when it is missing or null.
    fn value(&self, name: &str) -> Result<Option<&Value>, Error> {
        let snake = self.map.get(name);
        let camel = camel(name);
        let other = if camel == name || self.is_query { None } else { self.map.get(&camel) };
        if snake.is_some() && other.is_some() {
            return Err(Error::invalid_field(
                name,
                format!("Request specifies both '{name}' and '{camel}'; provide only one of them."),
            ));
        }
        Ok(snake.or(other).filter(|value| !value.is_null()))
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Array(_)) if self.is_query => {
                Err(Error::invalid_field(name, format!("The parameter '{name}' stands in the query more than once.")))
            }
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// A text, or nothing.
    pub(crate) fn text_or_empty(&self, name: &str) -> Result<&str, Error> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// Refuses a field that is not there under its own name.
    pub(crate) fn require(&self, name: &str) -> Result<(), Error> {
        match self.map.get(name) {
            None | Some(Value::Null) => Err(missing(name)),
            Some(Value::String(text)) if text.is_empty() => Err(missing(name)),
            Some(_) => Ok(()),
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Error> {
        // Both spellings at once are told first.
        let text = self.text(name)?;
        self.require(name)?;
        text.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// A whole number that must be there; `path` is where it stands in the request.
    pub(crate) fn required_integer(&self, name: &str, path: &str) -> Result<i64, Error> {
        let number = self.integer(name)?;
        self.require(name).map_err(|_| missing(path))?;
        number.ok_or_else(|| missing(path))
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
            _ => None,
        };
        number.map(Some).ok_or_else(|| wrong_type(name, value))
    }

    /// A truth value.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(Value::String(text)) if self.is_query => {
                let message = format!("Invalid boolean value: {}, must be 'true' or 'false'.", shown(text));
                Err(Error::invalid_field(name, message))
            }
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// A metric's value, which must be there.
    pub(crate) fn metric_value(&self, name: &str, path: &str) -> Result<MetricValue, Error> {
        let value = self.value(name)?.filter(|_| self.require(name).is_ok()).ok_or_else(|| missing(path))?;
        MetricValue::from_json(value, path)
    }

    fn list(&self, name: &str) -> Result<&[Value], Error> {
        match self.value(name)? {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            // Once in a query.
            Some(single @ Value::String(_)) if self.is_query => Ok(std::slice::from_ref(single)),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// Texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        let values = self.list(name)?;
        values
            .iter()
            .map(|value| value.as_str().map(ToOwned::to_owned).ok_or_else(|| wrong_type(name, value)))
            .collect()
    }

    /// Objects.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Self>, Error> {
        let object = |(index, value): (usize, &Value)| match value {
            Value::Object(map) => Ok(Self { map: map.clone(), is_query: false }),
            other => Err(wrong_type(&format!("{name}[{index}]"), other)),
        };
        self.list(name)?.iter().enumerate().map(object).collect()
    }

    /// An object in this one.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, Error> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self { map: map.clone(), is_query: false })),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// Pairs of `key` and `value`: tags, params.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Error> {
        let pair = |pair: Self| Ok((pair.text_or_empty("key")?.to_owned(), pair.text_or_empty("value")?.to_owned()));
        self.objects(name)?.into_iter().map(pair).collect()
    }

    /// The run, by `run_id` or its old name `run_uuid`.
    pub(crate) fn run_id(&self) -> Result<RunId, Error> {
        let text = |name: &str| -> Result<Option<&str>, Error> {
            let text = self.text(name)?.filter(|id| !id.is_empty());
            Ok(text.filter(|_| self.require(name).is_ok()))
        };
        let id = match (text("run_id")?, text("run_uuid")?) {
            (Some(one), Some(other)) if one != other => {
                let message = "Request specifies 'run_id' and 'run_uuid' with different values; provide only run_id.";
                return Err(Error::invalid_field("run_id", message));
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => return Err(missing("run_id")),
        };
        run_id(id)
    }

    /// The run, by `run_id`: of operations that are younger than the old name, which then names no run.
    pub(crate) fn only_run_id(&self) -> Result<RunId, Error> {
        let run = self.run_id()?;
        if self.text("run_id")?.is_none_or(str::is_empty) { Err(services::no_run("")) } else { Ok(run) }
    }

    /// The run of a request that logs many things at once, whose id must be well-formed before it is looked up.
    pub(crate) fn well_formed_run_id(&self) -> Result<RunId, Error> {
        if self.text("run_uuid")?.is_none_or(str::is_empty) {
            self.required("run_id")?;
        }
        let id = self.text_or_empty("run_id")?;
        let mut chars = id.chars();
        let is_well_formed = chars.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            && id.chars().count() <= 256;
        if !is_well_formed {
            let shown = Value::from(shown(id));
            return Err(Error::invalid_field(
                "run_id",
                format!("Invalid value {shown} for parameter 'run_id' supplied."),
            ));
        }
        run_id(id)
    }

    /// The name of a registered model, which must be there.
    pub(crate) fn model_name(&self) -> Result<&str, Error> {
        let name = self.required("name")?;
        if name.contains(['/', ':']) {
            let message = format!("Invalid model name '{}'. Names cannot contain '/' or ':'.", shown(name));
            return Err(Error::invalid_field("name", message));
        }
        Ok(name)
    }

    /// A run in a field that may be missing or empty.
    pub(crate) fn optional_run(&self, name: &str) -> Result<Option<RunId>, Error> {
        self.text(name)?.filter(|id| !id.is_empty()).map(run_id).transpose()
    }

    /// A logged model in a field that may be missing or empty.
    pub(crate) fn optional_logged_model(&self, name: &str) -> Result<Option<LoggedModelId>, Error> {
        self.text(name)?.filter(|id| !id.is_empty()).map(logged_model_id).transpose()
    }

    /// An experiment in a field that may be missing or empty.
    pub(crate) fn optional_experiment(&self, name: &str) -> Result<Option<ExperimentId>, Error> {
        self.text(name)?.filter(|id| !id.is_empty()).map(experiment_id).transpose()
    }

    /// The experiment, which must be there.
    pub(crate) fn experiment_id(&self) -> Result<ExperimentId, Error> {
        experiment_id(self.required("experiment_id")?)
    }

    /// Experiments.
    pub(crate) fn experiment_ids(&self) -> Result<Vec<ExperimentId>, Error> {
        let id = |id: &String| match experiment_id(id) {
            // No experiment has this number, and so a search finds nothing there.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(ExperimentId(-1)),
            id => id,
        };
        self.texts("experiment_ids")?.iter().map(id).collect()
    }

    /// The number of a version, which must be there.
    pub(crate) fn version(&self) -> Result<i32, Error> {
        let text = self.required("version")?;
        text.parse().ok().ok_or_else(|| {
            Error::invalid_field("version", format!("Model version must be an integer, got '{}'", shown(text)))
        })
    }

    /// What stages of life are wanted, by name or number; names that nobody knows say nothing.
    pub(crate) fn view(&self, name: &str) -> Result<ViewType, Error> {
        let view = self.name_or_number(name, &["", "ACTIVE_ONLY", "DELETED_ONLY", "ALL"])?;
        Ok(match view.as_str() {
            "DELETED_ONLY" => ViewType::DeletedOnly,
            "ALL" => ViewType::All,
            _ => ViewType::ActiveOnly,
        })
    }

    /// How a run stands, by name or number; names that nobody knows say nothing, and numbers are refused.
    pub(crate) fn run_status(&self) -> Result<Option<RunStatus>, Error> {
        let [running, scheduled, finished, failed, killed] = RunStatus::ALL.map(RunStatus::as_str);
        let status = self.name_or_number("status", &["", running, scheduled, finished, failed, killed])?;
        let is_number = status.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        match self.value("status")? {
            Some(value) if is_number => Err(wrong_type("status", value)),
            _ => Ok(RunStatus::parse(&status)),
        }
    }

    /// Whether a webhook is told anything, by name or number; names that nobody knows say nothing.
    pub(crate) fn webhook_status(&self) -> Result<Option<WebhookStatus>, Error> {
        let name = self.name_or_number("status", &["", "ACTIVE", "DISABLED"])?;
        Ok(WebhookStatus::parse(&name))
    }

    /// The name of a choice, which may be given as its number, where an empty name stands for a number that is none's; a
    /// number without a name is as it was given. Empty when it is missing.
    pub(crate) fn name_or_number(&self, name: &str, names: &[&str]) -> Result<String, Error> {
        let by_number = |number: &str| {
            let known = names.get(number.parse::<usize>().ok()?).filter(|known| !known.is_empty());
            known.map(|known| (*known).to_owned())
        };
        Ok(match self.value(name)? {
            None => String::new(),
            Some(Value::String(text)) => by_number(text).unwrap_or_else(|| text.clone()),
            Some(Value::Number(number)) => {
                let number = number.to_string();
                by_number(&number).unwrap_or(number)
            }
            Some(other) => return Err(wrong_type(name, other)),
        })
    }

    /// How far a logged model is, by name or number.
    pub(crate) fn logged_model_status(&self) -> Result<LoggedModelStatus, Error> {
        let value = self.value("status")?.ok_or_else(|| missing("status"))?;
        let names = ["", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"];
        match self.name_or_number("status", &names)?.as_str() {
            "LOGGED_MODEL_PENDING" => Ok(LoggedModelStatus::Pending),
            "LOGGED_MODEL_READY" => Ok(LoggedModelStatus::Ready),
            "LOGGED_MODEL_UPLOAD_FAILED" => Ok(LoggedModelStatus::UploadFailed),
            _ => Err(wrong_type("status", value)),
        }
    }

    /// How many results are wanted: `default` when nothing is said, at most `max`.
    pub(crate) fn max_results(&self, default: usize, max: usize) -> Result<usize, Error> {
        let Some(given) = self.integer("max_results")? else { return Ok(default) };
        let wrong = |rule: &str| {
            Error::invalid_field(
                "max_results",
                format!("Invalid value {given} for parameter 'max_results' supplied: It must be {rule}."),
            )
        };
        match usize::try_from(given) {
            Ok(0) | Err(_) => Err(wrong("a positive integer")),
            Ok(given) if given > max => Err(wrong(&format!("at most {max}"))),
            Ok(given) => Ok(given),
        }
    }

    /// The token of a page that is not the first.
    pub(crate) fn page_token(&self) -> Result<Option<&str>, Error> {
        Ok(self.text("page_token")?.filter(|token| !token.is_empty()))
    }
}

/// A whole number that is written as one with a fraction: `7.0`.
fn whole(number: f64) -> Option<i64> {
    // Beyond 2^53 it has lost digits already.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// Reads a run's id; one that has another form is no run's.
pub(crate) fn run_id(text: &str) -> Result<RunId, Error> {
    text.parse().ok().filter(|id: &RunId| id.simple() == text).ok_or_else(|| services::no_run(&shown(text)))
}

/// Reads a logged model's id; one that has another form is no model's.
pub(crate) fn logged_model_id(text: &str) -> Result<LoggedModelId, Error> {
    LoggedModelId::from_wire(text)
        .ok()
        .filter(|id| id.wire() == text)
        .ok_or_else(|| services::no_logged_model(&shown(text)))
}

fn experiment_id(text: &str) -> Result<ExperimentId, Error> {
    text.parse().map_err(|_| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Error::new(ErrorKind::NotFound, format!("No Experiment with id={} exists", shown(text)));
        }
        let message = format!("Invalid experiment ID '{}'. Experiment ID must be a valid integer.", shown(text));
        Error::invalid_field("experiment_id", message)
    })
}

/// Of a word that somebody sent, what a message repeats: not endless, and on one line.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: Value) -> Fields {
        Fields { map: parse(value.to_string().as_bytes()).unwrap(), is_query: false }
    }

    #[test]
    fn a_field_is_read_in_either_spelling_and_not_in_both() {
        assert_eq!(body(json!({ "run_name": "a" })).text("run_name"), Ok(Some("a")));
        assert_eq!(body(json!({ "runName": "a" })).text("run_name"), Ok(Some("a")));
        let error = body(json!({ "run_name": "a", "runName": "a" })).text("run_name").unwrap_err();
        assert_eq!(error.message, "Request specifies both 'run_name' and 'runName'; provide only one of them.");
        let nested = body(json!({ "models": [{ "model_id": "a", "modelId": "b" }] })).objects("models").unwrap();
        assert!(nested[0].text("model_id").is_err());
    }

    #[test]
    fn what_must_be_there_has_one_spelling() {
        let camel = body(json!({ "experimentId": "1", "runId": RunId::new().simple() }));
        assert_eq!(camel.required("experiment_id").unwrap_err(), missing("experiment_id"));
        assert_eq!(camel.run_id().unwrap_err(), missing("run_id"));
    }

    #[test]
    fn an_experiments_number_that_cannot_be_is_one_that_is_not_there() {
        for number in ["-1", "99999999999999999999999"] {
            let error = body(json!({ "experiment_id": number })).experiment_id().unwrap_err();
            assert_eq!(
                (error.kind, error.message),
                (ErrorKind::NotFound, format!("No Experiment with id={number} exists"))
            );
            assert_eq!(body(json!({ "experiment_ids": [number] })).experiment_ids(), Ok(vec![ExperimentId(-1)]));
        }
        for text in ["1.5", "x", "-", "1 "] {
            assert_eq!(body(json!({ "experiment_id": text })).experiment_id().unwrap_err().kind, ErrorKind::Invalid);
        }
    }

    #[test]
    fn a_query_has_one_spelling_and_each_scalar_once() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let query = Fields::of_query(vec![pair("runId", "a"), pair("name", "x"), pair("name", "y"), pair("id", "1")]);
        assert_eq!(query.text("run_id"), Ok(None));
        assert!(query.text("name").is_err());
        assert_eq!(query.texts("name"), Ok(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(query.texts("id"), Ok(vec!["1".to_owned()]));
    }

    #[test]
    fn whole_numbers_come_as_numbers_and_texts() {
        for value in [json!(7), json!("7"), json!(7.0), json!("7.0")] {
            assert_eq!(body(json!({ "step": value })).integer("step"), Ok(Some(7)), "{value}");
        }
        assert_eq!(body(json!({ "step": i64::MIN })).integer("step"), Ok(Some(i64::MIN)));
        for value in [json!("x"), json!(true), json!([7]), json!(1e30), json!(u64::MAX), json!(7.9), json!("7.9")] {
            assert!(body(json!({ "step": value })).integer("step").is_err(), "{value}");
        }
    }

    #[test]
    fn a_wrong_type_and_a_missing_value_are_told_in_mlflows_words() {
        assert_eq!(
            body(json!({ "name": 1 })).required("name").unwrap_err().message,
            "Invalid value 1 for parameter 'name' supplied:  Hint: Value was of type 'int'. See the API docs for more \
             information about request parameters."
        );
        for value in [json!({}), json!({ "name": "" }), json!({ "name": null })] {
            assert_eq!(
                body(value).required("name").unwrap_err().message,
                "Missing value for required parameter 'name'. See the API docs for more information about request parameters."
            );
        }
    }

    #[test]
    fn names_of_a_choice_that_nobody_knows_say_nothing() {
        assert_eq!(body(json!({ "status": "NOPE" })).run_status(), Ok(None));
        assert_eq!(body(json!({ "status": 3 })).run_status(), Ok(Some(RunStatus::Finished)));
        for number in [json!(0), json!(77), json!("77"), json!(-1), json!(1.5)] {
            assert!(body(json!({ "status": number })).run_status().is_err(), "{number}");
        }
        assert_eq!(body(json!({ "status": "5" })).run_status(), Ok(Some(RunStatus::Killed)));
        for all in [json!("ALL"), json!("3"), json!(3)] {
            assert_eq!(body(json!({ "view": all })).view("view"), Ok(ViewType::All));
        }
        for active in [json!("NOPE"), json!("ACTIVE_ONLY"), json!(0), json!(1), json!(77)] {
            assert_eq!(body(json!({ "view": active })).view("view"), Ok(ViewType::ActiveOnly));
        }
        for failed in [json!("LOGGED_MODEL_UPLOAD_FAILED"), json!("3"), json!(3)] {
            assert_eq!(body(json!({ "status": failed })).logged_model_status(), Ok(LoggedModelStatus::UploadFailed));
        }
        for wrong in [json!("NOPE"), json!(0), json!(4), json!("")] {
            assert!(body(json!({ "status": wrong })).logged_model_status().is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_names_of_a_run_must_agree() {
        let id = RunId::new().simple();
        assert!(body(json!({ "run_id": id, "run_uuid": id })).run_id().is_ok());
        assert!(body(json!({ "run_uuid": id })).run_id().is_ok());
        assert_eq!(body(json!({ "run_uuid": id })).only_run_id().unwrap_err().message, "Run with id= not found");
        for (wrong, kind) in
            [("no run", ErrorKind::Invalid), ("-x", ErrorKind::Invalid), ("nobody", ErrorKind::NotFound)]
        {
            assert_eq!(body(json!({ "run_id": wrong })).well_formed_run_id().unwrap_err().kind, kind, "{wrong}");
        }
        assert_eq!(body(json!({ "run_uuid": id })).well_formed_run_id().unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(body(json!({})).well_formed_run_id().unwrap_err(), missing("run_id"));
        let other = RunId::new().simple();
        assert_eq!(body(json!({ "run_id": id, "run_uuid": other })).run_id().unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(body(json!({ "run_id": id.to_uppercase() })).run_id().unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn bodies_of_old_clients_and_bare_words_are_read() {
        assert_eq!(parse(br#""{\"a\": 1}""#).unwrap()["a"], 1);
        assert_eq!(parse(br#"{"a": NaN, "b": -Infinity, "c": "NaN \" NaN"}"#).unwrap()["c"], "NaN \" NaN");
        assert_eq!(parse(b"").unwrap().len(), 0);
        for wrong in [b"[1]".as_slice(), b"{", b"7", b"\"x\"", b"{\"a\": nope}"] {
            assert_eq!(parse(wrong).unwrap_err().kind, ErrorKind::Invalid);
        }
    }
}

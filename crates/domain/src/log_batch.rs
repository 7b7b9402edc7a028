//! What one request may log to a run: its limits, and what stands in it twice.

use crate::{
    dataset_input,
    error::Error,
    id::LoggedModelId,
    names::{MetricKey, ParamKey, TagKey},
    values::{MetricValue, Millis, ParamValue, TagValue},
    wording::{check_length, check_nul, invalid_json},
};
use std::collections::{BTreeMap, HashSet};

/// The most metrics of a request.
pub const MAX_METRICS: usize = 1000;
/// The most params of a request.
pub const MAX_PARAMS: usize = 100;
/// The most tags of a request.
pub const MAX_TAGS: usize = 100;
/// The most of all of them.
pub const MAX_ENTITIES: usize = 1000;

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// Which metric.
    pub key: MetricKey,
    /// The value.
    pub value: MetricValue,
    /// When it was measured, as the client says.
    pub timestamp: Millis,
    /// Which step of the training; any number.
    pub step: i64,
}

impl MetricPoint {
    /// Reads a point. `path` is where it stands in the request: empty, or `metrics[3]`.
    ///
    /// # Errors
    /// When the key or the time is wrong.
    pub fn parse(key: &str, value: MetricValue, timestamp: i64, step: i64, path: &str) -> Result<Self, Error> {
        let at = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        // MLflow calls it a name only when it is a wrong one.
        let name = MetricKey::parse(key, &at(if key.is_empty() { "key" } else { "name" }))?;
        let hint = || {
            let value = value.to_json();
            format!("metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) ")
        };
        let timestamp = Millis::parse(timestamp, "timestamp")
            .map_err(|_| invalid_json(&at("timestamp"), &timestamp.to_string(), &hint()))?;
        Ok(Self { key: name, value, timestamp, step })
    }
}

/// A point that says something of a logged model, perhaps on a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPoint {
    /// The model.
    pub model_id: LoggedModelId,
    /// The data set's name; empty when none.
    pub dataset_name: String,
    /// The data set's digest; empty when none.
    pub dataset_digest: String,
    /// The point.
    pub point: MetricPoint,
}

/// A metric as it stands in a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawMetric {
    /// Which metric.
    pub key: String,
    /// The value.
    pub value: MetricValue,
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
    /// Which step.
    pub step: i64,
    /// The logged model that it was measured of.
    pub model_id: Option<LoggedModelId>,
    /// The data set that the model was measured on, by name.
    pub dataset_name: String,
    /// That data set's digest.
    pub dataset_digest: String,
}

impl RawMetric {
    /// Reads the point, and the model that it says something of. `path` is where it stands in the request: empty, or
    /// `metrics[3]`.
    ///
    /// # Errors
    /// When the key, the time or the data set is wrong.
    pub fn parse(&self, path: &str) -> Result<(MetricPoint, Option<ModelPoint>), Error> {
        let point = MetricPoint::parse(&self.key, self.value, self.timestamp, self.step, path)?;
        for (field, text, limit) in [
            ("dataset_name", &self.dataset_name, dataset_input::MAX_NAME),
            ("dataset_digest", &self.dataset_digest, dataset_input::MAX_DIGEST),
        ] {
            check_nul(text, field)?;
            check_length(text, limit, field, field)?;
        }
        let of_model = self.model_id.map(|model_id| ModelPoint {
            model_id,
            dataset_name: self.dataset_name.clone(),
            dataset_digest: self.dataset_digest.clone(),
            point: point.clone(),
        });
        Ok((point, of_model))
    }
}

/// A request's params, metrics and tags, within the limits and each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogBatch {
    /// Points, in the order of the request; exact repetitions are left out.
    pub metrics: Vec<MetricPoint>,
    /// Those of them that say something of a logged model.
    pub model_metrics: Vec<ModelPoint>,
    /// Params by key.
    pub params: BTreeMap<ParamKey, ParamValue>,
    /// Tags by key; the last value of a key that stands there twice.
    pub tags: BTreeMap<TagKey, TagValue>,
    /// Which values were cut, by where they stand in the request: `params[0].value`.
    pub truncated: Vec<String>,
}

impl LogBatch {
    /// Reads a request. Params and tags are pairs of key and value.
    ///
    /// # Errors
    /// When there are too many of something, a param stands there twice, or one of them is wrong.
    pub fn parse(metrics: &[RawMetric], params: &[(String, String)], tags: &[(String, String)]) -> Result<Self, Error> {
        check_counts(metrics.len(), params.len(), tags.len())?;
        let mut batch = Self::default();

        let mut seen = HashSet::new();
        for (index, metric) in metrics.iter().enumerate() {
            let (point, of_model) = metric.parse(&format!("metrics[{index}]"))?;
            if seen.insert((&metric.key, metric.timestamp, metric.step, metric.value.get().to_bits())) {
                batch.metrics.push(point);
            }
            batch.model_metrics.extend(of_model);
        }

        let mut repeated = Vec::new();
        for (index, (key, value)) in params.iter().enumerate() {
            let path = format!("params[{index}].value");
            let key = ParamKey::parse(key, &format!("params[{index}].key"))?;
            let value = ParamValue::parse(value, &path)?;
            if value.was_truncated() {
                batch.truncated.push(path);
            }
            if batch.params.contains_key(&key) {
                repeated.push(format!("'{key}'"));
            }
            batch.params.insert(key, value);
        }
        if !repeated.is_empty() {
            return Err(Error::invalid_field(
                "params",
                format!(
                    "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one \
                     param value per param key.",
                    repeated.join(", ")
                ),
            ));
        }

        batch.read_tags(tags)?;
        Ok(batch)
    }

    /// Reads the tags that a run begins with: as many as there are.
    ///
    /// # Errors
    /// When one of them is wrong.
    pub fn of_new_run(tags: &[(String, String)]) -> Result<Self, Error> {
        let mut batch = Self::default();
        batch.read_tags(tags)?;
        Ok(batch)
    }

    fn read_tags(&mut self, tags: &[(String, String)]) -> Result<(), Error> {
        for (index, (key, value)) in tags.iter().enumerate() {
            let path = format!("tags[{index}].value");
            let key = TagKey::parse(key, &format!("tags[{index}].key"))?;
            let value = TagValue::for_run(value, &path)?;
            if value.was_truncated() {
                self.truncated.push(path);
            }
            self.tags.insert(key, value);
        }
        Ok(())
    }

    /// Whether there is nothing to log.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.params.is_empty() && self.tags.is_empty()
    }
}

/// Checks how many metrics, params and tags one request logs.
///
/// # Errors
/// When it is too many of one of them, or of all together.
pub fn check_counts(metrics: usize, params: usize, tags: usize) -> Result<(), Error> {
    for (count, limit, what) in [
        (metrics, MAX_METRICS, "metrics"),
        (params, MAX_PARAMS, "params"),
        (tags, MAX_TAGS, "tags"),
        (metrics.saturating_add(params).saturating_add(tags), MAX_ENTITIES, "metrics, params, and tags"),
    ] {
        if count > limit {
            return Err(Error::invalid_field(
                what,
                format!(
                    "A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up \
                     {what} across multiple requests and try again."
                ),
            ));
        }
    }
    Ok(())
}

/// The refusal of a param that was logged before with another value.
#[must_use]
pub fn param_changed(key: &str, run_id: &str, old: &str, new: &str) -> Error {
    Error::invalid_field(
        "value",
        format!(
            "Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' for \
             run ID='{run_id}'. Attempted logging new value '{new}'."
        ),
    )
}

/// The refusal of params of one request that were logged before with other values: key, old value, new value.
#[must_use]
pub fn params_changed(run_id: &str, changes: &[(String, String, String)]) -> Error {
    let changes: Vec<String> = changes
        .iter()
        .map(|(key, old, new)| format!("{{'key': '{key}', 'old_value': '{old}', 'new_value': '{new}'}}"))
        .collect();
    let changes = changes.join(", ");
    Error::invalid_field(
        "params",
        format!(
            "Changing param values is not allowed. Params were already logged='[{changes}]' for run ID='{run_id}'."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(key: &str, value: f64, timestamp: i64, step: i64) -> RawMetric {
        RawMetric { key: key.to_owned(), value: MetricValue::new(value), timestamp, step, ..RawMetric::default() }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn numbered(count: usize) -> Vec<(String, String)> {
        (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect()
    }

    #[test]
    fn an_empty_request_logs_nothing() {
        assert!(LogBatch::parse(&[], &[], &[]).unwrap().is_empty());
    }

    #[test]
    fn a_repeated_point_is_one_and_a_repeated_tag_is_its_last() {
        let metrics = [
            metric("a", 1.0, 5, 0),
            metric("a", 1.0, 5, 0),
            metric("a", f64::NAN, 5, 0),
            metric("a", f64::NAN, 5, 0),
            metric("a", 1.0, 5, 1),
            metric("a", 1.0, 6, 1),
            metric("b", 1.0, 5, 0),
        ];
        let batch = LogBatch::parse(&metrics, &[], &pairs(&[("t", "1"), ("u", "2"), ("t", "3")])).unwrap();
        assert_eq!(batch.metrics.len(), 5);
        let tags: Vec<_> = batch.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("t", "3"), ("u", "2")]);
    }

    #[test]
    fn a_point_may_say_something_of_a_model() {
        let model_id = Some(LoggedModelId::new());
        let metrics = [
            RawMetric { model_id, dataset_name: "train".to_owned(), ..metric("acc", 0.9, 5, 0) },
            RawMetric { model_id, dataset_name: "test".to_owned(), ..metric("acc", 0.9, 5, 0) },
            metric("loss", 0.1, 5, 0),
        ];
        let batch = LogBatch::parse(&metrics, &[], &[]).unwrap();
        assert_eq!((batch.metrics.len(), batch.model_metrics.len()), (2, 2));
        let long = RawMetric { dataset_digest: "x".repeat(37), ..metric("acc", 0.9, 5, 0) };
        assert!(LogBatch::parse(&[long], &[], &[]).is_err());
    }

    #[test]
    fn a_param_stands_in_a_request_once() {
        let error = LogBatch::parse(&[], &pairs(&[("a", "1"), ("b", "1"), ("a", "1")]), &[]).unwrap_err();
        assert_eq!(
            error.message,
            "Duplicate parameter keys have been submitted: ['a']. Please ensure the request contains only one param \
             value per param key."
        );
    }

    #[test]
    fn what_is_cut_is_listed() {
        let long = "x".repeat(8001);
        let batch = LogBatch::parse(&[], &pairs(&[("a", "1"), ("b", &long)]), &pairs(&[("t", &long)])).unwrap();
        assert_eq!(batch.truncated, ["params[1].value", "tags[0].value"]);
    }

    #[test]
    fn a_request_has_a_greatest_size() {
        assert!(check_counts(1000, 0, 0).is_ok());
        assert!(check_counts(800, 100, 100).is_ok());
        assert_eq!(
            check_counts(1001, 0, 0).unwrap_err().message,
            "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please split up metrics \
             across multiple requests and try again."
        );
        assert!(check_counts(0, 101, 0).unwrap_err().message.contains("at most 100 params"));
        assert!(check_counts(0, 0, 101).unwrap_err().message.contains("at most 100 tags"));
        assert!(check_counts(801, 100, 100).unwrap_err().message.contains("Got 1001 metrics, params, and tags"));
        assert!(LogBatch::parse(&[], &numbered(101), &[]).is_err());
    }

    #[test]
    fn a_mistake_is_named_by_its_place() {
        let error = LogBatch::parse(&[metric("a", 1.0, 0, 0), metric("b@", 1.0, 0, 0)], &[], &[]).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("metrics[1].name"));
        let error = LogBatch::parse(&[], &pairs(&[("", "1")]), &[]).unwrap_err();
        assert_eq!(
            error.message,
            "Missing value for required parameter 'params[0].key'. See the API docs for more information about request parameters."
        );
        let error = LogBatch::parse(&[], &[], &pairs(&[("a", "\0")])).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("tags[0].value"));
    }

    #[test]
    fn a_point_is_not_measured_before_1970() {
        let parse = |path: &str| MetricPoint::parse("acc", MetricValue::new(0.5), -1, -7, path);
        assert_eq!(
            parse("metrics[2]").unwrap_err().message,
            "Invalid value -1 for parameter 'metrics[2].timestamp' supplied: metric 'acc' (value=0.5). Timestamp must \
             be a nonnegative long (64-bit integer) "
        );
        assert_eq!(parse("").unwrap_err().field.as_deref(), Some("timestamp"));
        assert_eq!(MetricPoint::parse("acc", MetricValue::new(0.5), 0, i64::MIN, "").unwrap().step, i64::MIN);
    }

    #[test]
    fn a_changed_param_is_refused_in_mlflows_words() {
        assert_eq!(
            param_changed("p", "r1", "1", "2").message,
            "Changing param values is not allowed. Param with key='p' was already logged with value='1' for run \
             ID='r1'. Attempted logging new value '2'."
        );
        assert!(params_changed("r1", &[("p".to_owned(), "1".to_owned(), "2".to_owned())]).message.contains(
            "Params were already logged='[{'key': 'p', 'old_value': '1', 'new_value': '2'}]' for run ID='r1'"
        ));
    }
}

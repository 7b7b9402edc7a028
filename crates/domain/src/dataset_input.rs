//! Data sets that runs read, as clients log them.

use crate::{
    error::Error,
    run::DatasetInput,
    wording::{check_length, check_nul, missing_value},
};
use std::ops::Deref;

/// The most data sets of one request.
pub const MAX_DATASETS: usize = 1000;
/// The most characters of a name.
pub const MAX_NAME: usize = 500;
/// The most characters of a digest.
pub const MAX_DIGEST: usize = 36;
/// The most characters of the kind of source.
pub const MAX_SOURCE_TYPE: usize = 36;
/// The most characters of a source.
pub const MAX_SOURCE: usize = 65_535;
/// The most characters of a schema.
pub const MAX_SCHEMA: usize = 1_048_575;
/// The most characters of a profile.
pub const MAX_PROFILE: usize = 16_777_215;
/// The most characters of a tag's key.
pub const MAX_TAG_KEY: usize = 255;
/// The most characters of a tag's value.
pub const MAX_TAG_VALUE: usize = 500;

/// A data set that may be logged: every field is there that must be, and none is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidDatasetInput(DatasetInput);

impl ValidDatasetInput {
    /// Checks a data set. `path` is where it stands in the request: `datasets[0]`.
    ///
    /// # Errors
    /// When a field is missing, too long or holds the NUL character.
    pub fn parse(input: DatasetInput, path: &str) -> Result<Self, Error> {
        for (field, text, limit) in [
            ("name", &input.name, MAX_NAME),
            ("digest", &input.digest, MAX_DIGEST),
            ("source_type", &input.source_type, MAX_SOURCE_TYPE),
            ("source", &input.source, MAX_SOURCE),
        ] {
            let path = format!("{path}.dataset.{field}");
            if text.is_empty() {
                return Err(missing_value(&path));
            }
            check(text, limit, field, &path)?;
        }
        for (field, text, limit) in [("schema", &input.schema, MAX_SCHEMA), ("profile", &input.profile, MAX_PROFILE)] {
            check(text.as_deref().unwrap_or_default(), limit, field, &format!("{path}.dataset.{field}"))?;
        }
        for (key, value) in &input.tags {
            if key.is_empty() {
                return Err(missing_value(&format!("{path}.tags.key")));
            }
            check(key, MAX_TAG_KEY, "key", &format!("{path}.tags.key"))?;
            check(value, MAX_TAG_VALUE, "value", &format!("{path}.tags.value"))?;
        }
        Ok(Self(input))
    }

    /// The data set, taken out.
    #[must_use]
    pub fn into_inner(self) -> DatasetInput {
        self.0
    }
}

impl Deref for ValidDatasetInput {
    type Target = DatasetInput;

    fn deref(&self) -> &DatasetInput {
        &self.0
    }
}

fn check(text: &str, limit: usize, what: &str, path: &str) -> Result<(), Error> {
    check_nul(text, path)?;
    check_length(text, limit, what, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wine() -> DatasetInput {
        DatasetInput {
            name: "wine".to_owned(),
            digest: "4f1a".to_owned(),
            source_type: "code".to_owned(),
            source: "{}".to_owned(),
            schema: None,
            profile: Some("{\"num_rows\": 178}".to_owned()),
            tags: [("mlflow.data.context".to_owned(), "train".to_owned())].into(),
        }
    }

    fn refusal(change: impl FnOnce(&mut DatasetInput)) -> Error {
        let mut input = wine();
        change(&mut input);
        ValidDatasetInput::parse(input, "datasets[1]").unwrap_err()
    }

    #[test]
    fn a_data_set_within_the_limits_is_taken() {
        assert_eq!(ValidDatasetInput::parse(wine(), "datasets[0]").unwrap().into_inner(), wine());
    }

    #[test]
    fn a_missing_field_is_named_by_its_place() {
        let error = refusal(|input| input.digest.clear());
        assert_eq!(
            error.message,
            "Missing value for required parameter 'datasets[1].dataset.digest'. See the API docs for more information about request parameters."
        );
    }

    #[test]
    fn a_long_field_is_refused_in_mlflows_words() {
        let tag = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        for (error, expected) in [
            (refusal(|input| input.name = "x".repeat(501)), "'name' exceeds the maximum length of 500 characters"),
            (refusal(|input| input.digest = "x".repeat(37)), "'digest' exceeds the maximum length of 36 characters"),
            (
                refusal(|input| input.source = "x".repeat(65_536)),
                "'source' exceeds the maximum length of 65535 characters",
            ),
            (
                refusal(|input| input.schema = Some("x".repeat(1_048_576))),
                "'schema' exceeds the maximum length of 1048575 characters",
            ),
            (
                refusal(|input| input.tags = tag(&"x".repeat(256), "")),
                "'key' exceeds the maximum length of 255 characters",
            ),
            (
                refusal(|input| input.tags = tag("k", &"x".repeat(501))),
                "'value' exceeds the maximum length of 500 characters",
            ),
        ] {
            assert_eq!(error.message, expected);
        }
    }

    #[test]
    fn no_field_holds_nul() {
        assert_eq!(refusal(|input| input.source.push('\0')).field.as_deref(), Some("datasets[1].dataset.source"));
        assert_eq!(
            refusal(|input| input.profile = Some("\0".to_owned())).field.as_deref(),
            Some("datasets[1].dataset.profile")
        );
    }
}

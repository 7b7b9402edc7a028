//! What a form posts: names and values as they were typed, so that a refused form can be shown again as it was.

use super::{PageError, chosen::Chosen};
use crate::extract::too_large;
use app::ui::field::Draft;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use domain::{Error, ErrorKind, freeze, permission::UnknownName};
use serde_json::Value;
use std::{collections::BTreeMap, str::FromStr};

/// The fields of a form, in the order they were sent.
#[derive(Debug, Clone)]
pub(crate) struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                PageError(too_large())
            } else {
                PageError(Error::invalid("The form did not arrive whole; send it again."))
            }
        })?;
        serde_urlencoded::from_bytes(&body)
            .map(Self)
            .map_err(|_| PageError(Error::invalid("This is not what one of our forms sends.")))
    }
}

impl Form {
    /// The first value of a field, without white space around it; empty when it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first value of a field as it was typed: for passwords and files.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// What stood when whoever fills in the form looked; none when the form does not say.
    pub(crate) fn seen(&self) -> Option<String> {
        Some(self.text("instead_of")).filter(|seen| !seen.is_empty()).map(ToOwned::to_owned)
    }

    /// What the page showed that the form was sent from.
    pub(crate) fn back(&self) -> Chosen {
        Chosen::query(self.raw("back"))
    }

    /// A text of several lines, as it was typed. A browser sends the line break that a text area drops, and ends lines in
    /// two characters.
    pub(crate) fn lines(&self, name: &str) -> String {
        self.raw(name).replace("\r\n", "\n")
    }

    /// The values of those of these params of a pipeline that the form has fields for, as they were typed.
    pub(crate) fn params<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, Value> {
        let given = |name: &'a String| {
            let field = format!("params.{name}");
            let value = self.all(&field).next()?.replace("\r\n", "\n");
            Some((name.clone(), value.into()))
        };
        names.into_iter().filter_map(given).collect()
    }

    /// Every value of a field.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Names or patterns in a field, with commas or white space between.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let words = self.raw(name).split(|c: char| c == ',' || c.is_whitespace());
        words.filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// A moment as a field of a browser has it, by the clock of a time zone; none when nothing was written.
    pub(crate) fn moment(&self, name: &str, timezone: &str) -> Result<Option<DateTime<Utc>>, Error> {
        match self.text(name) {
            "" => Ok(None),
            text => freeze::from_zone(text, timezone).map(Some).map_err(|error| error.in_field(name)),
        }
    }

    /// Reads a field that names one of a set.
    pub(crate) fn parse<T: FromStr<Err = UnknownName>>(&self, name: &str) -> Result<T, Error> {
        self.text(name).parse().map_err(|error: UnknownName| Error::invalid_field(name, format!("{error}.")))
    }

    /// Reads every value of a field that names some of a set.
    pub(crate) fn parse_all<T: FromStr<Err = UnknownName>, C: FromIterator<T>>(&self, name: &str) -> Result<C, Error> {
        self.all(name)
            .map(|value| value.parse().map_err(|error: UnknownName| Error::invalid_field(name, format!("{error}."))))
            .collect()
    }

    /// What to show again, refused for this reason. Passwords and secrets are not sent back.
    pub(crate) fn refused(&self, error: &Error) -> Draft {
        // What stood before stays said until somebody has seen what stands now.
        let is_stale = error.kind == ErrorKind::Conflict;
        let is_secret = |name: &str| name.contains("password") || ["present", "secret"].contains(&name);
        let is_kept = |name: &str| !(is_secret(name) || is_stale && name == "instead_of");
        let kept = self.0.iter().filter(|(name, _)| is_kept(name)).cloned();
        Draft::of(kept).refused(error)
    }
}

/// Whether a form of an experiment or a run has fields that are shown again when it is refused.
pub(crate) fn is_shown_again(form: &Form) -> bool {
    ["rename", "note", "tag"].contains(&form.text("do"))
}

/// Whether a refusal is one that the person at the form can mend, so that the form is shown again.
pub(crate) fn can_mend(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Invalid
            | ErrorKind::Unauthenticated
            | ErrorKind::AlreadyExists
            | ErrorKind::Conflict
            | ErrorKind::NotFound
            | ErrorKind::Forbidden
            | ErrorKind::RateLimited
    )
}

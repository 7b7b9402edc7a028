//! What was chosen on a page: the names and values in its address, some of them several times.

use super::PageError;
use crate::extract::Named;
use app::ui::query::Address;
use axum::{extract::FromRequestParts, http::request::Parts};
use domain::Error;
use std::ops::Deref;

/// The query of a page's address, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen(Named);

impl Deref for Chosen {
    type Target = Named;

    fn deref(&self) -> &Named {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Chosen {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
            .map(Self)
            .map_err(|_| PageError(Error::invalid("The address of this page is broken off or has a wrong character.")))
    }
}

impl Chosen {
    /// What an address would say, for a page that is shown in answer to a form.
    pub(crate) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(Named(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()))
    }

    /// What a query says that a form sends along; nothing when it is none.
    pub(crate) fn query(text: &str) -> Self {
        Self(serde_urlencoded::from_str(text).unwrap_or_default())
    }

    /// The address of the page, to make links that change one thing about it.
    pub(crate) fn address(&self, path: String) -> Address {
        Address::new(path, self.0.0.clone())
    }
}

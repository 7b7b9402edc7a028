//! Why a request came to nothing, in words that say no more of the network than its owner asked for.

use crate::{Error, PATIENCE};
use std::{error, io};

/// What is wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("The URL's host leads into a private network; webhooks send to public addresses only.")]
    NotPublic,
    #[error("The URL's host has no address.")]
    NoSuchHost,
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotPublic => Self::Refused(trouble.to_string()),
            Trouble::NoSuchHost => Self::Unreached(trouble.to_string()),
        }
    }
}

/// What became of a request.
pub(crate) fn of(error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(trouble) = this.downcast_ref::<Trouble>() {
            return (*trouble).into();
        }
        if let Some(error) = this.downcast_ref::<io::Error>()
            && let Some(why) = of_io(error)
        {
            return Error::Unreached(why);
        }
        cause = this.source();
    }
    Error::Unreached(if error.is_timeout() {
        format!("No answer came within {} seconds.", PATIENCE.as_secs())
    } else if error.is_connect() {
        "No connection could be made.".to_owned()
    } else {
        "The connection broke off before the answer came.".to_owned()
    })
}

fn of_io(error: &io::Error) -> Option<String> {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Some(format!("The connection is not secure: {tls}."));
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some("The connection was refused.".to_owned()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some("The host cannot be reached from here.".to_owned())
        }
        _ => None,
    }
}

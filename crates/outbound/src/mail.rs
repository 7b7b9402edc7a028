//! Sending e-mail through one mail server. Its address is the installation's own option, not something that people chose: it
//! may be private.

use crate::{Error, PATIENCE};
use domain::mail::one_line;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp,
};
use std::{error::Error as _, fmt};

/// The most characters of a mail server's answer that are kept.
const MAX_ANSWER: usize = 200;

/// A mail server, and who its messages are from.
pub struct Mailer {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// A message to one person.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// What it is known by: the same in every try, so that a reader's program shows one that came twice once.
    pub id: &'a str,
    /// What it belongs to: messages of one are shown together.
    pub thread: &'a str,
    /// The address.
    pub to: &'a str,
    /// The person's name.
    pub name: &'a str,
    /// One line.
    pub subject: &'a str,
    /// What it says, as text.
    pub text: &'a str,
    /// The same as HTML.
    pub html: &'a str,
}

impl Mailer {
    /// The server at `smtps://user:password@host:port`, which speaks TLS from the first byte, or `smtp://host:port`, with
    /// `?tls=required` or `?tls=opportunistic` to begin it. A path is the name that it is greeted with. `from` is an address,
    /// with a name before it or not.
    ///
    /// # Errors
    /// A sentence without the password, when that is no address, or a password would go over an open connection.
    pub fn new(server: &str, from: &str) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url: reqwest::Url = server.parse().map_err(|_| {
            "The address of the mail server is none; it is such as smtps://user:password@mail.example.com.".to_owned()
        })?;
        let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        match (url.scheme(), tls.as_deref()) {
            ("smtps", _) | ("smtp", None | Some("required" | "opportunistic")) => {}
            ("smtp", Some(_)) => return Err("For a mail server, tls is required or opportunistic.".to_owned()),
            _ => return Err("The address of the mail server begins with smtps:// or smtp://.".to_owned()),
        }
        if url.password().is_some() && url.scheme() == "smtp" && tls.is_none() {
            let sentence = "The mail server's password would go over an open connection: begin with smtps://, or add ?tls=required.";
            return Err(sentence.to_owned());
        }
        let from: Mailbox =
            from.parse().map_err(|_| format!("Messages cannot be from {from:.200}: it is no address."))?;
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(server).map_err(|error| {
            tracing::error!(%error, "the mail server's address cannot be used");
            "The address of the mail server cannot be used.".to_owned()
        })?;
        Ok(Self { server: server.timeout(Some(PATIENCE)).build(), from })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server does not take it and will not later, [`Error::Unreached`] when it may.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), Error> {
        let message = self.message(letter)?;
        match tokio::time::timeout(PATIENCE, self.server.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(of(&error)),
            Err(_) => Err(Error::Unreached(format!("The mail server took more than {} seconds.", PATIENCE.as_secs()))),
        }
    }

    fn message(&self, letter: &Letter<'_>) -> Result<Message, Error> {
        let address: Address =
            letter.to.parse().map_err(|_| Error::Refused("The person's address cannot be written to.".to_owned()))?;
        let host = self.from.email.domain();
        let (id, thread) = (format!("<{}@{host}>", letter.id), format!("<{}@{host}>", letter.thread));
        // So that no program answers it, out of office or otherwise.
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        Message::builder()
            .from(self.from.clone())
            // A name with a line's end in it would bring the builder down.
            .to(Mailbox::new(Some(one_line(letter.name)), address))
            .subject(one_line(letter.subject))
            .date_now()
            .message_id(Some(id))
            .references(thread)
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(letter.text.to_owned(), letter.html.to_owned()))
            .map_err(|error| {
                tracing::error!(%error, "a message could not be put together");
                Error::Refused("The message could not be put together.".to_owned())
            })
    }
}

impl fmt::Debug for Mailer {
    // Never the server's password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailer({})", self.from.email)
    }
}

/// What became of a message that was not taken.
fn of(error: &smtp::Error) -> Error {
    let answer = error.source().map(|answer| answer.to_string()).unwrap_or_default();
    let answer: String = answer.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_ANSWER).collect();
    if let Some(code) = error.status() {
        let sentence = format!("The mail server answered {code}: {answer}").trim_end_matches([':', ' ']).to_owned();
        // It did not get as far as the message: whoever runs the server mends the name or the password.
        let is_ours = matches!(u16::from(code), 530 | 534 | 535 | 538);
        return if error.is_permanent() && !is_ours { Error::Refused(sentence) } else { Error::Unreached(sentence) };
    }
    tracing::warn!(%error, answer, "the mail server was not reached");
    Error::Unreached(if error.is_timeout() {
        "The mail server did not answer in time.".to_owned()
    } else if error.is_tls() {
        "The connection to the mail server is not secure.".to_owned()
    } else if error.is_response() {
        "The mail server answered what is no SMTP.".to_owned()
    } else {
        "The mail server cannot be reached.".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_over_a_secured_connection_alone_and_is_never_told() {
        let from = "Slipway <slipway@example.com>";
        for server in [
            "smtp://127.0.0.1:2525",
            "smtp://mail.example.com/me.example.com",
            "smtps://u:hush@mail.example.com",
            "smtp://u:hush@mail.example.com:587?tls=required",
        ] {
            let mailer = Mailer::new(server, from).unwrap();
            assert_eq!(format!("{mailer:?}"), "Mailer(slipway@example.com)");
        }
        for server in ["smtp://u:hush@mail.example.com", "http://u:hush@mail", "mail", "smtp://u:hush@m?tls=maybe", ""]
        {
            let error = Mailer::new(server, from).unwrap_err();
            assert!(!error.contains("hush") && error.ends_with('.'), "{error}");
        }
        for from in ["", "nobody", "a@b\r\nBcc: c@d"] {
            assert!(Mailer::new("smtp://127.0.0.1", from).is_err(), "{from:?}");
        }
    }

    #[test]
    fn nothing_that_is_said_adds_a_header() {
        let mailer = Mailer::new("smtp://127.0.0.1", "slipway@example.com").unwrap();
        let evil = "x\r\nBcc: all@example.com\r\n\r\nbody";
        let letter =
            Letter { id: "1", thread: "2", to: "ada@example.com", name: evil, subject: evil, text: evil, html: evil };
        let message = String::from_utf8(mailer.message(&letter).unwrap().formatted()).unwrap();
        let head = message.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
        assert!(head.contains("Message-ID: <1@example.com>") && head.contains("References: <2@example.com>"), "{head}");
        assert!(matches!(mailer.message(&Letter { to: "a b", ..letter }), Err(Error::Refused(_))));
    }
}

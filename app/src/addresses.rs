//! Addresses in lines of a log, to be shown as links. Used by the server and by the browser, as [`ansi`](crate::ansi) is.

use crate::ansi::{self, Span};
use linkify::{LinkFinder, LinkKind};
use std::ops::Range;

/// What the pages that logs lead to are told of where somebody comes from, and may do there.
pub const REL: &str = "noopener noreferrer nofollow";

/// A piece of a line: an address, or what stands between addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it leads, if it is an address. It begins with `http://` or `https://`.
    pub address: Option<String>,
    /// Its text in its colours.
    pub spans: Vec<Span>,
}

/// Splits a line into its addresses and what is between them. An address may be in several colours.
#[must_use]
pub fn parts(line: &str) -> Vec<Part> {
    let spans = ansi::spans(line);
    // Most lines have none.
    if !line.contains("://") {
        return vec![Part { address: None, spans }];
    }
    let whole: String = spans.iter().map(|span| span.text.as_str()).collect();
    let addresses = addresses(&whole);
    let mut parts: Vec<Part> = Vec::new();
    let mut before = None;
    let mut at = 0;
    for span in spans {
        let to = at + span.text.len();
        while at < to {
            let within = addresses.iter().find(|address| address.contains(&at));
            let next = addresses.iter().map(|address| address.start).find(|start| *start > at);
            let end = within.map_or(next.unwrap_or(to), |address| address.end).min(to);
            let piece = Span { class: span.class.clone(), text: whole[at..end].to_owned() };
            match parts.last_mut().filter(|_| before == Some(within)) {
                Some(part) => part.spans.push(piece),
                None => {
                    let address = within.map(|address| whole[address.clone()].to_owned());
                    parts.push(Part { address, spans: vec![piece] });
                }
            }
            before = Some(within);
            at = end;
        }
    }
    parts
}

/// Where the addresses of web pages stand in a text; those of no other kind, such as `javascript:` or `git+https:`.
fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let is_web = |link: &str| {
        let scheme = link.split("://").next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    };
    finder.links(text).filter(|link| is_web(link.as_str())).map(|link| link.start()..link.end()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<String> {
        parts(line).into_iter().filter_map(|part| part.address).collect()
    }

    #[test]
    fn an_address_ends_before_what_belongs_to_the_sentence() {
        for (line, address) in [
            ("see https://example.com/a.", "https://example.com/a"),
            ("(http://example.com/a_(b))", "http://example.com/a_(b)"),
            ("tracking at <http://127.0.0.1:5000/w/x?a=1&b=2#c>, run 7", "http://127.0.0.1:5000/w/x?a=1&b=2#c"),
            ("url=\"https://example.com/q\"; ok", "https://example.com/q"),
            ("at http://localhost:8080!", "http://localhost:8080"),
            ("[HTTPS://Example.com]", "HTTPS://Example.com"),
        ] {
            assert_eq!(found(line), [address], "{line}");
        }
        assert_eq!(found("http://a.example, https://b.example"), ["http://a.example", "https://b.example"]);
    }

    #[test]
    fn what_is_no_page_is_no_link() {
        for line in [
            "javascript://example.com/%0aalert(1)",
            "javascript:alert('http:')",
            "git+https://example.com/a",
            "s3://bucket/key",
            "data:text/html,x",
            "http://",
            "www.example.com",
            "user@example.com",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn every_character_stays_and_keeps_its_colour() {
        let line = "at \u{1b}[34mhttps://exa\u{1b}[0mmple.com/ü\u{1b}[31m, then\u{1b}[0m https://b.example.";
        let parts = parts(line);
        let shown = |parts: &[Part]| -> String {
            parts.iter().flat_map(|part| &part.spans).map(|span| span.text.as_str()).collect()
        };
        assert_eq!(shown(&parts), "at https://example.com/ü, then https://b.example.");
        let of = |at: usize| {
            parts[at].spans.iter().map(|span| (span.class.as_str(), span.text.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(of(1), [("b", "https://exa"), ("", "mple.com/ü")]);
        assert_eq!(of(2), [("r", ", then"), ("", " ")]);
        assert_eq!(parts[3].address.as_deref(), Some("https://b.example"));
        assert!(super::parts("").iter().all(|part| part.address.is_none()));
    }
}

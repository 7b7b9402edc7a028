//! Colours of log lines: the escape sequences that terminals know, as spans of text with classes. Used by the server
//! for the lines a page starts with and by the browser for those that follow, so that both look the same.

/// A piece of a line with one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The classes of the log's style sheet, separated by spaces; empty for plain text.
    pub class: String,
    /// The text, without escape sequences.
    pub text: String,
}

#[derive(Default, Clone, Copy)]
struct Look {
    colour: Option<char>,
    bold: bool,
    dim: bool,
}

impl Look {
    fn class(self) -> String {
        let mut names: Vec<String> = Vec::new();
        names.extend(self.colour.map(String::from));
        if self.dim && self.colour.is_none() {
            names.push("d".to_owned());
        }
        if self.bold {
            names.push("bold".to_owned());
        }
        names.join(" ")
    }

    fn apply(&mut self, code: u32) {
        match code {
            0 => *self = Self::default(),
            1 => self.bold = true,
            2 => self.dim = true,
            22 => (self.bold, self.dim) = (false, false),
            30 | 90 => self.colour = Some('d'),
            31 | 91 => self.colour = Some('r'),
            32 | 92 => self.colour = Some('g'),
            33 | 93 => self.colour = Some('y'),
            34 | 94 => self.colour = Some('b'),
            35 | 95 => self.colour = Some('m'),
            36 | 96 => self.colour = Some('c'),
            37 | 39 | 97 => self.colour = None,
            _ => {}
        }
    }
}

/// Splits a line into spans. Sequences that are not about colour are dropped, as are other control characters; what
/// a carriage return overwrote is gone, as it is on a terminal.
#[must_use]
pub fn spans(line: &str) -> Vec<Span> {
    coloured(line, &mut Look::default())
}

/// Splits a text into lines, and these into spans: a colour goes on to the next line, as it does on a terminal.
#[must_use]
pub fn lines(text: &str) -> Vec<Vec<Span>> {
    let mut look = Look::default();
    text.split('\n').map(|line| coloured(line, &mut look)).collect()
}

fn coloured(line: &str, look: &mut Look) -> Vec<Span> {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut spans: Vec<Span> = Vec::new();
    let mut text = String::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            if !c.is_control() || c == '\t' {
                text.push(c);
            }
            continue;
        }
        if rest.peek() != Some(&'[') {
            continue;
        }
        rest.next();
        let mut arguments = String::new();
        let mut end = None;
        for c in rest.by_ref() {
            if c.is_ascii_digit() || c == ';' {
                arguments.push(c);
            } else {
                end = Some(c);
                break;
            }
        }
        if end != Some('m') {
            continue;
        }
        flush(&mut spans, *look, &mut text);
        let mut codes = arguments.split(';').map(|code| code.parse().unwrap_or(0));
        while let Some(code) = codes.next() {
            if matches!(code, 38 | 48) {
                // An indexed or true colour takes 1 or 3 more numbers; the palette of a page has no place for it.
                let more = if codes.next() == Some(5) { 1 } else { 3 };
                for _ in 0..more {
                    codes.next();
                }
            } else {
                look.apply(code);
            }
        }
    }
    flush(&mut spans, *look, &mut text);
    spans
}

fn flush(spans: &mut Vec<Span>, look: Look, text: &mut String) {
    if !text.is_empty() {
        spans.push(Span { class: look.class(), text: std::mem::take(text) });
    }
}

/// Whether a line looks like a warning or an error, from its words.
#[must_use]
pub fn is_alarming(text: &str) -> bool {
    is_error(text) || ["WARN", "Traceback", "Warning:"].iter().any(|word| text.contains(word))
}

/// Whether a line looks like an error.
#[must_use]
pub fn is_error(text: &str) -> bool {
    ["ERROR", "CRITICAL", "FATAL", "Error:", "Exception"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        spans(line).into_iter().map(|s| format!("[{}|{}]", s.class, s.text)).collect()
    }

    #[test]
    fn colours_become_classes() {
        assert_eq!(shown("plain"), "[|plain]");
        assert_eq!(shown("\u{1b}[34mINFO\u{1b}[0m  read"), "[b|INFO][|  read]");
        assert_eq!(shown("\u{1b}[1;31mbad\u{1b}[22m less"), "[r bold|bad][r| less]");
    }

    #[test]
    fn other_sequences_leave_no_trace() {
        assert_eq!(shown("\u{1b}[2Kdone\u{1b}[1A"), "[|done]");
        assert_eq!(shown("\u{1b}[38;5;208morange\u{1b}[38;2;1;2;3mtoo"), "[|orange][|too]");
        assert_eq!(shown("a\u{0}b\u{7}"), "[|ab]");
        assert_eq!(shown("cut \u{1b}["), "[|cut ]");
    }

    #[test]
    fn what_is_shown_is_what_is_searched() {
        for line in [
            "plain\t1",
            "\u{1b}[34mINFO\u{1b}[0m  read",
            "\u{1b}[2Kdone\u{1b}[1A",
            "a\u{0}b\u{7}",
            "cut \u{1b}[",
            "1 %\r2 %\r",
        ] {
            let shown: String = spans(line).into_iter().map(|span| span.text).collect();
            assert_eq!(shown, domain::log::plain(line), "{line:?}");
        }
    }

    #[test]
    fn a_colour_goes_on_to_the_next_line() {
        let shown: Vec<String> = lines("\u{1b}[31ma\nb\u{1b}[39mc\n")
            .into_iter()
            .map(|line| line.into_iter().map(|s| format!("[{}|{}]", s.class, s.text)).collect())
            .collect();
        assert_eq!(shown, ["[r|a]", "[r|b][|c]", ""]);
    }

    #[test]
    fn a_progress_bar_shows_its_last_state() {
        assert_eq!(shown("10 %\r20 %\r30 %\r"), "[|30 %]");
    }
}

//! Lines from bytes: bounded in length, fit to be stored, and without secrets.

use crate::Mask;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest line; a longer one is split.
pub(crate) const MAX_LINE_BYTES: usize = 16 * 1024;

/// How often a line that is drawn over is told.
const DRAWN: Duration = Duration::from_secs(10);

/// Cuts a stream of bytes into lines.
///
/// A line that a program draws over with carriage returns, as progress bars do, is kept in its last state; while it lasts,
/// how it stands is a line every ten seconds. Bytes that are no UTF-8, and NUL, which databases do not store, become U+FFFD.
#[derive(Debug, Default)]
pub struct Lines {
    /// The line that has not ended yet.
    begun: Vec<u8>,
    /// Since when it is drawn over, or when it was told last.
    drawn_at: Option<Instant>,
    mask: Arc<Mask>,
}

impl Lines {
    /// Lines in which these values do not stand.
    #[must_use]
    pub fn new(mask: Arc<Mask>) -> Self {
        Self { begun: Vec::new(), drawn_at: None, mask }
    }

    /// Takes the next bytes and adds the lines that they end.
    pub fn push(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let content = piece.strip_suffix(b"\n");
            self.begun.extend_from_slice(content.unwrap_or(piece));
            if content.is_some() {
                self.end(lines);
            } else {
                // A value that is not all here yet is not cut in two.
                if self.begun.len() > MAX_LINE_BYTES + self.mask.longest() {
                    self.hide();
                    self.split(lines, MAX_LINE_BYTES);
                }
                self.draw(Instant::now(), lines);
            }
        }
    }

    /// Adds how a line stands that is drawn over, when it was told long ago.
    fn draw(&mut self, now: Instant, lines: &mut Vec<String>) {
        // What stands after the last return may not be all here yet.
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\r').filter(|end| *end > 0) else { return };
        if now.duration_since(*self.drawn_at.get_or_insert(now)) < DRAWN {
            return;
        }
        self.drawn_at = Some(now);
        let rest = self.begun.split_off(end);
        self.hide();
        lines.push(text(last_state(&self.begun)));
        self.begun = rest;
    }

    fn hide(&mut self) {
        if let std::borrow::Cow::Owned(masked) = self.mask.apply(&self.begun) {
            self.begun = masked;
        }
    }

    /// The stream has ended: adds what is left.
    pub fn finish(&mut self, lines: &mut Vec<String>) {
        if !self.begun.is_empty() {
            self.end(lines);
        }
    }

    fn end(&mut self, lines: &mut Vec<String>) {
        if self.begun.last() == Some(&b'\r') {
            self.begun.pop();
        }
        self.hide();
        self.split(lines, MAX_LINE_BYTES);
        lines.push(text(last_state(&self.begun)));
        self.begun.clear();
        self.drawn_at = None;
    }

    /// Adds the beginning of a line that is too long, and keeps at most `most` bytes of it.
    fn split(&mut self, lines: &mut Vec<String>, most: usize) {
        if self.begun.len() > most {
            let drawn_over = self.begun.len() - last_state(&self.begun).len();
            self.begun.drain(..drawn_over);
        }
        while self.begun.len() > most {
            // Not in the middle of a character, which has at most four bytes.
            let is_inside = |at: usize| self.begun[at] & 0b1100_0000 == 0b1000_0000;
            let cut = (most - 3..=most).rev().find(|at| !is_inside(*at)).unwrap_or(most);
            lines.push(text(&self.begun[..cut]));
            self.begun.drain(..cut);
        }
    }
}

/// What stands in the line after the last carriage return that something follows.
fn last_state(line: &[u8]) -> &[u8] {
    let end = line.len().saturating_sub(usize::from(line.last() == Some(&b'\r')));
    match line[..end].iter().rposition(|byte| *byte == b'\r') {
        Some(at) => &line[at + 1..],
        None => line,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, &mut found);
        }
        lines.finish(&mut found);
        found
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let bytes = "one\n\nzwei ü\r\nthree".as_bytes();
        let expected = ["one", "", "zwei ü", "three"];
        assert_eq!(cut(&[bytes]), expected);
        for at in 0..bytes.len() {
            assert_eq!(cut(&[&bytes[..at], &bytes[at..]]), expected, "cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(cut(&single), expected);
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        let long = "ü".repeat(MAX_LINE_BYTES);
        let lines = cut(&[b"x", long.as_bytes(), b"\nend\n"]);
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE_BYTES && !line.contains('\u{fffd}')));
        assert_eq!(lines.concat(), format!("x{long}end"));
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_line_of_the_greatest_length_stays_whole() {
        let line = "a".repeat(MAX_LINE_BYTES);
        assert_eq!(cut(&[line.as_bytes(), b"\n"]), [line]);
    }

    #[test]
    fn a_secret_is_hidden_wherever_a_long_line_is_cut() {
        let mask = Arc::new(Mask::new(["abcdefghij"]));
        for before in MAX_LINE_BYTES - 12..MAX_LINE_BYTES + 2 {
            for chunk in [7, 16 * 1024] {
                let mut text = "x".repeat(before);
                text.push_str("abcdefghij");
                text.push_str(&"y".repeat(MAX_LINE_BYTES));
                let (mut lines, mut found) = (Lines::new(Arc::clone(&mask)), Vec::new());
                text.as_bytes().chunks(chunk).for_each(|bytes| lines.push(bytes, &mut found));
                lines.finish(&mut found);
                let all = found.concat();
                assert!(all.contains("x***y") && !all.contains("fghij") && !all.contains("abcde"), "{before}");
            }
        }
    }

    #[test]
    fn a_line_drawn_over_keeps_its_last_state() {
        assert_eq!(cut(&[b"10 %\r50 %\r100 %\ndone\n"]), ["100 %", "done"]);
        assert_eq!(cut(&[b"10 %\r100 %\r\n"]), ["100 %"]);
        let bar = format!("{}\r", "#".repeat(100)).repeat(1000);
        assert_eq!(cut(&[bar.as_bytes(), b"end\n"]), ["end"]);
    }

    #[test]
    fn a_line_drawn_over_for_long_is_told_now_and_then() {
        let (mut lines, mut found) = (Lines::new(Arc::new(Mask::new(["hunter22"]))), Vec::new());
        let begun = Instant::now();
        let mut draw = |bytes: &[u8], after: u64| {
            lines.push(bytes, &mut found);
            lines.draw(begun + Duration::from_secs(after), &mut found);
            std::mem::take(&mut found)
        };
        let nothing: [&str; 0] = [];
        assert_eq!(draw(b"\r 1 %", 0), nothing);
        assert_eq!(draw(b"\r 2 % hunter22\r 3", 11), [" 2 % ***"]);
        assert_eq!(draw(b" %\r", 12), nothing);
        assert_eq!(draw(b" 4 %\r", 22), [" 4 %"]);
        assert_eq!(draw(b" 5 %", 40), nothing, "nothing was drawn over");
        assert_eq!(draw(b"\r100 %\n", 41), ["100 %"]);
        assert_eq!(draw(b"a line that only takes long", 80), nothing);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(cut(&[b"a\xff\xfeb\0c\n"]), ["a\u{fffd}\u{fffd}b\u{fffd}c"]);
        let junk = vec![0x80_u8; 3 * MAX_LINE_BYTES];
        assert_eq!(cut(&[&junk]).len(), 3);
    }
}

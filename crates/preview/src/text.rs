//! Text: lines, as far as a page takes them.

use domain::preview::{Part, Text};

/// The most bytes of a text.
pub(crate) const MOST_BYTES: u64 = 256 << 10;
/// The most lines: each is some markup of its own.
const MOST_LINES: usize = 5000;
/// The most characters of a line.
const MOST_IN_LINE: usize = 2000;
/// How many bytes are looked at to tell text from other bytes.
const LOOKED_AT: usize = 8 << 10;

/// Whether the bytes are no text: they hold NUL, as no text does, or are for a tenth no UTF-8.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    let strange: usize = start.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    start.contains(&0) || strange * 10 > start.len()
}

/// The first lines of the text.
pub(crate) fn read(bytes: &[u8], part: Part) -> Text {
    let limit = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let mut shown = &bytes[..bytes.len().min(limit)];
    // What is cut within a character ends before it.
    if (shown.len() as u64) < part.of
        && let Err(error) = std::str::from_utf8(shown)
        && error.error_len().is_none()
    {
        shown = &shown[..error.valid_up_to()];
    }
    let mut taken = 0;
    let mut cut_lines = 0;
    let mut lines = Vec::new();
    for line in shown.split_inclusive(|byte| *byte == b'\n').take(MOST_LINES) {
        taken += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if lines.is_empty() { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
        let (line, is_cut) = short(&String::from_utf8_lossy(line), MOST_IN_LINE);
        cut_lines += usize::from(is_cut);
        lines.push(line);
    }
    Text { lines, part: Part { shown: taken as u64, of: part.of }, cut_lines }
}

/// The first characters of a text, and whether it has more.
pub(crate) fn short(text: &str, most: usize) -> (String, bool) {
    match text.char_indices().nth(most) {
        Some((at, _)) => (format!("{}…", &text[..at]), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read as preview;
    use domain::preview::{Preview, Reason};

    fn text(bytes: &[u8], size: u64) -> Text {
        match preview("a.log", bytes, size) {
            Preview::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_end_as_systems_end_them() {
        let text = text("\u{feff}one\r\ntwo\n\nfour".as_bytes(), 16);
        assert_eq!(text.lines, ["one", "two", "", "four"]);
        assert!(text.part.is_whole());
    }

    #[test]
    fn a_huge_line_and_a_million_lines_are_cut_and_counted() {
        let long = text("é".repeat(100_000).as_bytes(), 200_000);
        assert_eq!((long.lines.len(), long.cut_lines), (1, 1));
        assert_eq!(long.lines[0].chars().count(), 2001);
        let many = text(&b"\n".repeat(200_000), 200_000);
        assert_eq!((many.lines.len(), many.part.shown, many.part.is_whole()), (5000, 5000, false));
    }

    #[test]
    fn what_is_cut_within_a_character_ends_before_it() {
        let bytes = "a word and é".as_bytes();
        assert_eq!(text(&bytes[..12], 13).lines, ["a word and "]);
        // The whole of a broken text says where it is broken.
        assert_eq!(text(&b"mostly text, with \xff in it"[..], 26).lines, ["mostly text, with \u{fffd} in it"]);
    }

    #[test]
    fn other_bytes_are_not_shown() {
        assert_eq!(preview("a.txt", b"a\0b", 3), Preview::Nothing(Reason::Binary));
        assert_eq!(preview("weights", &[0xff; 64], 64), Preview::Nothing(Reason::Binary));
        assert_eq!(preview("a.json", b"\x89PNG\r\n\x1a\n\0\0", 10), Preview::Nothing(Reason::Binary));
        assert_eq!(preview("a.txt", b"", 0), Preview::Nothing(Reason::Empty));
        assert!(matches!(preview("no-ending", b"plain", 5), Preview::Text(_)));
    }
}

//! JSON, laid out. Names keep their order, and numbers their digits: the text is laid out, not the values in it.

use crate::text;
use domain::preview::{Part, Preview, Text};
use serde::de::IgnoredAny;

/// Spaces of a level.
const INDENT: usize = 2;
/// Deeper than this, nothing moves further right.
const DEEPEST: usize = 48;

/// The file laid out when it is JSON and here as a whole, else as the text it is.
pub(crate) fn read(bytes: &[u8], part: Part) -> Preview {
    let as_it_is = || Preview::Text(text::read(bytes, part));
    let Ok(json) = std::str::from_utf8(bytes) else { return as_it_is() };
    if !part.is_whole() || serde_json::from_str::<IgnoredAny>(json).is_err() {
        return as_it_is();
    }
    let most = usize::try_from(text::MOST_BYTES).unwrap_or(usize::MAX);
    let (laid_out, is_cut) = lay_out(json, most);
    let shown = text::read(laid_out.as_bytes(), Part { shown: laid_out.len() as u64, of: laid_out.len() as u64 });
    let is_cut = is_cut || !shown.part.is_whole();
    // Of what is laid out nobody counts the bytes; what is told is whether it is all.
    let part = if is_cut { Part { shown: shown.part.shown.min(part.of.saturating_sub(1)), of: part.of } } else { part };
    Preview::Json(Text { part, ..shown })
}

/// Well-formed JSON with each member and element on a line of its own, up to about `most` bytes, and whether that cut it.
fn lay_out(json: &str, most: usize) -> (String, bool) {
    let mut out = String::with_capacity(json.len().min(most) * 2);
    let mut depth = 0_usize;
    let mut chars = json.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if out.len() > most {
            return (out, true);
        }
        match c {
            '"' => {
                let mut end = at + 1;
                while let Some((at, c)) = chars.next() {
                    end = at + c.len_utf8();
                    match c {
                        '\\' => {
                            if let Some((at, c)) = chars.next() {
                                end = at + c.len_utf8();
                            }
                        }
                        '"' => break,
                        _ => {}
                    }
                }
                out.push_str(&json[at..end]);
            }
            '{' | '[' => {
                while chars.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
                out.push(c);
                if let Some((_, close)) = chars.next_if(|(_, c)| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    (out, false)
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth.min(DEEPEST) * INDENT));
}

#[cfg(test)]
mod tests {
    use crate::read as preview;
    use domain::preview::{Preview, Text};

    fn json(text: &str) -> Text {
        match preview("a.json", text.as_bytes(), text.len() as u64) {
            Preview::Json(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_keep_their_order_and_numbers_their_digits() {
        let shown = json(r#"{"z":1.10,"a":[123456789012345678901234567890, {}, [ ]],"s":"a\"{b,\\","e":null}"#);
        let lines = [
            "{",
            "  \"z\": 1.10,",
            "  \"a\": [",
            "    123456789012345678901234567890,",
            "    {},",
            "    []",
            "  ],",
            r#"  "s": "a\"{b,\\","#,
            "  \"e\": null",
            "}",
        ];
        assert_eq!(shown.lines, lines);
        assert!(shown.part.is_whole());
    }

    #[test]
    fn what_is_no_json_or_not_all_of_it_is_shown_as_text() {
        for broken in ["{\"a\": NaN}", "{\"a\": 1", "{} {}", "'a'"] {
            assert!(matches!(preview("a.json", broken.as_bytes(), broken.len() as u64), Preview::Text(_)), "{broken}");
        }
        assert!(matches!(preview("a.json", b"[1]", 100), Preview::Text(_)), "the rest is not here");
    }

    #[test]
    fn deep_nesting_neither_overflows_nor_grows_without_bounds() {
        let deep = format!("{}1{}", "[".repeat(400_000), "]".repeat(400_000));
        let (Preview::Json(shown) | Preview::Text(shown)) = preview("a.json", deep.as_bytes(), deep.len() as u64)
        else {
            panic!("it is shown")
        };
        assert!(!shown.part.is_whole());
        assert!(shown.lines.iter().map(String::len).sum::<usize>() <= 300 << 10);
        let wide = format!("[{}1]", "[[[[[[1]]]]]],".repeat(70_000));
        assert!(!json(&wide).part.is_whole());
    }
}

//! Code with its words set off: enough of Python to be read more easily, and no more.

use leptos::prelude::*;

const KEYWORDS: [&str; 38] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match",
    "nonlocal", "not", "or", "pass", "raise", "return", "try", "type", "while", "with", "yield",
];

/// Code, coloured where its language is known.
#[component]
pub fn Code(
    /// The code.
    source: String,
    /// The name of its language.
    #[prop(optional_no_strip)]
    language: Option<String>,
) -> impl IntoView {
    let is_python = language.is_none_or(|language| language.eq_ignore_ascii_case("python"));
    if !is_python {
        return view! { <code>{source}</code> }.into_any();
    }
    let parts = python(&source)
        .into_iter()
        .map(|(class, text)| match class {
            "" => text.into_any(),
            class => view! { <span class=class>{text}</span> }.into_any(),
        })
        .collect_view();
    view! { <code>{parts}</code> }.into_any()
}

/// The pieces of Python: what class each has, empty for plain text. Together they are the source.
fn python(source: &str) -> Vec<(&'static str, String)> {
    let mut pieces: Vec<(&'static str, String)> = Vec::new();
    let mut rest = source;
    let mut is_name_next = false;
    while let Some(first) = rest.chars().next() {
        let (class, length) = piece(rest, first, is_name_next);
        let (text, after) = rest.split_at(length.clamp(first.len_utf8(), rest.len()));
        if !text.trim().is_empty() {
            is_name_next = class == "k" && matches!(text, "def" | "class");
        }
        match pieces.last_mut() {
            Some((last, before)) if *last == class => before.push_str(text),
            _ => pieces.push((class, text.to_owned())),
        }
        rest = after;
    }
    pieces
}

fn piece(rest: &str, first: char, is_name_next: bool) -> (&'static str, usize) {
    let line = || rest.find('\n').unwrap_or(rest.len());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    match first {
        '#' => ("d", line()),
        // What the kernel takes, not Python.
        '%' | '!' if rest.len() > 1 && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '%') => ("", 1),
        '@' => ("m", 1 + rest[1..].find(|c: char| !is_word(c) && c != '.').unwrap_or(rest.len() - 1)),
        '"' | '\'' => ("g", string(rest, 0)),
        c if c.is_ascii_digit() => {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
            ("y", end)
        }
        c if is_word(c) => {
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            let is_prefix = end <= 2 && word.chars().all(|c| "rRbBfFuUtT".contains(c));
            if is_prefix && rest[end..].starts_with(['"', '\'']) {
                ("g", string(rest, end))
            } else if KEYWORDS.contains(&word) {
                ("k", end)
            } else if is_name_next {
                ("b", end)
            } else {
                ("", end)
            }
        }
        c => ("", c.len_utf8()),
    }
}

/// Where the text in quotes that begins here ends.
fn string(rest: &str, quotes_at: usize) -> usize {
    let quoted = &rest[quotes_at..];
    let quote = quoted.chars().next().unwrap_or('"');
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let (end, is_triple) = if quoted.starts_with(&triple) { (triple, true) } else { (quote.to_string(), false) };
    let mut at = end.len();
    while at < quoted.len() {
        let Some(c) = quoted[at..].chars().next() else { break };
        if quoted[at..].starts_with(&end) {
            return quotes_at + at + end.len();
        }
        if c == '\n' && !is_triple {
            return quotes_at + at;
        }
        at += c.len_utf8();
        if c == '\\' {
            at += quoted[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_python_are_told_apart() {
        let shown: Vec<String> = python("def f(x):\n  return f'{x}' + \"a\\\"b\"  # é\n@app.get\n\"\"\"a\nb\"\"\" 1e5")
            .into_iter()
            .filter(|(class, _)| !class.is_empty())
            .map(|(class, text)| format!("{class}:{text}"))
            .collect();
        assert_eq!(
            shown,
            [
                "k:def",
                "b:f",
                "k:return",
                "g:f'{x}'",
                "g:\"a\\\"b\"",
                "d:# é",
                "m:@app.get",
                "g:\"\"\"a\nb\"\"\"",
                "y:1e5"
            ]
        );
    }

    #[test]
    fn no_character_is_lost_whatever_is_typed() {
        for source in
            ["'", "'''", "\"\\", "#", "@", "é = 'ö\n", "%matplotlib inline\n!ls", "f\"", "0x", "😀 'a\\😀'", "%", "!é"]
        {
            let all: String = python(source).into_iter().map(|(_, text)| text).collect();
            assert_eq!(all, source);
        }
    }
}

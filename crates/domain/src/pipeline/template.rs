//! `${{ params.x }}` in a text: found when the file is read, filled in when a step begins.

use std::fmt;

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The value of a param.
    Param(&'a str),
    /// Where an input lies, relative to the step's directory.
    Input(&'a str),
    /// Where an output must be written, relative to the step's directory.
    Output(&'a str),
}

/// One part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Taken as it is.
    Text(&'a str),
    /// Filled in.
    Place(Place<'a>),
}

/// A placeholder that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError<'a> {
    /// `${{` without `}}`.
    Open,
    /// Something else than `params.x`, `inputs.x` or `outputs.x` inside.
    Unknown(&'a str),
}

impl fmt::Display for TemplateError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("\"${{\" is not closed by \"}}\"; write \"$${{\" for the characters themselves"),
            Self::Unknown(inside) => write!(
                f,
                "\"${{{{ {} }}}}\" is not known; there are params.NAME, inputs.NAME and outputs.NAME",
                inside.chars().take(64).collect::<String>()
            ),
        }
    }
}

/// The parts of the text in order. `$${{` stands for `${{` itself.
pub fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, TemplateError<'_>>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(at) = rest.find("${{") else {
            return Some(Ok(Part::Text(std::mem::take(&mut rest))));
        };
        if rest[..at].ends_with('$') {
            // The doubled dollar is dropped: text up to the first, then the braces from the second.
            let (before, after) = (&rest[..at - 1], &rest[at..]);
            if before.is_empty() {
                let (literal, after) = after.split_at(3);
                rest = after;
                return Some(Ok(Part::Text(literal)));
            }
            rest = &rest[at - 1..];
            return Some(Ok(Part::Text(before)));
        }
        if at > 0 {
            let (before, after) = rest.split_at(at);
            rest = after;
            return Some(Ok(Part::Text(before)));
        }
        let Some(end) = rest.find("}}") else {
            rest = "";
            return Some(Err(TemplateError::Open));
        };
        let inside = rest[3..end].trim();
        rest = &rest[end + 2..];
        Some(match inside.split_once('.') {
            Some(("params", name)) => Ok(Part::Place(Place::Param(name))),
            Some(("inputs", name)) => Ok(Part::Place(Place::Input(name))),
            Some(("outputs", name)) => Ok(Part::Place(Place::Output(name))),
            _ => Err(TemplateError::Unknown(inside)),
        })
    })
}

/// The text with every placeholder filled in by `fill`; one that has no value, which a checked file does not have, is
/// left empty.
pub fn fill(text: &str, value: impl Fn(Place<'_>) -> Option<String>) -> String {
    parts(text).filter_map(Result::ok).fold(String::with_capacity(text.len()), |mut filled, part| {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Place(place) => filled.push_str(&value(place).unwrap_or_default()),
        }
        filled
    })
}

/// The param that the text stands for, when it is one placeholder and nothing else.
pub fn whole_param(text: &str) -> Option<&str> {
    let mut parts = parts(text);
    match (parts.next(), parts.next()) {
        (Some(Ok(Part::Place(Place::Param(name)))), None) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(text: &str) -> String {
        fill(text, |place| Some(format!("{place:?}")))
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert_eq!(show("--lr=${{ params.lr }}"), r#"--lr=Param("lr")"#);
        assert_eq!(show("${{inputs.data}}:${{  outputs.model }}"), r#"Input("data"):Output("model")"#);
        assert_eq!(show("$HOME ${x} {{ y }}"), "$HOME ${x} {{ y }}");
    }

    #[test]
    fn a_doubled_dollar_stands_for_the_characters_themselves() {
        assert_eq!(show("$${{ params.lr }} $$"), "${{ params.lr }} $$");
        assert_eq!(show("a$${{ b }}${{ params.c }}"), r#"a${{ b }}Param("c")"#);
        assert!(parts("$${{ params.lr }}").all(|part| matches!(part, Ok(Part::Text(_)))));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = |text| parts(text).find_map(Result::err).unwrap().to_string();
        assert!(error("a ${{ params.x").contains("not closed"));
        assert!(error("${{ secrets.x }}").starts_with("\"${{ secrets.x }}\" is not known"));
    }

    proptest! {
        #[test]
        fn texts_without_placeholders_stay_as_they_are(text in "[a-z$ {}]{0,30}") {
            prop_assume!(!text.contains("${{"));
            prop_assert_eq!(show(&text), text);
        }

        #[test]
        fn filled_values_are_not_read_again(value in "[a-z$ {}]{0,30}") {
            prop_assert_eq!(fill("<${{ params.x }}>", |_| Some(value.clone())), format!("<{value}>"));
        }

        #[test]
        fn any_text_ends(text in "\\PC{0,40}[${} ]{0,10}\\PC{0,40}") {
            prop_assert!(parts(&text).count() <= text.len());
        }
    }
}

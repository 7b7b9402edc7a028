//! A query to the installation's Prometheus: what is asked, and what is made of the answer.

use super::{Finding, held, number};
use crate::policy::Bound;
use serde_json::{Value, json};

/// What a query may be about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// `${model}`
    pub model: &'a str,
    /// `${version}`
    pub version: i32,
    /// `${environment}`
    pub environment: &'a str,
}

/// Checks where a query names what it is about: names stand in quotes, where they are escaped, and nowhere else.
///
/// # Errors
/// A sentence.
pub fn check(query: &str) -> Result<(), String> {
    walk(query, |name, quoted| match (name, quoted) {
        (_, Some('`')) => {
            Err("write ${…} in double or single quotes: between backticks nothing can be escaped.".to_owned())
        }
        ("version", _) | ("model" | "environment", Some(_)) => Ok(()),
        ("model" | "environment", None) => Err(format!("put ${{{name}}} in quotes, as in {{model=\"${{{name}}}\"}}.")),
        _ => Err("${model}, ${version} and ${environment} are known.".to_owned()),
    })
    .map(|_| ())
}

/// The query about this promotion.
///
/// # Errors
/// As [`check`].
pub fn expand(query: &str, target: &Target<'_>) -> Result<String, String> {
    check(query)?;
    let mut text = String::with_capacity(query.len() + 64);
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        match name {
            "model" => text.push_str(&escaped(target.model)),
            "environment" => text.push_str(&escaped(target.environment)),
            _ => text.push_str(&target.version.to_string()),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// A text within a string of PromQL, whose quotes and escapes are those of Go: hexadecimal escapes mean the same in double
/// and in single quotes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '\\' => out.push_str(r"\x5c"),
            '"' => out.push_str(r"\x22"),
            '\'' => out.push_str(r"\x27"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
        out
    })
}

/// Calls for each `${name}` with the quotes that it stands in.
fn walk(query: &str, mut found: impl FnMut(&str, Option<char>) -> Result<(), String>) -> Result<(), String> {
    let mut quoted = None;
    let mut letters = query.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (letter, quoted) {
            ('\\', Some('"' | '\'')) => {
                letters.next();
            }
            // A comment goes on to the end of its line.
            ('#', None) => while letters.next_if(|(_, letter)| *letter != '\n').is_some() {},
            ('"' | '\'' | '`', None) => quoted = Some(letter),
            (quote, Some(open)) if quote == open => quoted = None,
            ('$', _) if query[at..].starts_with("${") => {
                let (name, _) = query[at + 2..].split_once('}').ok_or("a ${ has no } after it.")?;
                found(name, quoted)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the answer to a query comes to: exactly one number that keeps to the bound. `answer` is what Prometheus answered, or
/// a sentence why it did not.
#[must_use]
pub fn promql(query: &str, bound: Bound, answer: &Result<Vec<u8>, String>) -> Finding {
    let limit = bound.words();
    let evidence = |value: Option<f64>| json!({ "query": query, "value": value, "limit": bound.limit() });
    match answer.as_ref().map_err(Clone::clone).and_then(|bytes| sample(bytes)) {
        Ok(value) => {
            let holds = bound.holds(value);
            Finding {
                verdict: held(holds),
                measured: number(value),
                limit,
                reason: if holds { "It keeps to the bound." } else { "It does not keep to the bound." }.to_owned(),
                evidence: evidence(Some(value)),
            }
        }
        Err(sentence) => Finding::inconclusive(limit, sentence).with(evidence(None)),
    }
}

/// The only number of an answer to an instant query.
fn sample(bytes: &[u8]) -> Result<f64, String> {
    let answer: Value =
        serde_json::from_slice(bytes).map_err(|_| "What Prometheus answered is not JSON.".to_owned())?;
    if answer["status"] != "success" {
        let what: String = answer["error"].as_str().unwrap_or("it did not say why").chars().take(300).collect();
        return Err(format!("Prometheus refuses the query: {what}."));
    }
    let result = &answer["data"]["result"];
    let value = match answer["data"]["resultType"].as_str() {
        Some("scalar") => &result[1],
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"][1],
            Some([]) => return Err("The query finds nothing.".to_owned()),
            Some(many) => {
                return Err(format!("The query finds {} numbers; it must find one: aggregate them.", many.len()));
            }
            None => return Err("What Prometheus answered is not understood.".to_owned()),
        },
        Some(other) => return Err(format!("The query gives a {other:.30}; it must give one number.")),
        None => return Err("What Prometheus answered is not understood.".to_owned()),
    };
    match value.as_str().map(str::parse::<f64>) {
        Some(Ok(value)) if value.is_finite() => Ok(value),
        Some(Ok(value)) => Err(format!("The query gives {value}, which is no finite number.")),
        _ => Err("What Prometheus answered is not understood.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict::{self, Fail, Inconclusive, Pass};

    #[test]
    fn only_one_finite_number_is_held_against_the_bound() {
        let vector =
            |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#);
        let one = |value: &str| vector(&format!(r#"[{{"metric":{{}},"value":[1.5,"{value}"]}}]"#));
        for (answer, verdict, words) in [
            (one("0.01"), Pass, "keeps to"),
            (one("0.010001"), Fail, "does not keep to"),
            (one("NaN"), Inconclusive, "NaN"),
            (one("+Inf"), Inconclusive, "no finite number"),
            (one("much"), Inconclusive, "not understood"),
            (vector("[]"), Inconclusive, "finds nothing"),
            (vector(r#"[{"value":[1,"0"]},{"value":[1,"0"]}]"#), Inconclusive, "finds 2 numbers"),
            (r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}"#.to_owned(), Pass, "keeps to"),
            (r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned(), Inconclusive, "a matrix"),
            (r#"{"status":"error","error":"parse error"}"#.to_owned(), Inconclusive, "parse error"),
            ("<html>".to_owned(), Inconclusive, "not JSON"),
            ("{}".to_owned(), Inconclusive, "did not say why"),
            (r#"{"status":"success"}"#.to_owned(), Inconclusive, "not understood"),
        ] {
            let found = promql("up", Bound::AtMost(0.01), &Ok(answer.clone().into_bytes()));
            assert_eq!(found.verdict, verdict, "{answer}");
            assert!(found.reason.contains(words), "{answer}: {}", found.reason);
        }
        let unreached: Verdict = promql("up", Bound::AtLeast(1.0), &Err("Nobody answers.".to_owned())).verdict;
        assert_eq!(unreached, Inconclusive);
    }

    #[test]
    fn names_are_escaped_where_they_stand() {
        let target = Target { model: "a\"} or \\vector('1", version: 7, environment: "production" };
        assert_eq!(
            expand(r#"e{model="${model}",env='${environment}'} > ${version}"#, &target).unwrap(),
            r#"e{model="a\x22} or \x5cvector(\x271",env='production'} > 7"#
        );
        assert_eq!(expand("up", &target).unwrap(), "up");
    }

    #[test]
    fn a_name_that_could_be_anything_stands_in_quotes() {
        for good in
            [r#"{a="${model}"}"#, "{a='${environment}'}", "up > ${version}", r#"{a="\"${model}"}"#, "up # it's\n"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "${model}",
            "{a=`${model}`}",
            r#"{a="b"} ${environment}"#,
            "${user}",
            r#"{a="${model"}"#,
            r#"{a="\\"}${model}"#,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}

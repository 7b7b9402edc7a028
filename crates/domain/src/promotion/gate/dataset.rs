//! Whether the data that a version was made from was checked, as it was then.

use super::{Finding, Verdict, counted, held};
use crate::promotion::Uploaded;
use serde_json::{Value, json};

/// The evidence of a check: this before the data set's name.
pub const PREFIX: &str = "dataset/";

/// Whether each data set has a digest, and evidence of a check of exactly that digest that passed. `read` is name and digest
/// of what the version's run read; `wanted` the names that are asked for, or none for all.
#[must_use]
pub fn dataset_checked(wanted: &[String], read: &[(String, String)], uploaded: &[Uploaded]) -> Finding {
    let limit = "each checked at the digest that was read".to_owned();
    let names: Vec<&str> = match wanted.is_empty() {
        true => read.iter().map(|(name, _)| name.as_str()).collect(),
        false => wanted.iter().map(String::as_str).collect(),
    };
    if names.is_empty() {
        return Finding::inconclusive(limit, "The version's run names no data set; log it with mlflow.log_input.");
    }
    let mut all = Vec::new();
    for name in names {
        let digests: Vec<&str> =
            read.iter().filter(|(read, _)| read == name).map(|(_, digest)| digest.as_str()).collect();
        let check = uploaded.iter().find(|one| one.name.strip_prefix(PREFIX) == Some(name));
        if digests.is_empty() {
            let what = format!("The version's run read no data set \"{name}\".");
            all.push((name, "", Verdict::Inconclusive, what));
        }
        for digest in digests {
            let (verdict, what) = one(name, digest, check);
            all.push((name, digest, verdict, what));
        }
    }
    all.dedup();
    let worst =
        [Verdict::Fail, Verdict::Inconclusive].into_iter().find(|worst| all.iter().any(|(_, _, v, _)| v == worst));
    let evidence = json!({
        "datasets": all.iter().map(|(name, digest, verdict, what)| json!({
            "name": name, "digest": digest, "verdict": verdict, "reason": what,
        })).collect::<Vec<_>>(),
    });
    let good = all.iter().filter(|(_, _, verdict, _)| *verdict == Verdict::Pass).count();
    let reason = match worst {
        None => format!("{} checked.", counted(all.len(), "data set was", "data sets were")),
        Some(worst) => {
            let each = all.iter().filter(|(_, _, verdict, _)| *verdict == worst).map(|(.., what)| what.as_str());
            each.collect::<Vec<_>>().join(" ")
        }
    };
    Finding {
        verdict: worst.unwrap_or(Verdict::Pass),
        measured: format!("{good} of {}", all.len()),
        limit,
        reason,
        evidence,
    }
}

fn one(name: &str, digest: &str, check: Option<&Uploaded>) -> (Verdict, String) {
    let unknown = |what: String| (Verdict::Inconclusive, what);
    if digest.is_empty() {
        return unknown(format!("\"{name}\" has no digest."));
    }
    let Some(check) = check else {
        return unknown(format!(
            "There is no evidence {PREFIX}{name}: upload {{\"digest\": \"{digest}\", \"passed\": true}}."
        ));
    };
    match (check.content.get("digest").and_then(Value::as_str), check.content.get("passed").and_then(Value::as_bool)) {
        (None, _) => unknown(format!("The evidence {PREFIX}{name} names no digest.")),
        (Some(other), _) if other != digest => {
            let other: String = other.chars().take(80).collect();
            unknown(format!("\"{name}\" was checked at {other}, and the run read {digest}."))
        }
        (Some(_), None) => unknown(format!("The evidence {PREFIX}{name} does not say whether it passed.")),
        (Some(_), Some(true)) => (held(true), String::new()),
        (Some(_), Some(false)) => (held(false), format!("The check of \"{name}\" did not pass.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        id::EvidenceId,
        promotion::Verdict::{Fail, Inconclusive, Pass},
    };
    use chrono::DateTime;

    #[test]
    fn only_a_check_of_exactly_what_was_read_counts() {
        let pair = |name: &str, digest: &str| (name.to_owned(), digest.to_owned());
        let check = |name: &str, content: Value| Uploaded {
            id: EvidenceId::new(),
            name: name.to_owned(),
            digest: Digest::of_json(&content).unwrap(),
            content,
            uploaded_by: None,
            uploader: String::new(),
            at: DateTime::UNIX_EPOCH,
        };
        let good = || check("dataset/flowers", json!({ "digest": "4f1c", "passed": true }));
        let flowers = || pair("flowers", "4f1c");
        for (wanted, read, uploaded, verdict) in [
            (&[][..], vec![flowers()], vec![good()], Pass),
            (&[], vec![flowers(), flowers()], vec![good()], Pass),
            (&["flowers"], vec![flowers(), pair("soil", "1")], vec![good()], Pass),
            (&[], vec![flowers(), pair("soil", "1")], vec![good()], Inconclusive),
            (&[], vec![], vec![good()], Inconclusive),
            (&["soil"], vec![flowers()], vec![good()], Inconclusive),
            (&[], vec![flowers()], vec![], Inconclusive),
            (&[], vec![pair("flowers", "4f1d")], vec![good()], Inconclusive),
            (&[], vec![pair("flowers", "4f1c"), pair("flowers", "4f1d")], vec![good()], Inconclusive),
            (
                &[],
                vec![pair("flowers", "")],
                vec![check("dataset/flowers", json!({ "digest": "", "passed": true }))],
                Inconclusive,
            ),
            (&[], vec![flowers()], vec![check("flowers", json!({ "digest": "4f1c", "passed": true }))], Inconclusive),
            (&[], vec![flowers()], vec![check("dataset/flowers", json!({ "digest": "4f1c" }))], Inconclusive),
            (
                &[],
                vec![flowers()],
                vec![check("dataset/flowers", json!({ "digest": "4f1c", "passed": "yes" }))],
                Inconclusive,
            ),
            (&[], vec![flowers()], vec![check("dataset/flowers", json!([]))], Inconclusive),
            (&[], vec![flowers()], vec![check("dataset/flowers", json!({ "digest": "4f1c", "passed": false }))], Fail),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let found = dataset_checked(&wanted, &read, &uploaded);
            assert_eq!(found.verdict, verdict, "{wanted:?} {read:?}: {}", found.reason);
        }
    }
}

//! Whether the data that a version was made from was checked, as it was then.

use super::{Finding, Verdict, counted, held};
use crate::{dataset::ChecksState, promotion::Uploaded};
use serde_json::{Value, json};

/// The evidence of a check: this before the data set's name.
pub const PREFIX: &str = "dataset/";

/// A version of a dataset that the version's run read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadVersion {
    /// The dataset.
    pub dataset: String,
    /// The version's number.
    pub number: i32,
    /// What MLflow's clients call it, when that is how it is known that it was read; none when a step took it.
    pub called: Option<String>,
    /// What its checks came to.
    pub checks: ChecksState,
    /// Why that is no pass, in a sentence; empty for one.
    pub objection: String,
    /// Whether they are under way again.
    pub is_checked_again: bool,
}

impl ReadVersion {
    /// The same; but one that is checked again is waited for.
    #[must_use]
    pub fn awaited(&self) -> Self {
        match self.is_checked_again {
            true => {
                let objection = format!("{} is being checked again.", self.title());
                Self { checks: ChecksState::Waiting, objection, ..self.clone() }
            }
            false => self.clone(),
        }
    }

    fn title(&self) -> String {
        format!("{}@{}", self.dataset, self.number)
    }

    fn verdict(&self) -> Verdict {
        match self.checks {
            ChecksState::Waiting => Verdict::Pending,
            ChecksState::Passed => Verdict::Pass,
            ChecksState::Failed => Verdict::Fail,
            ChecksState::Unchecked | ChecksState::Inconclusive => Verdict::Inconclusive,
        }
    }
}

/// What is known of one data set that was read.
struct Known<'a> {
    name: &'a str,
    digest: &'a str,
    /// The version of a dataset that it is.
    version: Option<String>,
    verdict: Verdict,
    what: String,
}

/// Whether each data set was checked as it was read. `read` is name and digest of what the version's run logged to have read;
/// `kept` are the versions of datasets that it read, whose own checks count; of what is none of those, only evidence of a
/// check of exactly the digest that was read. `wanted` are the names that are asked for, or none for all.
#[must_use]
pub fn dataset_checked(
    wanted: &[String],
    read: &[(String, String)],
    kept: &[ReadVersion],
    uploaded: &[Uploaded],
) -> Finding {
    let limit = "each checked as it was read".to_owned();
    let mut all = Vec::new();
    let mut covered: Vec<String> = Vec::new();
    for (index, (name, digest)) in read.iter().enumerate() {
        if read[..index].iter().any(|before| (&before.0, &before.1) == (name, digest)) {
            continue;
        }
        let called = kept.iter().filter(|version| version.called.as_deref() == Some(digest.as_str()));
        let taken =
            |version: &ReadVersion| kept.iter().any(|other| other.called.is_none() && other.title() == version.title());
        let (taken, others): (Vec<_>, Vec<_>) = called.partition(|version| taken(version));
        // A digest of MLflow may be that of several versions; which was meant, the step that took it says.
        let versions = if taken.is_empty() { others } else { taken };
        covered.extend(versions.iter().map(|version| version.title()));
        all.push(match versions.as_slice() {
            [] => {
                let check = uploaded.iter().find(|one| one.name.strip_prefix(PREFIX) == Some(name.as_str()));
                let (verdict, what) = one(name, digest, check);
                Known { name, digest, version: None, verdict, what }
            }
            versions => of_versions(name, digest, versions),
        });
    }
    for version in kept.iter().filter(|version| version.called.is_none() && !covered.contains(&version.title())) {
        all.push(of_versions(&version.dataset, "", &[version]));
    }
    if !wanted.is_empty() {
        let is_of = |known: &Known<'_>, name: &str| {
            let mut titles = known.version.iter().flat_map(|titles| titles.split(" or "));
            known.name == name || titles.any(|title| title.split_once('@').is_some_and(|(dataset, _)| dataset == name))
        };
        let unknown = wanted.iter().filter(|name| !all.iter().any(|known| is_of(known, name)));
        let unknown: Vec<Known<'_>> = unknown
            .map(|name| Known {
                name,
                digest: "",
                version: None,
                verdict: Verdict::Inconclusive,
                what: format!("The version's run read no data set \"{name}\"."),
            })
            .collect();
        all.retain(|known| wanted.iter().any(|name| is_of(known, name)));
        all.extend(unknown);
    }
    if all.is_empty() {
        return Finding::inconclusive(
            limit,
            "The version's run names no data set: take a version of a dataset as an input of its step, or log it with \
             mlflow.log_input.",
        );
    }
    let has = |verdict: Verdict| all.iter().any(|known| known.verdict == verdict);
    let worst = [Verdict::Fail, Verdict::Pending, Verdict::Inconclusive].into_iter().find(|worst| has(*worst));
    let reason = match worst {
        None => format!("{} checked.", counted(all.len(), "data set was", "data sets were")),
        Some(worst) => {
            let each = all.iter().filter(|known| known.verdict == worst).map(|known| known.what.as_str());
            each.collect::<Vec<_>>().join(" ")
        }
    };
    if worst == Some(Verdict::Pending) {
        return Finding::waiting(reason);
    }
    let evidence = json!({
        "datasets": all.iter().map(|known| {
            let mut fields = json!({
                "name": known.name, "digest": known.digest, "verdict": known.verdict, "reason": known.what,
            });
            if let Some(version) = &known.version {
                fields["version"] = version.as_str().into();
            }
            fields
        }).collect::<Vec<_>>(),
    });
    let good = all.iter().filter(|known| known.verdict == Verdict::Pass).count();
    Finding {
        verdict: worst.unwrap_or(Verdict::Pass),
        measured: format!("{good} of {}", all.len()),
        limit,
        reason,
        evidence,
    }
}

/// What was read is one of these versions, and which is not known when they are several.
fn of_versions<'a>(name: &'a str, digest: &'a str, versions: &[&ReadVersion]) -> Known<'a> {
    let titles: Vec<String> = versions.iter().map(|version| version.title()).collect();
    let title = titles.join(" or ");
    let first = versions.first().map_or(Verdict::Inconclusive, |version| version.verdict());
    let objections = || versions.iter().map(|version| version.objection.as_str()).filter(|text| !text.is_empty());
    let (verdict, what) = match versions.iter().all(|version| version.verdict() == first) {
        true => (first, objections().collect::<Vec<_>>().join(" ")),
        false if versions.iter().any(|version| version.verdict() == Verdict::Pending) => {
            (Verdict::Pending, objections().collect::<Vec<_>>().join(" "))
        }
        false => {
            let why = objections().next().unwrap_or_default();
            (Verdict::Inconclusive, format!("\"{name}\" is {title}, which MLflow calls the same: {why}"))
        }
    };
    Known { name, digest, version: Some(title), verdict, what }
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
            let found = dataset_checked(&wanted, &read, &[], &uploaded);
            assert_eq!(found.verdict, verdict, "{wanted:?} {read:?}: {}", found.reason);
        }
    }

    fn version(title: &str, called: Option<&str>, checks: ChecksState) -> ReadVersion {
        let (dataset, number) = title.split_once('@').unwrap();
        let objection = if checks == ChecksState::Passed { String::new() } else { format!("{title} {checks:?}.") };
        let (dataset, number) = (dataset.to_owned(), number.parse().unwrap());
        let called = called.map(str::to_owned);
        ReadVersion { dataset, number, called, checks, objection, is_checked_again: false }
    }

    fn found(wanted: &[&str], read: &[(&str, &str)], kept: &[ReadVersion], uploaded: &[Uploaded]) -> Finding {
        let read: Vec<_> = read.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect();
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        dataset_checked(&wanted, &read, kept, uploaded)
    }

    #[test]
    fn of_a_version_that_a_step_took_its_own_checks_count() {
        for (state, verdict, words) in [
            (ChecksState::Passed, Pass, "1 data set was checked."),
            (ChecksState::Failed, Fail, "wine@3 Failed."),
            (ChecksState::Inconclusive, Inconclusive, "wine@3 Inconclusive."),
            (ChecksState::Unchecked, Inconclusive, "wine@3 Unchecked."),
            (ChecksState::Waiting, Verdict::Pending, "wine@3 Waiting."),
        ] {
            let found = found(&[], &[], &[version("wine@3", None, state)], &[]);
            assert_eq!((found.verdict, found.reason.as_str()), (verdict, words));
        }
        let two = [version("wine@3", None, ChecksState::Passed), version("soil@1", None, ChecksState::Failed)];
        assert_eq!(found(&[], &[], &two, &[]).verdict, Fail);
        assert_eq!(found(&["wine"], &[], &two, &[]).verdict, Pass);
        assert_eq!(found(&["air"], &[], &two, &[]).reason, "The version's run read no data set \"air\".");
        let again = ReadVersion { is_checked_again: true, ..version("wine@3", None, ChecksState::Passed) };
        assert_eq!(found(&[], &[], std::slice::from_ref(&again), &[]).verdict, Pass);
        let awaited = found(&[], &[], &[again.awaited()], &[]);
        assert_eq!((awaited.verdict, &*awaited.reason), (Verdict::Pending, "wine@3 is being checked again."));
        let evidence = found(&["wine"], &[], &two, &[]).evidence;
        assert_eq!(evidence["datasets"][0]["version"], "wine@3");
    }

    #[test]
    fn of_what_slipway_keeps_no_uploaded_evidence_counts() {
        let content = json!({ "digest": "4f1c", "passed": true });
        let uploaded = [Uploaded {
            id: EvidenceId::new(),
            name: "dataset/flowers".to_owned(),
            digest: Digest::of_json(&content).unwrap(),
            content,
            uploaded_by: None,
            uploader: String::new(),
            at: DateTime::UNIX_EPOCH,
        }];
        let read = [("flowers", "4f1c")];
        assert_eq!(found(&[], &read, &[], &uploaded).verdict, Pass);
        let failed = [version("wine@3", Some("4f1c"), ChecksState::Failed)];
        let kept = found(&[], &read, &failed, &uploaded);
        assert_eq!((kept.verdict, kept.reason.as_str()), (Fail, "wine@3 Failed."));
        assert_eq!(found(&["wine"], &read, &failed, &uploaded).verdict, Fail, "by the dataset's name");
        assert_eq!(found(&["flowers"], &read, &failed, &uploaded).verdict, Fail, "by the name that was logged");
    }

    #[test]
    fn a_digest_of_several_versions_tells_only_what_is_so_of_each() {
        let read = [("flowers", "4f1c")];
        let called = |title, checks| version(title, Some("4f1c"), checks);
        let (good, bad) = (called("wine@3", ChecksState::Passed), called("wine@4", ChecksState::Failed));
        let two = found(&[], &read, &[good.clone(), bad.clone()], &[]);
        assert_eq!(two.verdict, Inconclusive);
        assert_eq!(two.reason, "\"flowers\" is wine@3 or wine@4, which MLflow calls the same: wine@4 Failed.");
        let also_good = called("wine@4", ChecksState::Passed);
        assert_eq!(found(&[], &read, &[good.clone(), also_good], &[]).verdict, Pass);
        let also_bad = called("wine@3", ChecksState::Failed);
        assert_eq!(found(&[], &read, &[also_bad, bad.clone()], &[]).verdict, Fail);
        // The step that logged it says which it took.
        let taken = version("wine@3", None, ChecksState::Passed);
        let told = found(&[], &read, &[good, bad, taken], &[]);
        assert_eq!((told.verdict, told.measured.as_str()), (Pass, "1 of 1"));
    }
}

//! Bundles that are whole, and what becomes of them when somebody lays hands on them.

use super::*;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Digest,
    audit::Actor,
    id::{AuditEventId, PromotionId, UserId, WorkspaceId},
};
use proptest::prelude::*;
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{self, Read},
};

#[derive(Clone)]
struct Bundle(BTreeMap<String, Vec<u8>>);

impl Source for Bundle {
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

impl Bundle {
    fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        self.0[name].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    fn set(&mut self, name: &str, lines: &[Vec<u8>]) {
        self.0.insert(name.to_owned(), lines.concat());
    }

    fn manifest(&self) -> Manifest {
        serde_json::from_slice(&self.0[MANIFEST]).unwrap()
    }

    /// Makes manifest and seal fit what the files are now, as whoever has no key can.
    fn seal(&mut self, change: impl FnOnce(&mut Manifest), key: Option<&PrivateKey>) {
        let mut manifest = self.manifest();
        for (name, note) in &mut manifest.files {
            let mut hashed = Hashed::default();
            hashed.update(&self.0[name]);
            *note = hashed.note();
        }
        change(&mut manifest);
        let bytes = canonical(&manifest).unwrap();
        self.0.insert(SEAL.to_owned(), canonical(&Seal::of(&bytes, key).unwrap()).unwrap());
        self.0.insert(MANIFEST.to_owned(), bytes);
    }

    fn report(&mut self) -> Report {
        self.report_with(&Options::default())
    }

    fn report_with(&mut self, options: &Options) -> Report {
        verify(self, options).unwrap()
    }

    /// Whether somebody who verifies it is told that something is wrong.
    fn is_found_out(&mut self) -> bool {
        verify(self, &Options::default()).is_ok_and(|report| !report.holds())
    }
}

fn key() -> PrivateKey {
    PrivateKey::from_seed([3; 32]).unwrap()
}

/// A bundle of so many entries after an earlier one: each third is not shown, and some of the others tell of
/// decisions.
fn bundle(entries: i64, seed: u8, key: Option<&PrivateKey>) -> Bundle {
    let workspace = WorkspaceNote { id: WorkspaceId::new(), slug: "lab".to_owned(), name: "Lab".to_owned() };
    let at: DateTime<Utc> = "2026-11-26T09:05:00.123456Z".parse().unwrap();
    let promotion = PromotionId::new();
    let start = Place { seq: 41, hash: Hash::of(&[seed]) };
    let (mut place, mut hidden) = (start, Vec::new());
    let (mut events, mut decisions) = (Vec::new(), Vec::new());
    let (mut shown, mut undisclosed, mut decided) = (0, 0, 0);
    let flush = |events: &mut Vec<u8>, hidden: &mut Vec<Hash>, place: &Place| {
        if !hidden.is_empty() {
            gap_line(events, place.seq + 1 - hidden.len() as i64, hidden, &place.hash);
            hidden.clear();
        }
    };
    let decided_on = (entries > 0).then(|| json!({ "version": "churn v7", "score": 0.1 }));
    let subject_digest = decided_on.as_ref().map(|subject| Digest::of_json(subject).unwrap());
    let policy_digest = Digest::of_json(&json!({ "gates": [] })).unwrap();
    for number in 0..entries {
        let (user, subject) = (UserId::new(), Digest::of_json(&number).unwrap());
        let mut details = json!({ "n": number, "seed": seed, "text": "a \"b\",\"hash\":\"c\" é" });
        let decides = number % 4 == 3 && number % 3 != 2;
        if decides {
            let decision = json!({
                "id": number.to_string(), "user_id": user, "user_name": "Ada", "verdict": "approve",
                "comment": format!("yes {number}"), "subject_digest": subject, "at": at,
            });
            details = json!({
                "subject_digest": subject, "comment": decision["comment"],
                "decision_digest": Digest::of_json(&decision).unwrap(),
            });
            decisions.extend(
                canonical(&DecisionLine { decision, promotion: Some(promotion), change_request: None }).unwrap(),
            );
            decisions.push(b'\n');
            decided += 1;
        }
        if number == 0 {
            details = json!({ "subject_digest": subject_digest, "policies": [
                { "name": "production", "revision": 1, "digest": policy_digest },
            ] });
        }
        let event = Event {
            id: AuditEventId::new(),
            at: at + TimeDelta::microseconds(number),
            actor: Actor::User { id: user, name: "Ada".to_owned(), is_service: false },
            action: if decides { "promotion.approved" } else { "run.deleted" }.to_owned(),
            object: Object { kind: "promotion".to_owned(), id: promotion.to_string(), name: "#7".to_owned() },
            related: json!([]),
            summary: "did something".to_owned(),
            details,
            request_id: Some("r".to_owned()),
        };
        let bytes = event.bytes().unwrap();
        let digest = Hash::of(&bytes);
        let hash = entry_hash(Some(workspace.id), place.seq + 1, &place.hash, &digest);
        if number % 3 == 2 {
            hidden.push(digest);
            undisclosed += 1;
        } else {
            flush(&mut events, &mut hidden, &place);
            event_line(&mut events, place.seq + 1, &bytes, &hash);
            shown += 1;
        }
        place = Place { seq: place.seq + 1, hash };
    }
    flush(&mut events, &mut hidden, &place);
    let told = json!({
        "promotion": { "id": promotion, "number": 7, "subject": decided_on, "subject_digest": subject_digest },
        "policies": [{ "name": "production", "revision": 1, "document": { "gates": [] }, "digest": policy_digest }],
    });
    let files = [
        (README, readme(key.is_some()).into_bytes()),
        (EVENTS, events),
        (DECISIONS, decisions),
        (PROMOTION, canonical(&told).unwrap()),
        (PAGE, b"<p>the same</p>".to_vec()),
    ];
    let empty = FileNote { sha256: Hash::ZERO, size: 0 };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        made_at: at,
        made_by: "slipway 0.1.0".to_owned(),
        about: About::Promotion { id: promotion, number: 7 },
        start,
        head: place,
        events: shown,
        undisclosed,
        decisions: decided,
        checkpoint: Some(Checkpoint::sign(Some(workspace.id), place.seq, place.hash, at, key).unwrap()),
        key: key.map(PrivateKey::public),
        files: files.iter().map(|(name, _)| ((*name).to_owned(), empty.clone())).collect(),
        workspace,
    };
    let mut bundle = Bundle(files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect());
    bundle.0.insert(MANIFEST.to_owned(), canonical(&manifest).unwrap());
    bundle.seal(|_| {}, key);
    bundle
}

#[test]
fn a_bundle_that_nobody_touched_holds_and_says_what_it_does_not_prove() {
    for key in [None, Some(key())] {
        let mut bundle = bundle(20, 1, key.as_ref());
        let report = bundle.report();
        assert!(report.holds(), "{:#?}", report.checks);
        assert!(report.checks.iter().any(|check| check.what.contains("Decisions: 4, each")), "{:#?}", report.checks);
        assert!(report.not_proven.iter().any(|line| line.starts_with("That history is complete")));
        let unsigned = report.not_proven.iter().any(|line| line.contains("it is not signed"));
        assert_eq!(unsigned, key.is_none());
    }
    let mut nothing = bundle(0, 1, None);
    assert!(nothing.report().holds(), "{:#?}", nothing.report());
}

#[test]
fn what_is_no_bundle_is_told_from_a_bundle_that_is_wrong() {
    let refused = verify(&mut Bundle(BTreeMap::new()), &Options::default()).unwrap_err();
    assert_eq!(refused.to_string(), "this is no audit bundle: it has no manifest.json");
    let mut torn = bundle(3, 1, None);
    torn.0.insert(MANIFEST.to_owned(), b"{".to_vec());
    assert!(torn.is_found_out());
}

#[test]
fn a_head_that_was_kept_shows_how_far_history_is_complete() {
    let mut whole = bundle(20, 1, None);
    let manifest = whole.manifest();
    let with = |head| Options { head: Some(head), key: None };
    let report = whole.report_with(&with(manifest.head.hash));
    assert!(report.holds() && report.proven.iter().any(|line| line.contains("nothing is missing in between")));
    assert!(whole.report_with(&with(manifest.start.hash)).holds());
    assert!(!whole.report_with(&with(Hash::of(b"another"))).holds());
    // Somebody writes everything anew: it agrees with itself, and not with what was kept.
    let mut anew = bundle(20, 2, None);
    assert!(anew.report().holds());
    assert!(!anew.report_with(&with(manifest.head.hash)).holds());
}

#[test]
fn a_key_that_is_known_from_elsewhere_must_be_the_one_that_signed() {
    let (ours, theirs) = (key(), PrivateKey::from_seed([4; 32]).unwrap());
    let with = |key: &PrivateKey| Options { head: None, key: Some(key.public()) };
    let mut signed = bundle(5, 1, Some(&ours));
    assert!(signed.report_with(&with(&ours)).holds());
    assert!(!signed.report_with(&with(&theirs)).holds());
    assert!(!bundle(5, 1, None).report_with(&with(&ours)).holds());
    // Sealed anew by another key, the checkpoint betrays it; and without a key, the seal does.
    signed.seal(|_| {}, Some(&theirs));
    assert!(signed.is_found_out());
    signed.seal(|_| {}, None);
    assert!(signed.is_found_out());
}

#[test]
fn a_file_that_is_missing_or_added_is_found() {
    let whole = bundle(5, 1, None);
    for name in whole.manifest().files.keys() {
        let mut without = whole.clone();
        without.0.remove(name);
        assert!(verify(&mut without, &Options::default()).map_or(name == EVENTS, |report| !report.holds()), "{name}");
    }
    let mut more = whole.clone();
    more.0.insert("note.txt".to_owned(), b"by the way".to_vec());
    assert!(more.is_found_out());
}

#[test]
fn decisions_that_change_places_are_found() {
    let mut swapped = bundle(20, 1, None);
    let lines = swapped.lines(DECISIONS);
    let mut parsed: Vec<DecisionLine> = lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
    // Each keeps its person and subject, and takes the other's words.
    let (one, other) = (parsed[0].decision["comment"].clone(), parsed[1].decision["comment"].clone());
    parsed[0].decision["comment"] = other;
    parsed[1].decision["comment"] = one;
    let lines: Vec<Vec<u8>> = parsed.iter().map(|line| [canonical(line).unwrap(), b"\n".to_vec()].concat()).collect();
    swapped.set(DECISIONS, &lines);
    swapped.seal(|_| {}, None);
    let report = swapped.report();
    assert!(report.checks.iter().any(|check| check.what.contains("is not the one that entry")), "{:#?}", report.checks);
}

#[test]
fn what_was_decided_on_cannot_be_another() {
    for (what, value) in [("subject", json!({ "version": "churn v8" })), ("id", json!(PromotionId::new()))] {
        let mut other = bundle(5, 1, None);
        let mut told: serde_json::Value = serde_json::from_slice(&other.0[PROMOTION]).unwrap();
        told["promotion"][what] = value;
        other.0.insert(PROMOTION.to_owned(), canonical(&told).unwrap());
        other.seal(|_| {}, None);
        assert!(other.is_found_out(), "{what}");
    }
    // With a digest that fits it, no event names it.
    let mut other = bundle(5, 1, None);
    let mut told: serde_json::Value = serde_json::from_slice(&other.0[PROMOTION]).unwrap();
    told["policies"][0] = json!({
        "name": "production", "revision": 1, "document": {}, "digest": Digest::of_json(&json!({})).unwrap(),
    });
    other.0.insert(PROMOTION.to_owned(), canonical(&told).unwrap());
    other.seal(|_| {}, None);
    let report = other.report();
    assert!(report.checks.iter().any(|check| check.what.starts_with("No event here names")), "{:#?}", report.checks);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_byte_that_changes_is_found(
        entries in 4_i64..14,
        signed: bool,
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let key = key();
        let mut bundle = bundle(entries, 1, signed.then_some(&key));
        let name = file.get(&bundle.names()).clone();
        let bytes = bundle.0.get_mut(&name).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(bundle.is_found_out(), "byte {at} of {name}");
    }

    // As one who mends manifest and seal, which takes no key where nothing is signed.
    #[test]
    fn any_line_that_changes_is_found_though_the_manifest_is_mended(
        entries in 4_i64..14,
        in_decisions: bool,
        line in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        how in 0..5,
    ) {
        let mut bundle = bundle(entries, 1, None);
        let name = if in_decisions { DECISIONS } else { EVENTS };
        let before = bundle.lines(name);
        let mut lines = before.clone();
        let line = line.index(lines.len());
        match how {
            0 => {
                let at = at.index(lines[line].len());
                lines[line][at] ^= flip;
            }
            1 => drop(lines.remove(line)),
            2 => {
                let other = other.index(lines.len());
                lines.swap(line, other);
            }
            3 => {
                let other = other.index(lines.len());
                let taken = lines.remove(line);
                lines.insert(other, taken);
            }
            _ => {
                let again = lines[line].clone();
                lines.insert(other.index(lines.len()), again);
            }
        }
        // The order of decisions says nothing: each is held against its event.
        let sorted = |lines: &[Vec<u8>]| { let mut lines = lines.to_vec(); lines.sort(); lines };
        if lines == before || (in_decisions && sorted(&lines) == sorted(&before)) {
            return Ok(());
        }
        bundle.set(name, &lines);
        let count = |prefix: &[u8]| lines.iter().filter(|line| line.starts_with(prefix)).count() as u64;
        let (events, decisions) = (count(br#"{"event""#), lines.len() as u64);
        bundle.seal(
            |manifest| if in_decisions { manifest.decisions = decisions } else { manifest.events = events },
            None,
        );
        prop_assert!(bundle.is_found_out(), "line {line} of {name}, way {how}");
    }
}

/// A bundle as it comes: a ZIP archive.
struct Zipped(zip::ZipArchive<io::Cursor<Vec<u8>>>);

impl Source for Zipped {
    fn names(&self) -> Vec<String> {
        self.0.file_names().map(|name| name.unwrap().into_owned()).collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.0.by_name(name)?))
    }
}

/// What `slipway verify` does with a large bundle: run it by `make bench-audit`.
#[test]
#[ignore = "a measurement"]
fn a_hundred_thousand_events() {
    let bundle = bundle(150_000, 1, Some(&key()));
    let (events, size) = (bundle.manifest().events, bundle.0.values().map(Vec::len).sum::<usize>());
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in &bundle.0 {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file(name.as_str(), options).unwrap();
        io::Write::write_all(&mut archive, bytes).unwrap();
    }
    let archive = archive.finish().unwrap();
    let began = std::time::Instant::now();
    let mut zipped = Zipped(zip::ZipArchive::new(archive).unwrap());
    assert!(verify(&mut zipped, &Options::default()).unwrap().holds());
    let took = began.elapsed().as_millis();
    #[allow(clippy::print_stdout, reason = "the figure")]
    {
        println!("verified {events} events, {} MB unpacked, in {took} ms", size / 1_000_000);
    }
}

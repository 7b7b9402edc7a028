//! Verifying a bundle: every check is made, also after one that does not hold, and what is proven is told with what is not.

use crate::{
    About, DECISIONS, DecisionLine, EVENTS, FORMAT, GAP, Hash, Hashed, MANIFEST, Manifest, PROMOTION, Place, PublicKey,
    SEAL, Seal,
    bundle::{HASH, gap_line},
    canonical, entry_hash,
};
use domain::Digest;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead as _, BufReader, Read},
};

/// The events that tell of a decision, and its verdict.
const DECIDING: [(&str, &str); 6] = [
    ("promotion.approved", "approve"),
    ("promotion.rejected", "reject"),
    ("promotion.changes_requested", "request_changes"),
    ("change_request.approved", "approve"),
    ("change_request.rejected", "reject"),
    ("change_request.changes_requested", "request_changes"),
];

/// The most bytes of a manifest or seal.
const MAX_NOTE: u64 = 1 << 20;
/// The most bytes of a line, and of what was decided on.
const MAX_LINE: u64 = 64 << 20;

/// The files of a bundle.
pub trait Source {
    /// Their names.
    fn names(&self) -> Vec<String>;

    /// The bytes of one of them.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>>;
}

/// What is known from elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A head that was kept.
    pub head: Option<Hash>,
    /// The server's public key.
    pub key: Option<PublicKey>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether it holds.
    pub holds: bool,
    /// What was found, as a sentence.
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// What is proven by it; empty unless all holds.
    pub proven: Vec<String>,
    /// What is not.
    pub not_proven: Vec<String>,
}

impl Report {
    /// Whether everything that was looked at holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    fn say(&mut self, holds: bool, what: impl Into<String>) -> bool {
        self.checks.push(Check { holds, what: what.into() });
        holds
    }

    /// Says that it holds, or why not.
    fn tell(&mut self, found: Result<String, String>) -> bool {
        match found {
            Ok(what) => self.say(true, what),
            Err(what) => self.say(false, what),
        }
    }
}

/// Why there is nothing to verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no audit bundle: it has no {0}")]
pub struct NotABundle(&'static str);

/// Verifies a bundle.
///
/// # Errors
/// When it is none. What is wrong with one is in the report.
pub fn verify(source: &mut impl Source, options: &Options) -> Result<Report, NotABundle> {
    let names: BTreeSet<String> = source.names().into_iter().collect();
    if let Some(missing) = [MANIFEST, EVENTS].into_iter().find(|name| !names.contains(*name)) {
        return Err(NotABundle(missing));
    }
    let mut report = Report::default();
    let Some((manifest, seal)) = notes(source, &mut report) else { return Ok(report) };
    let mut walk = Walk::new(&manifest, options);
    files(source, &names, &manifest, &mut walk, &mut report);
    walk.end(&manifest, &mut report);
    signatures(&manifest, &seal, options, &mut report);
    if let Some(kept) = options.head {
        report.tell(match walk.kept {
            Some(seq) => Ok(format!("The head that was kept is the hash of entry {seq}.")),
            None => Err(format!("The head that was kept, {}, is not among the entries here.", kept.short())),
        });
    }
    if report.holds() {
        proven(&manifest, &walk, options, &mut report);
    } else {
        report.not_proven.push("Anything: see what does not hold above.".to_owned());
    }
    Ok(report)
}

fn read(source: &mut impl Source, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = source.open(name).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 <= most => Ok(bytes),
        Ok(_) => Err(format!("{name} is larger than it can be.")),
        Err(error) => Err(format!("{name} cannot be read: {error}.")),
    }
}

/// Reads a file that is exactly the canonical JSON of what it says.
fn read_canonical<T>(name: &str, bytes: &[u8]) -> Result<T, String>
where
    T: serde::Serialize + for<'de> Deserialize<'de>,
{
    let value: T = serde_json::from_slice(bytes).map_err(|error| format!("{name} cannot be understood: {error}."))?;
    match canonical(&value) {
        Ok(expected) if expected == bytes => Ok(value),
        _ => Err(format!("{name} is not in the form in which it is written.")),
    }
}

/// The manifest and the seal, when they can be understood and fit each other.
fn notes(source: &mut impl Source, report: &mut Report) -> Option<(Manifest, Seal)> {
    let found = read(source, MANIFEST, MAX_NOTE).and_then(|bytes| {
        let manifest: Manifest = read_canonical(MANIFEST, &bytes)?;
        if manifest.format != FORMAT {
            return Err(format!("{MANIFEST} is in a format that this version does not know."));
        }
        Ok((Hash::of(&bytes), manifest))
    });
    let (hash, manifest) = match found {
        Ok(found) => found,
        Err(why) => {
            report.say(false, why);
            return None;
        }
    };
    let sealed = read(source, SEAL, MAX_NOTE).and_then(|bytes| read_canonical::<Seal>(SEAL, &bytes));
    match sealed {
        Ok(seal) => {
            report.tell(if seal.manifest == hash {
                Ok("The manifest is the one that the seal names.".to_owned())
            } else {
                Err("The manifest is not the one that the seal names.".to_owned())
            });
            Some((manifest, seal))
        }
        Err(why) => {
            report.say(false, why);
            None
        }
    }
}

/// Holds every file against the manifest, and follows the chain meanwhile.
fn files(
    source: &mut impl Source,
    names: &BTreeSet<String>,
    manifest: &Manifest,
    walk: &mut Walk,
    report: &mut Report,
) {
    let known = |name: &String| name == MANIFEST || name == SEAL || manifest.files.contains_key(name);
    for name in names.iter().filter(|name| !known(name)) {
        report.say(false, format!("The manifest does not name the file {}.", shown(name)));
    }
    if !manifest.files.contains_key(EVENTS) {
        report.say(false, format!("The manifest does not name {EVENTS}."));
    }
    // The decisions are held against the events, so they come after them.
    let mut wanted: Vec<&String> = manifest.files.keys().collect();
    wanted.sort_by_key(|name| (name.as_str() != EVENTS, *name));
    let mut whole = 0_usize;
    for name in wanted {
        let found = match name.as_str() {
            EVENTS => source.open(name).map_err(|error| error.to_string()).and_then(|file| walk.events(file)),
            DECISIONS => source.open(name).map_err(|error| error.to_string()).and_then(|file| walk.decisions(file)),
            PROMOTION => read(source, name, MAX_LINE).map(|bytes| {
                report.tell(walk.promotion(&bytes));
                hashed(&bytes)
            }),
            _ => source.open(name).map_err(|error| error.to_string()).and_then(|file| {
                let mut hashed = Hashed::default();
                lines(file, &mut hashed, |_| {}).map(|()| hashed)
            }),
        };
        match found {
            Ok(hashed) if hashed.clone().note() == manifest.files[name] => whole += 1,
            Ok(_) => {
                report.say(false, format!("{} is not the file that the manifest names.", shown(name)));
            }
            Err(why) => {
                report.say(false, format!("{} cannot be read: {why}", shown(name)));
            }
        }
    }
    if whole == manifest.files.len() {
        report.say(true, format!("All {whole} files are those that the manifest names."));
    }
    if matches!(manifest.about, About::Promotion { .. }) && !manifest.files.contains_key(PROMOTION) {
        report.say(false, format!("The manifest does not name {PROMOTION}."));
    }
}

fn hashed(bytes: &[u8]) -> Hashed {
    let mut hashed = Hashed::default();
    hashed.update(bytes);
    hashed
}

/// A name as a message shows it.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Goes through the lines of a file, noting its bytes. Each comes with its end.
fn lines(file: impl Read, noted: &mut Hashed, mut each: impl FnMut(&[u8])) -> Result<(), String> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(());
        }
        noted.update(&line);
        each(&line);
    }
}

/// What an event tells of a decision.
#[derive(Deserialize)]
struct Told {
    action: String,
    actor: Value,
    object: Value,
    details: Value,
}

fn read_event(event: &str) -> Result<Told, &'static str> {
    serde_json::from_str(event).map_err(|_| "its event cannot be understood")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A decision that an event tells of.
struct Expected {
    seq: i64,
    verdict: &'static str,
    comment: Value,
    /// None of events from before it was noted.
    digest: Option<String>,
}

/// Following the chain.
struct Walk<'a> {
    manifest: &'a Manifest,
    kept_head: Option<Hash>,
    place: Place,
    events: u64,
    undisclosed: u64,
    /// Where the chain breaks, and why.
    broken: Option<String>,
    /// The entry whose hash is the head that was kept.
    kept: Option<i64>,
    /// The hash at the checkpoint.
    at_checkpoint: Option<Hash>,
    /// The subjects that events of the promotion name, each with the policy it was held against.
    subjects: BTreeSet<[String; 2]>,
    /// By promotion, person and digest of the subject.
    expected: BTreeMap<[String; 4], Expected>,
    decisions: u64,
    /// How many decisions are told of by events without their digest.
    older: u64,
    wrong_decision: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(manifest: &'a Manifest, options: &Options) -> Self {
        let mut walk = Self {
            manifest,
            kept_head: options.head,
            place: manifest.start,
            events: 0,
            undisclosed: 0,
            broken: None,
            kept: None,
            at_checkpoint: None,
            subjects: BTreeSet::new(),
            expected: BTreeMap::new(),
            decisions: 0,
            older: 0,
            wrong_decision: None,
        };
        let start = walk.place;
        if start.seq < 0 || (start.seq == 0) != (start.hash == Hash::ZERO) {
            walk.broken = Some("The chain begins nowhere: the entry before the first is not one.".to_owned());
        }
        walk.arrive(start);
        walk
    }

    fn arrive(&mut self, place: Place) {
        self.place = place;
        if self.kept_head == Some(place.hash) {
            self.kept = Some(place.seq);
        }
        if self.manifest.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.seq == place.seq) {
            self.at_checkpoint = Some(place.hash);
        }
    }

    fn step(&mut self, event: &Hash) {
        let seq = self.place.seq + 1;
        let hash = entry_hash(Some(self.manifest.workspace.id), seq, &self.place.hash, event);
        self.arrive(Place { seq, hash });
    }

    fn events(&mut self, file: impl Read) -> Result<Hashed, String> {
        let mut noted = Hashed::default();
        lines(file, &mut noted, |line| {
            if self.broken.is_none()
                && let Err(why) = self.entry(line)
            {
                self.broken = Some(format!("The chain breaks at entry {}: {why}.", self.place.seq + 1));
            }
        })?;
        Ok(noted)
    }

    /// Takes a line. Every byte of it counts: it must be the one that would be written.
    fn entry(&mut self, line: &[u8]) -> Result<(), &'static str> {
        const FORM: &str = "its line is not in the form in which it is written";
        let before = self.place;
        let text = str::from_utf8(line).map_err(|_| FORM)?;
        let at = text.rfind(HASH).ok_or(FORM)?;
        let (content, tail) = text.split_at(at);
        let said = tail.get(HASH.len()..HASH.len() + 64).and_then(|hash| hash.parse::<Hash>().ok()).ok_or(FORM)?;
        if let Some(event) = content.strip_prefix(r#"{"event":"#) {
            self.step(&Hash::of(event.as_bytes()));
            if self.place.hash != said {
                self.place = before;
                return Err("its hash is not that of its event after the entry before");
            }
            self.events += 1;
            self.told(event)?;
        } else {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Gap {
                digests: Vec<Hash>,
                hash: Hash,
                seq: i64,
            }
            let gap: Gap = serde_json::from_str(text).map_err(|_| FORM)?;
            let mut expected = Vec::with_capacity(line.len());
            gap_line(&mut expected, gap.seq, &gap.digests, &gap.hash);
            if expected != line || gap.digests.is_empty() || gap.digests.len() > GAP {
                return Err(FORM);
            }
            for digest in &gap.digests {
                self.step(digest);
            }
            if self.place.hash != said {
                self.place = before;
                return Err("the hash of those that are not shown is another");
            }
            self.undisclosed += gap.digests.len() as u64;
        }
        if tail == format!("{HASH}{said}\",\"seq\":{}}}\n", before.seq + 1) {
            Ok(())
        } else {
            Err("it has another number")
        }
    }

    /// Notes what an event tells of a decision or a subject.
    fn told(&mut self, event: &str) -> Result<(), &'static str> {
        // Most events tell of none, and are not read.
        let rest = event.strip_prefix(r#"{"action":""#).unwrap_or_default();
        let action = rest.split('"').next().unwrap_or_default();
        let decides = DECIDING.iter().any(|(one, _)| *one == action);
        let About::Promotion { id, .. } = &self.manifest.about else {
            return if decides { self.expect(&read_event(event)?) } else { Ok(()) };
        };
        if !decides && !event.contains(r#""subject_digest":"#) {
            return Ok(());
        }
        let told = read_event(event)?;
        if told.object["id"].as_str() == Some(&id.to_string()) {
            self.subjects.insert([text(&told.details["subject_digest"]), told.details["policies"].to_string()]);
        }
        if decides { self.expect(&told) } else { Ok(()) }
    }

    /// Notes a decision.
    fn expect(&mut self, told: &Told) -> Result<(), &'static str> {
        let verdict = DECIDING.iter().find(|(action, _)| told.action == *action).map_or("", |(_, verdict)| verdict);
        let subject = text(&told.details["subject_digest"]);
        let key = [text(&told.object["id"]), text(&told.actor["id"]), subject, verdict.to_owned()];
        let expected = Expected {
            seq: self.place.seq,
            verdict,
            comment: told.details["comment"].clone(),
            digest: told.details["decision_digest"].as_str().map(ToOwned::to_owned),
        };
        match self.expected.insert(key, expected) {
            None => Ok(()),
            Some(_) => Err("it tells of a decision a second time"),
        }
    }

    /// Whether what was decided on agrees with itself, with the manifest, and with what the events say.
    fn promotion(&self, bytes: &[u8]) -> Result<String, String> {
        let value: Value = read_canonical(PROMOTION, bytes)?;
        let About::Promotion { id, number } = &self.manifest.about else {
            return Err(format!("{PROMOTION} is there, and the bundle is of a period."));
        };
        let promotion = &value["promotion"];
        if promotion["id"].as_str() != Some(&id.to_string()) || promotion["number"].as_i64() != Some(*number) {
            return Err(format!("{PROMOTION} is of another promotion than the manifest says."));
        }
        let subject = &promotion["subject_digest"];
        let policies = value["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let documents = policies.iter().map(|policy| ("policy", &policy["document"], &policy["digest"]));
        for (what, content, digest) in [("subject", &promotion["subject"], subject)].into_iter().chain(documents) {
            if content.is_null() && digest.is_null() {
                continue;
            }
            if Digest::of_json(content).ok().as_ref().map(Digest::as_str) != digest.as_str() {
                return Err(format!("The {what} in {PROMOTION} is not the one that its digest names."));
            }
        }
        if subject.is_null() {
            return Ok(format!("Promotion #{number} has no subject yet: its gates have not run."));
        }
        let pin = |policy: &Value| serde_json::json!({ "digest": policy["digest"], "name": policy["name"], "revision": policy["revision"] });
        let pins = Value::Array(policies.iter().map(pin).collect());
        if !self.subjects.contains(&[text(subject), pins.to_string()]) {
            return Err(format!("No event here names the subject and the policies in {PROMOTION}."));
        }
        Ok(format!("The subject and the policies of promotion #{number} are those that an event here names."))
    }

    fn decisions(&mut self, file: impl Read) -> Result<Hashed, String> {
        let mut noted = Hashed::default();
        lines(file, &mut noted, |line| {
            self.decisions += 1;
            if let Err(why) = self.decision(line)
                && self.wrong_decision.is_none()
            {
                self.wrong_decision = Some(format!("Decision {} of {DECISIONS} {why}.", self.decisions));
            }
        })?;
        Ok(noted)
    }

    fn decision(&mut self, line: &[u8]) -> Result<(), String> {
        let form = || "is not in the form in which it is written".to_owned();
        let line = line.strip_suffix(b"\n").ok_or_else(form)?;
        let DecisionLine { decision, promotion, change_request } =
            read_canonical(DECISIONS, line).map_err(|_| form())?;
        let on = match (promotion, change_request) {
            (Some(promotion), None) => promotion.to_string(),
            (None, Some(request)) => request.to_string(),
            _ => return Err(form()),
        };
        let subject = text(&decision["subject_digest"]);
        let key = [on, text(&decision["user_id"]), subject, text(&decision["verdict"])];
        let expected = self.expected.remove(&key).ok_or("is one that no event here tells of")?;
        let is_it = match &expected.digest {
            Some(digest) => Digest::of_json(&decision).is_ok_and(|found| found.as_str() == digest),
            None => {
                self.older += 1;
                decision["verdict"].as_str() == Some(expected.verdict) && decision["comment"] == expected.comment
            }
        };
        match is_it {
            true => Ok(()),
            false => Err(format!("is not the one that entry {} tells of", expected.seq)),
        }
    }

    /// Says where the walk has led.
    fn end(&self, manifest: &Manifest, report: &mut Report) {
        let (first, last) = (manifest.start.seq + 1, manifest.head.seq);
        report.tell(match &self.broken {
            Some(why) => Err(why.clone()),
            None if self.place != manifest.head => Err(format!(
                "The chain leads to entry {} with the hash {}, and the manifest says {} with {}: entries are missing or added.",
                self.place.seq,
                self.place.hash.short(),
                manifest.head.seq,
                manifest.head.hash.short()
            )),
            None if (self.events, self.undisclosed) != (manifest.events, manifest.undisclosed) => {
                Err("The manifest counts other events than there are.".to_owned())
            }
            None if first > last => Ok(format!("The chain stands at entry {last}, and no entry is here.")),
            None => Ok(format!(
                "The chain is whole from entry {first} to {last}: {} shown, {} by their digests alone.",
                events(self.events),
                self.undisclosed
            )),
        });
        let left = self.expected.values().next();
        report.tell(match (&self.wrong_decision, left) {
            (Some(why), _) => Err(why.clone()),
            (None, Some(expected)) => {
                Err(format!("The decision that entry {} tells of is missing from {DECISIONS}.", expected.seq))
            }
            (None, None) if self.decisions != manifest.decisions => {
                Err("The manifest counts other decisions than there are.".to_owned())
            }
            (None, None) => Ok(match self.decisions {
                0 => "No event here tells of a decision.".to_owned(),
                many => format!("Decisions: {many}, each the one that its event tells of."),
            }),
        });
        if let Some(checkpoint) = &manifest.checkpoint {
            report.tell(if self.at_checkpoint == Some(checkpoint.head) {
                Ok(format!("The checkpoint names the hash of entry {}.", checkpoint.seq))
            } else {
                Err("The checkpoint names a head that the chain does not have there.".to_owned())
            });
        }
    }
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

fn signatures(manifest: &Manifest, seal: &Seal, options: &Options, report: &mut Report) {
    let checkpoint = manifest.checkpoint.as_ref();
    let Some(key) = manifest.key else {
        let claims = seal.key.is_some() || seal.signature.is_some();
        let claims = claims || checkpoint.is_some_and(|one| one.key.is_some() || one.signature.is_some());
        report.tell(match (claims, options.key) {
            (true, _) => Err("There is a signature, and no key to check it with.".to_owned()),
            (false, Some(_)) => Err("The bundle is not signed, and a key is given.".to_owned()),
            (false, None) => Ok("The bundle is not signed, and says so.".to_owned()),
        });
        return;
    };
    report.tell(if seal.is_signed_by(&key) {
        Ok(format!("The seal is signed by the key {}.", key.id()))
    } else {
        Err(format!("The seal is not signed by the key {}.", key.id()))
    });
    report.tell(match checkpoint {
        Some(one) if one.is_signed_by(Some(manifest.workspace.id), &key) => {
            Ok(format!("The checkpoint is signed by the key {}, as of {}.", key.id(), one.at))
        }
        Some(_) => Err(format!("The checkpoint is not signed by the key {}.", key.id())),
        None if manifest.head == Place::BEGINNING => {
            Ok("The chain has no entry yet, so there is no checkpoint.".to_owned())
        }
        None => Err("A key is there, and no checkpoint.".to_owned()),
    });
    if let Some(given) = options.key {
        report.tell(if given == key {
            Ok(format!("The key {} is the one that is given.", key.id()))
        } else {
            Err(format!("The key {} is not the one that is given, {}.", key.id(), given.id()))
        });
    }
}

/// Says what is proven when all holds, and what is not.
fn proven(manifest: &Manifest, walk: &Walk, options: &Options, report: &mut Report) {
    let (first, last) = (manifest.start.seq + 1, manifest.head.seq);
    if walk.events > 0 {
        report.proven.push(format!(
            "The {} here are those of which the chain from entry {first} to {last} was made, unchanged and each at its place.",
            events(walk.events)
        ));
    }
    if walk.decisions > 0 {
        report
            .proven
            .push("The decisions here are those that the events tell of; none of theirs is missing.".to_owned());
    }
    match (manifest.key, options.key) {
        (Some(key), Some(_)) => {
            report.proven.push(format!("The holder of your key {} signed this bundle and its head.", key.id()));
        }
        (Some(key), None) => report.not_proven.push(format!(
            "Whose key {} is: it came with the bundle. Compare it with the server's, by --key.",
            key.id()
        )),
        (None, _) => report.not_proven.push(
            "Who made this: it is not signed. Anybody could have written a bundle that agrees with itself.".to_owned(),
        ),
    }
    match walk.kept {
        Some(seq) if seq > manifest.start.seq => {
            report.proven.push(format!(
                "From entry {first} to {seq} history is as it was when the head was kept: nothing is missing in between."
            ));
            if seq < last {
                report.not_proven.push(format!("That history is complete after entry {seq}."));
            }
        }
        Some(seq) => report.not_proven.push(format!(
            "More than that history up to entry {seq}, before the first one here, is as it was when the head was kept."
        )),
        None => report.not_proven.push(
            "That history is complete: whoever holds the database and the key can write another. A head that was kept \
             elsewhere shows that, by --head."
                .to_owned(),
        ),
    }
    if walk.undisclosed > 0 {
        report
            .not_proven
            .push(format!("What is in the {} that are not shown; only where they are.", entries(walk.undisclosed)));
    }
    if walk.older > 0 {
        report.not_proven.push(format!(
            "The time and id of {} of the decisions: their events are older than the digest of decisions.",
            walk.older
        ));
    }
    report.not_proven.push("That what was written down is true: times are of the server's clock.".to_owned());
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

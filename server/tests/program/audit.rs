//! An audit bundle from a server that runs, verified by the program alone, and after somebody laid hands on it.

use crate::slipway::{PATIENCE, Slipway};
use artifacts::Artifacts;
use chain::{DECISIONS, EVENTS, Hashed, MANIFEST, Manifest, SEAL, Seal, canonical};
use domain::{
    Digest,
    id::{ModelId, ModelVersionId},
    model::{VersionFile, manifest_digest},
    permission::{Role, Scope},
    promotion::{DecisionVerdict, PromotionState},
    user::{Email, Password},
};
use services::{Caller, Credential, Ctx, NewDecision, NewPromotion, NewUser, Services};
use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
    process::Output,
};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

type Files = BTreeMap<String, Vec<u8>>;

fn unpack(bytes: &[u8]) -> Files {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|place| {
            let mut file = archive.by_index(place).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn pack(files: &Files) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Makes manifest and seal fit the files, as whoever has no key can.
fn mend(files: &mut Files, change: impl FnOnce(&mut Manifest)) {
    let mut manifest: Manifest = serde_json::from_slice(&files[MANIFEST]).unwrap();
    for (name, note) in &mut manifest.files {
        let mut hashed = Hashed::default();
        hashed.update(&files[name]);
        *note = hashed.note();
    }
    change(&mut manifest);
    let manifest = canonical(&manifest).unwrap();
    files.insert(SEAL.to_owned(), canonical(&Seal::of(&manifest, None).unwrap()).unwrap());
    files.insert(MANIFEST.to_owned(), manifest);
}

async fn person(services: &Services, name: &str, role: Role) -> Ctx {
    let new = NewUser {
        email: Email::parse(&format!("{name}@slipway.test")).unwrap(),
        name: name.to_owned(),
        password: Password::choose("correct horse battery".to_owned()).unwrap(),
    };
    let user = services.create_user(new, [role].into()).await.unwrap();
    let credential = Credential::Session("test".to_owned());
    let caller = Caller { user, credential, scope: Scope::Admin, request_id: None };
    services.enter(caller, None).await.unwrap().unwrap()
}

async fn version(slipway: &Slipway, services: &Services) {
    let workspace = services.ensure_default_workspace().await.unwrap();
    let file = VersionFile { path: "model.onnx".to_owned(), digest: Digest::blake3([0; 32]), size: 1 };
    sqlx::query(
        "with model as (
             insert into models (id, workspace_id, name) values ($1, $2, 'wine') returning id
         ), version as (
             insert into model_versions (id, model_id, version, source, digest, flavors)
             select $3, id, 1, 'runs:/x/model', $4, array['onnx'] from model
             returning id
         )
         insert into model_version_files (model_version_id, path, digest, size)
         select id, $5, $6, 1 from version",
    )
    .bind(ModelId::new().0)
    .bind(workspace.id.0)
    .bind(ModelVersionId::new().0)
    .bind(manifest_digest(std::slice::from_ref(&file)).unwrap().unwrap().as_str())
    .bind(&file.path)
    .bind(file.digest.as_str())
    .execute(slipway.pool())
    .await
    .unwrap();
}

/// A promotion that two people approved.
async fn promotion(slipway: &Slipway) -> i64 {
    let artifacts = Artifacts::open_dir(slipway.data().join("artifacts")).await.unwrap();
    let services = Services::new(slipway.pool().clone(), artifacts);
    let admin = person(&services, "admin", Role::Admin).await;
    let requester = person(&services, "requester", Role::Contributor).await;
    let document = serde_json::from_value(serde_json::json!({ "rule": { "approvals": 2 } })).unwrap();
    services.set_policy(&admin, "production", document, None).await.unwrap();
    version(slipway, &services).await;
    let new = NewPromotion {
        model: "wine".to_owned(),
        version: 1,
        environment: "production".to_owned(),
        comment: "better <b>everywhere</b>".to_owned(),
        draft: false,
        again: None,
    };
    let promotion = services.request_promotion(&requester, new).await.unwrap();
    assert_eq!(services.advance_promotion(promotion.id).await.unwrap(), PromotionState::AwaitingApproval);
    for name in ["one", "two"] {
        let approver = person(&services, name, Role::Approver).await;
        let detail = services.promotion(&approver, promotion.number).await.unwrap();
        let decision = NewDecision {
            verdict: DecisionVerdict::Approve,
            comment: format!("{name} agrees"),
            subject_digest: detail.promotion.subject_digest.unwrap(),
            rules: Vec::new(),
            inputs: BTreeMap::new(),
            checked: BTreeMap::new(),
            password: None,
        };
        services.decide_promotion(&approver, promotion.number, decision).await.unwrap();
    }
    promotion.number
}

/// What the program says of a bundle: its exit code and its words.
struct Verifier<'a> {
    slipway: &'a Slipway,
    file: &'a Path,
}

impl Verifier<'_> {
    fn verify(&self, bytes: &[u8], options: &[&str]) -> (Option<i32>, String) {
        fs::write(self.file, bytes).unwrap();
        let Output { status, stdout, stderr } =
            self.slipway.cli(&[&["verify", self.file.to_str().unwrap()], options].concat());
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    #[track_caller]
    fn holds(&self, bytes: &[u8], options: &[&str]) -> String {
        let (code, said) = self.verify(bytes, options);
        assert_eq!(code, Some(0), "{said}");
        said
    }

    #[track_caller]
    fn is_wrong(&self, bytes: &[u8], options: &[&str], why: &str) {
        let (code, said) = self.verify(bytes, options);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why), "{why} in {said}");
    }
}

fn lines(files: &Files, name: &str) -> Vec<Vec<u8>> {
    files[name].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn a_bundle_is_verified_without_the_server_and_betrays_whoever_touched_it() {
    let (slipway, mut server) = Slipway::start(&["--no-worker"]).await;
    let number = promotion(&slipway).await;
    let path = slipway.data().join("bundle.zip");
    let verifier = Verifier { slipway: &slipway, file: &path };

    let unsigned = slipway.download(&format!("promotions/{number}/bundle")).await;
    let said = verifier.holds(&unsigned, &[]);
    assert!(said.contains("Decisions: 2, each the one that its event tells of."), "{said}");
    assert!(said.contains("Who made this: it is not signed."), "{said}");
    let head = slipway.get("audit/head").await;
    let kept = head["head"].as_str().unwrap();
    assert!(verifier.holds(&unsigned, &["--head", kept]).contains("nothing is missing in between"));
    verifier.is_wrong(&unsigned, &["--head", &"ab".repeat(32)], "is not among the entries here");

    // One byte, in what is shown and in the manifest; the archive's own sums are mended.
    for name in unpack(&unsigned).keys() {
        let mut files = unpack(&unsigned);
        let bytes = files.get_mut(name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        verifier.is_wrong(&pack(&files), &[], "does NOT hold");
    }
    // One byte of the archive: what holds is the bundle as it was, or it is none.
    let mut torn = unsigned.clone();
    let middle = torn.len() / 2;
    torn[middle] ^= 1;
    assert_ne!(verifier.verify(&torn, &[]).0, Some(0));

    // One missing event, with everything mended that can be mended.
    let whole = unpack(&unsigned);
    for missing in 0..lines(&whole, EVENTS).len() {
        let mut files = whole.clone();
        let mut events = lines(&files, EVENTS);
        let taken = events.remove(missing);
        files.insert(EVENTS.to_owned(), events.concat());
        let was_shown = taken.starts_with(br#"{"event""#);
        mend(&mut files, |manifest| {
            if was_shown {
                manifest.events -= 1;
            }
        });
        verifier.is_wrong(&pack(&files), &[], "The chain");
    }

    // Two decisions that changed places: each keeps its person, and takes the other's words.
    let mut files = whole.clone();
    let decisions: Vec<String> =
        lines(&files, DECISIONS).into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    let swapped = decisions[0].replace("one agrees", "two agrees") + &decisions[1].replace("two agrees", "one agrees");
    files.insert(DECISIONS.to_owned(), swapped.into_bytes());
    mend(&mut files, |_| {});
    verifier.is_wrong(&pack(&files), &[], "is not the one that entry");

    // With a key, nothing is mended at all.
    let made = slipway.command(&["admin", "audit-key", "create"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let listed = slipway.command(&["admin", "audit-key", "list"]).output().unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().starts_with(&format!("{key}  made ")), "the key is listed");
    let pem = slipway.data().join("public.pem");
    fs::write(&pem, slipway.download(&format!("audit/keys/{key}/pem")).await).unwrap();
    let given = ["--key", pem.to_str().unwrap()];
    let signed = slipway.download(&format!("promotions/{number}/bundle")).await;
    assert!(verifier.holds(&signed, &given).contains(&format!("The holder of your key {key} signed this bundle")));
    verifier.is_wrong(&unsigned, &given, "The bundle is not signed, and a key is given.");
    let mut files = unpack(&signed);
    mend(&mut files, |_| {});
    verifier.is_wrong(&pack(&files), &[], "The seal is not signed");

    // A period, as the page asks for it.
    let today = chrono::Utc::now();
    let day = |offset| (today + chrono::TimeDelta::days(offset)).format("%Y-%m-%d").to_string();
    let period = slipway.download(&format!("audit/bundle?from={}&to={}", day(-1), day(1))).await;
    let said = verifier.holds(&period, &given);
    assert!(said.contains("The chain is whole from entry 1 to "), "{said}");
    let page = String::from_utf8(unpack(&period)["index.html"].clone()).unwrap();
    assert!(!page.contains("<script") && !page.contains("<b>") && page.contains("requested wine v1"), "{page}");

    // What is no bundle.
    for none in [&b"no archive"[..], &pack(&Files::from([("a.txt".to_owned(), b"b".to_vec())]))] {
        assert_eq!(verifier.verify(none, &[]).0, Some(2));
    }
    server.stop();
}

/// Whatever the chainers were doing when they were killed, those that come after them go on without a gap.
#[tokio::test]
async fn history_is_chained_without_a_gap_though_workers_are_killed_in_the_middle_of_it() {
    let (slipway, mut server) = Slipway::start(&["--no-worker"]).await;
    let count =
        async |query: &'static str| -> i64 { sqlx::query_scalar(query).fetch_one(slipway.pool()).await.unwrap() };
    sqlx::query(
        "insert into audit_events (id, workspace_id, actor_name, action, object_kind, object_id, object_name, summary)
         select gen_random_uuid(), w.id, 'Slipway', 'run.deleted', 'run', n::text, 'run ' || n, 'deleted it'
         from workspaces w, generate_series(1, 12000) n",
    )
    .execute(slipway.pool())
    .await
    .unwrap();
    let mut chained = 0;
    for _ in 0..3 {
        let mut killed = [slipway.work(&[]), slipway.work(&[])];
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while count("select count(*) from audit_chain").await == chained {
            assert!(tokio::time::Instant::now() < deadline, "nobody chains");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        killed.iter_mut().for_each(crate::slipway::Process::kill);
        chained = count("select count(*) from audit_chain").await;
        if count("select count(*) from audit_unchained").await == 0 {
            break;
        }
    }
    // What is left is chained before a bundle is made.
    let period = slipway.download("audit/bundle").await;
    assert_eq!(count("select count(*) from audit_unchained where chain in (select id from workspaces)").await, 0);
    let path = slipway.data().join("bundle.zip");
    let said = Verifier { slipway: &slipway, file: &path }.holds(&period, &[]);
    let events = count("select count(*) from audit_events where workspace_id is not null").await;
    assert!(said.contains(&format!("The chain is whole from entry 1 to {events}: {events} events shown")), "{said}");
    server.stop();
}

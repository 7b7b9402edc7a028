//! `slipway data`, against a real server.

use crate::slipway::Slipway;
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> (String, String) {
    (text(&output.stdout), text(&output.stderr))
}

/// Bytes that look random, and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn write(at: &Path, bytes: &[u8]) {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, bytes).unwrap();
}

#[tokio::test]
async fn a_folder_is_pushed_compared_and_fetched_from_the_command_line() {
    let (slipway, mut server) = Slipway::start(&["--steps", "1"]).await;
    let folder = tempfile::tempdir().unwrap();
    let (wine, cache) = (folder.path().join("wine"), folder.path().join("cache"));
    let (wine_at, cache_at) = (wine.to_str().unwrap(), cache.to_str().unwrap());
    let large = noise(12 << 20);
    write(&wine.join("a/large.bin"), &large);
    write(&wine.join("a/one.csv"), b"x\n1\n");
    write(&wine.join("run.sh"), b"#!/bin/sh\n");
    write(&wine.join("empty"), b"");
    fs::set_permissions(wine.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let push = || slipway.cli(&["data", "push", "wine", wine_at, "--cache", cache_at, "--mlflow-digest", "4f1a90cc"]);
    let (title, told) = said(&push());
    assert_eq!(title, "wine@1\n", "{told}");
    assert!(told.contains("made the dataset wine") && told.contains("4 files, "), "{told}");
    let (title, told) = said(&push());
    assert_eq!(title, "wine@1\n");
    assert!(told.contains("these files are wine@1 already"), "{told}");

    let fetched = folder.path().join("fetched");
    let fetched_at = fetched.to_str().unwrap();
    let get = |more: &[&str]| slipway.cli(&[&["data", "get", "wine@1", fetched_at], more].concat());
    let (title, told) = said(&get(&[]));
    assert!(title.starts_with("wine@1\t") && told.contains("fetched 4 files"), "{title} {told}");
    assert_eq!(fs::read(fetched.join("a/large.bin")).unwrap(), large);
    assert_eq!(fs::metadata(fetched.join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert!(said(&get(&[])).1.contains("fetched 0 files, 0 B; 4 were there already"));
    // What is there and is another file stays, unless it is said otherwise.
    fs::write(fetched.join("a/one.csv"), "mine").unwrap();
    let (_, told) = said(&get(&[]));
    assert!(told.contains("one.csv is there and is another file; --force replaces it"), "{told}");
    assert!(get(&["--force"]).status.success());
    assert_eq!(fs::read(fetched.join("a/one.csv")).unwrap(), b"x\n1\n");
    // A large file whose fetch was broken off is gone on with: what was written is kept, and what is wrong of it is not.
    let whole = fetched.join("a/large.bin");
    let part = broken_off(&fetched, &large);
    fs::remove_file(&whole).unwrap();
    assert!(get(&[]).status.success());
    assert_eq!(fs::read(&whole).unwrap(), large);
    assert!(!part.exists(), "it has become the file");

    let mut other = large;
    other[6 << 20] ^= 1;
    write(&wine.join("a/large.bin"), &other);
    fs::remove_file(wine.join("empty")).unwrap();
    write(&wine.join("new"), b"new");
    let external = folder.path().join("external");
    fs::write(&external, "{\"path\": \"far.parquet\", \"uri\": \"s3://bucket/far.parquet\", \"size\": 7}\n").unwrap();
    let (title, told) = said(&slipway.cli(&[
        "data",
        "push",
        "wine",
        wine_at,
        "--cache",
        cache_at,
        "--external",
        external.to_str().unwrap(),
        "-m",
        "second",
    ]));
    assert_eq!(title, "wine@2\n", "{told}");
    let (changes, told) = said(&slipway.cli(&["data", "diff", "wine@1", "wine@latest"]));
    assert_eq!(changes, "M\ta/large.bin\nD\tempty\nA\tfar.parquet\nA\tnew\n");
    assert_eq!(told, "2 added, 1 removed, 1 changed\n");
    let (versions, _) = said(&slipway.cli(&["data", "ls", "wine"]));
    assert!(versions.starts_with("wine@2\t") && versions.contains("\tsecond\nwine@1\t"), "{versions}");
    let (files, _) = said(&slipway.cli(&["data", "ls", "wine@2"]));
    assert!(files.contains("\ta/\n") && files.contains("7\tfar.parquet\ts3://bucket/far.parquet\n"), "{files}");
    let (_, told) = said(&slipway.cli(&["data", "get", "wine", folder.path().join("latest").to_str().unwrap()]));
    assert!(told.contains("far.parquet lies elsewhere: s3://bucket/far.parquet"), "{told}");
    let (_, told) = said(&slipway.cli(&["data", "get", "wine@7", fetched_at]));
    assert_eq!(told, "slipway: The dataset \"wine\" has no version 7.\n");
    slipway.patch("datasets/wine", serde_json::json!({ "expectations": [{ "rule": "row_count", "min": 2 }] })).await;
    let failed = slipway.cli(&["data", "check", "wine"]);
    assert!(!failed.status.success(), "{failed:?}");
    assert_eq!(said(&failed).0, "failed\ta/one.csv\thas at least 2 rows\tIt has 1 rows.\n");
    write(&wine.join("a/one.csv"), b"x\n1\n2\n");
    slipway.cli(&["data", "push", "wine", wine_at, "--cache", cache_at]);
    assert!(slipway.cli(&["data", "check", "wine@latest"]).status.success());
    assert!(said(&slipway.cli(&["data", "ls", "wine@passed"])).0.contains("\ta/\n"));
    server.stop();
}

/// What a fetch leaves that was broken off: the beginning of the file, of which the last part is wrong.
fn broken_off(fetched: &Path, large: &[u8]) -> std::path::PathBuf {
    let path = manifest::Hash::of(b"a/large.bin").to_string();
    let digest = manifest::Hash::of(large).to_string();
    let part = fetched.join(format!("a/.slipway-{}-{}.part", &path[..8], &digest[..16]));
    let mut begun = large[..9 << 20].to_vec();
    begun[8 << 20] ^= 1;
    fs::write(&part, begun).unwrap();
    part
}

//! What steps find on their worker, and the code that they are from: part of the record, and of what a cached step is run with.

use crate::slipway::Slipway;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

#[tokio::test]
async fn the_packages_of_a_steps_own_python_count() {
    let (slipway, mut server) = Slipway::start(&["--steps", "1"]).await;
    let venv = slipway.data().join("venv");
    let (bin, packages) = (venv.join("bin"), venv.join("site-packages"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir(&packages).unwrap();
    let install = |numpy: &str| {
        let has = json!({ "version": "3.12.1", "packages": { "numpy": numpy }, "folders": [packages] });
        fs::write(venv.join("has.json"), has.to_string()).unwrap();
        fs::write(packages.join(format!("numpy-{numpy}")), "").unwrap();
    };
    install("2.1.0");
    let python = bin.join("python3");
    fs::write(&python, format!("#!/bin/sh\ncat {}\n", venv.join("has.json").display())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let yaml = format!(
        "name: fits\nsteps:\n  fit: {{ command: 'true', env: {{ PATH: '{}:/usr/bin:/bin' }}, cache: true }}\n",
        bin.display()
    );
    let step = async || {
        let run = slipway.run(&yaml).await;
        let ended = slipway.ended(run).await;
        assert_eq!(ended["run"]["state"], "succeeded", "{ended:#}");
        (run, ended["steps"][0]["cache"].clone())
    };
    let (first, cache) = step().await;
    assert_eq!(cache["outcome"], "miss", "{cache:#}");
    let record = slipway.get(&format!("pipeline-runs/{first}/record")).await;
    let environment = record["steps"][0]["environment"].as_str().unwrap();
    assert_eq!(record["facts"][environment]["python"]["packages"], json!({ "numpy": "2.1.0" }), "{record:#}");
    assert_eq!(step().await.1["outcome"], "hit");
    install("2.2.0");
    let (_, cache) = step().await;
    assert_eq!(
        cache["reasons"],
        json!(["the system or the packages of the worker changed", "numpy: 2.1.0 → 2.2.0"]),
        "{cache:#}"
    );
    assert_eq!(step().await.1["outcome"], "hit");
    server.stop();
}

#[tokio::test]
async fn a_python_where_steps_may_write_is_not_asked() {
    let shared = tempfile::tempdir().unwrap();
    let bin = shared.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let (python, asked) = (bin.join("python3"), shared.path().join("asked"));
    fs::write(&python, format!("#!/bin/sh\ntouch {}\n", asked.display())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    // Neither by its own name, nor by that of a link that leads there.
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&python, elsewhere.path().join("python3")).unwrap();
    let (slipway, mut server) = Slipway::start(&["--steps", "1", "--step-dirs", shared.path().to_str().unwrap()]).await;
    for (name, folder) in [("own", bin.as_path()), ("link", elsewhere.path())] {
        let folder = folder.display();
        let yaml = format!(
            "name: {name}\nsteps:\n  path: {{ command: 'true', env: {{ PATH: '{folder}:/bin' }}, cache: true }}\n  named: {{ \
             command: 'true || {folder}/python3', cache: true }}\n"
        );
        let ended = slipway.ended(slipway.run(&yaml).await).await;
        assert_eq!(ended["run"]["state"], "succeeded", "{ended:#}");
        for step in ended["steps"].as_array().unwrap() {
            assert_eq!(step["cache"]["outcome"], "miss", "{step:#}");
            assert!(step["cache"]["reasons"].to_string().contains("packages"), "{step:#}");
        }
    }
    server.stop();
    assert!(!asked.exists(), "it was run outside of the sandbox");
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_file_is_stored_with_the_commit_that_it_is_from() {
    let (slipway, mut server) = Slipway::start(&["--steps", "1"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nightly.yaml");
    let yaml = "name: nightly\nsteps:\n  fit: { command: 'echo at $SLIPWAY_COMMIT' }\n";
    fs::write(&file, yaml).unwrap();
    git(folder.path(), &["init", "-q", "-b", "main"]);
    git(folder.path(), &["add", "--all"]);
    let identity = ["-c", "user.name=S", "-c", "user.email=s@example.com", "-c", "commit.gpgsign=false"];
    git(folder.path(), &[&identity[..], &["commit", "-q", "-m", "first"]].concat());
    fs::write(folder.path().join("new.py"), "caf\u{e9}\n").unwrap();
    let at = file.to_str().unwrap();
    let stored = slipway.cli(&["pipeline", "apply", at]);
    assert!(stored.status.success(), "{stored:?}");
    let version = slipway.get("pipelines/nightly/versions/1").await;
    assert_eq!(version["code"]["commit"], git(folder.path(), &["rev-parse", "HEAD"]), "{version:#}");
    assert_eq!((&version["code"]["branch"], &version["code"]["is_dirty"]), (&json!("main"), &json!(true)));
    let patch = String::from_utf8(slipway.download("pipelines/nightly/versions/1/patch").await).unwrap();
    assert!(patch.contains("b/new.py") && patch.contains("+caf\u{e9}"), "{patch}");

    // Whoever starts it from nowhere.
    let run = slipway.run(yaml).await;
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["code"], version["code"], "{detail:#}");
    let record = slipway.get(&format!("pipeline-runs/{run}/record")).await;
    assert_eq!(record["caveats"], Value::Array(Vec::new()), "{record:#}");
    let silent = slipway.cli(&["pipeline", "apply", at, "--no-code"]);
    assert!(silent.status.success(), "{silent:?}");
    assert_eq!(slipway.get("pipelines/nightly/versions/1").await["code"], version["code"], "it stays known");
    server.stop();
}

//! `slipway pipeline`, against a real server.

use crate::slipway::{Slipway, until};
use std::{fs, process::Output};

const FILE: &str = r#"name: greet
params: { whom: nobody, fails: false }
steps:
  greet:
    command: |
      echo "hello $PARAM_WHOM, passed on: ${CARGO_PKG_NAME:-nothing}, ${CARGO_MANIFEST_DIR:-nothing}"
      if [ "$PARAM_FAILS" = true ]; then exit 7; fi
  after:
    command: "PROGRAM pipeline logs $SLIPWAY_PIPELINE_RUN greet"
    needs: greet
"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn both(output: &Output) -> (String, String) {
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_file_is_stored_run_and_followed_from_the_command_line() {
    let (slipway, mut server) = Slipway::start(&["--steps", "2", "--step-env", "CARGO_PKG_NAME"]).await;
    let program = env!("CARGO_BIN_EXE_slipway");
    let file = slipway.data().join("greet.yaml");
    let yaml = FILE.replace("PROGRAM", program);
    fs::write(&file, &yaml).unwrap();
    let path = file.to_str().unwrap();

    let stored = slipway.cli(&["pipeline", "apply", path]);
    assert!(stored.status.success() && text(&stored.stderr).starts_with("stored version 1 of greet ("), "{stored:?}");
    let again = slipway.cli(&["pipeline", "apply", path]);
    assert!(text(&again.stderr).starts_with("greet says the same as its version 1 ("), "{again:?}");
    fs::write(&file, "name: greet\nsteps:\n  a: { comand: x }\n").unwrap();
    let wrong = slipway.cli(&["pipeline", "apply", path]);
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("line 3, column "), "{wrong:?}");

    let linted = slipway.cli(&["pipeline", "lint", path]);
    let told = format!("{path}:3:6: Step \"a\" has no command.");
    assert!(!linted.status.success() && text(&linted.stdout).starts_with(&told), "{linted:?}");
    assert!(text(&linted.stderr).contains("2 problems"), "{linted:?}");
    fs::write(&file, &yaml).unwrap();
    assert!(slipway.cli(&["pipeline", "lint", path]).status.success());
    let schema: serde_json::Value = serde_json::from_slice(&slipway.cli(&["pipeline", "schema"]).stdout).unwrap();
    assert_eq!(schema["title"], "A pipeline of Slipway");

    let run = slipway.cli(&["pipeline", "run", "greet", "-p", "whom=the world", "--wait"]);
    assert!(run.status.success(), "{run:?}");
    let (number, said) = both(&run);
    assert_eq!(number, "1\n");
    assert!(said.contains("greet succeeded\n") && said.ends_with("greet #1 succeeded\n"), "{said}");
    // The second step has asked for the log of the first, with the token and the address that it was given.
    let (logs, _) = both(&slipway.cli(&["pipeline", "logs", "1"]));
    assert!(
        ["greet", "after"]
            .iter()
            .all(|step| logs.contains(&format!("{step} | hello the world, passed on: server, nothing\n"))),
        "{logs}"
    );
    let (one, _) = both(&slipway.cli(&["pipeline", "logs", "1", "greet"]));
    assert!(one.starts_with("[slipway] greet #1: step greet, try 1 of 1, on "), "{one}");

    // Not waited for, but followed to its end.
    slipway.cli(&["pipeline", "run", "greet", "-p", "whom=all"]);
    let (logs, _) = both(&slipway.cli(&["pipeline", "logs", "2", "--follow"]));
    assert!(logs.contains("greet | hello all, ") && logs.contains("after | hello all, "), "{logs}");

    let failed = slipway.cli(&["pipeline", "run", "greet", "-p", "fails=true", "--wait"]);
    let (_, said) = both(&failed);
    assert!(!failed.status.success(), "{failed:?}");
    assert!(said.contains("greet failed: exit status 7\nafter skipped: greet failed\n"), "{said}");
    assert!(said.ends_with("slipway: greet #3 failed; slipway pipeline logs 3 shows why\n"), "{said}");
    let unknown = slipway.cli(&["pipeline", "run", "great"]);
    assert_eq!(text(&unknown.stderr), "slipway: No pipeline \"great\" in this workspace.\n");

    let metrics = reqwest::get(format!("{}/metrics", slipway.url)).await.unwrap().text().await.unwrap();
    for line in [
        "slipway_pipeline_runs_total{state=\"succeeded\"} 2",
        "slipway_pipeline_runs_total{state=\"failed\"} 1",
        "slipway_step_attempts_total{outcome=\"succeeded\"} 4",
        "slipway_step_attempts_total{outcome=\"failed\"} 1",
        "slipway_queue_depth{queue=\"default\"} 0",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
    }
    server.stop();
}

#[tokio::test]
async fn a_run_is_cancelled_from_the_command_line() {
    let (slipway, mut server) = Slipway::start(&[]).await;
    let began = slipway.notes().join("began");
    let yaml = format!(
        "name: slow\nsteps:\n  hold: {{ command: 'touch {}; sleep 600' }}\n  after: {{ command: 'true', needs: hold }}\n",
        began.display()
    );
    let run = slipway.run(&yaml).await;
    until("the step runs", || began.exists()).await;

    let cancelled = slipway.cli(&["pipeline", "cancel", "1"]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    assert_eq!(text(&cancelled.stderr), "slow #1 is being cancelled; what runs is ended\n");
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "cancelled", "{detail:#}");
    let again = slipway.cli(&["pipeline", "cancel", "1"]);
    assert_eq!((again.status.success(), text(&again.stderr).as_str()), (true, "slow #1 was cancelled\n"));
    let unknown = slipway.cli(&["pipeline", "cancel", "7"]);
    assert!(!unknown.status.success(), "{unknown:?}");
    assert_eq!(text(&unknown.stderr), "slipway: No pipeline run #7 in this workspace.\n");
    server.stop();
}

#[tokio::test]
async fn a_secret_reaches_its_step_and_no_log() {
    let (slipway, mut server) = Slipway::start(&[]).await;
    let admin = slipway.token_of("admin", "admin");
    let as_admin = |arguments: &[&str], input: &str| slipway.cli_as(&admin, arguments, input);
    let set = |name: &str, value: &str| as_admin(&["secret", "set", name], value);
    assert!(text(&slipway.cli(&["secret", "delete", "KEY"]).stderr).contains("manage secrets"));
    let no = set("KEY", "abc\n");
    assert!(!no.status.success() && text(&no.stderr).contains("at least 4 characters"), "{no:?}");
    assert_eq!(text(&set("HF_TOKEN", "swordfish-4711\n").stderr), "HF_TOKEN is set\n");
    assert_eq!(text(&set("PEM", "first line of it\nsecond line of it\n").stderr), "PEM is set\n");
    let yaml = r#"name: fetch
secrets: { TOKEN: HF_TOKEN }
steps:
  get:
    secrets: [PEM]
    command: |
      echo "plain $TOKEN, ${#TOKEN} long"
      printf "user:$TOKEN" | base64
      echo "$PEM"
      if [ "$TOKEN" != "$EXPECTED" ]; then exit 9; fi
    env: { EXPECTED: swordfish-4711 }
"#;
    let run = slipway.run(yaml).await;
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let (logs, _) = both(&slipway.cli(&["pipeline", "logs", "1", "get"]));
    assert!(logs.contains("plain ***, 14 long\n") && logs.contains("\n***\n***\n"), "{logs}");
    assert!(!logs.contains("swordfish") && !logs.contains("line of it") && !logs.contains("c3dvcmRmaXNo"), "{logs}");

    let listed = text(&slipway.cli(&["secret", "list"]).stdout);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("HF_TOKEN  v1  set 2") && lines[0].contains("  used 2"), "{listed}");
    let rotated = slipway.command(&["admin", "rotate-secret-key"]).output().unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    assert!(text(&rotated.stderr).contains("2 values are encrypted with it now\n"), "{rotated:?}");
    let run = slipway.run(yaml).await;
    assert_eq!(slipway.ended(run).await["run"]["state"], "succeeded");
    assert_eq!(text(&as_admin(&["secret", "delete", "PEM"], "").stderr), "PEM is deleted\n");
    let refused = slipway.cli(&["pipeline", "run", "fetch"]);
    assert!(text(&refused.stderr).contains("Step \"get\" needs the secret PEM"), "{refused:?}");
    server.stop();
}

#[tokio::test]
async fn a_step_that_asks_is_decided_from_the_command_line_and_runs_stand_in_each_other() {
    let (slipway, mut server) = Slipway::start(&[]).await;
    let approver = slipway.token_of("approver", "approver");
    let decide = |arguments: &[&str]| slipway.cli_as(&approver, arguments, "");
    let file = slipway.data().join("inner.yaml");
    let inner = "name: inner\nparams: { day: monday }\nsteps:\n  count: { command: 'echo 7 > n.json; echo $PARAM_DAY', outputs: { n: { path: n.json, type: value } } }\n";
    fs::write(&file, inner).unwrap();
    assert!(slipway.cli(&["pipeline", "apply", file.to_str().unwrap()]).status.success());
    let yaml = r#"name: outer
steps:
  data: { pipeline: inner, params: { day: sunday }, outputs: { n: count.n } }
  release:
    inputs: { n: data.n }
    approval: { rules: [{ name: risk, eligible: { roles: [approver] }, checklist: [I read it], inputs: [{ name: ticket }] }] }
  after: { command: 'echo after', needs: release }
"#;
    let run = slipway.run(yaml).await;
    let number = run.to_string();
    let asked = || {
        let asked = decide(&["pipeline", "approve", &number, "release"]);
        !text(&asked.stderr).contains("has asked nobody")
    };
    until("the step asks", asked).await;
    let without = decide(&["pipeline", "approve", &number, "release"]);
    let said = text(&without.stderr);
    assert!(!without.status.success() && said.contains("n: 7\n") && said.contains("Confirm \"I read it\""), "{said}");
    let options = ["--check", "I read it", "--input", "ticket=42", "--comment", "fine"];
    let approved = decide(&[&["pipeline", "approve", &number, "release"], &options[..]].concat());
    assert!(approved.status.success(), "{approved:?}");
    assert!(text(&approved.stderr).ends_with(&format!("release of outer #{number} was approved\n")), "{approved:?}");
    let detail = slipway.ended(run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let (logs, _) = both(&slipway.cli(&["pipeline", "logs", "2", "count"]));
    assert!(logs.contains("sunday\n"), "{logs}");

    let again = slipway.run(yaml).await;
    let number = again.to_string();
    until("the step asks", || {
        !text(&decide(&["pipeline", "reject", &number, "release"]).stderr).contains("has asked nobody")
    })
    .await;
    let rejected = decide(&["pipeline", "reject", &number, "release", "--comment", "too few"]);
    assert!(rejected.status.success(), "{rejected:?}");
    assert_eq!(slipway.ended(again).await["run"]["state"], "failed");
    server.stop();
}

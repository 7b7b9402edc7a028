//! How a process begins and ends: what a start that was killed or failed leaves, and that an end comes when it is asked
//! for.

use crate::slipway::{Process, Slipway, postgres_pid, signal, until};
use std::{fs, net::TcpListener};

#[tokio::test]
async fn a_first_start_that_is_killed_while_it_makes_the_database_is_made_up_for() {
    let mut slipway = Slipway::private();
    let cluster = slipway.data().join("postgres");
    let mut killed = Process::spawn(&mut slipway.command(&["serve", "--listen", "127.0.0.1:0"]));
    until("the database is being made", || cluster.join("data.new/PG_VERSION").exists()).await;
    killed.kill();

    let mut server = slipway.serve("127.0.0.1:0", &[]);
    server.stop();
    assert!(cluster.join("data/PG_VERSION").exists() && !cluster.join("data.new").exists());
}

#[tokio::test]
async fn what_is_left_of_a_database_that_was_not_made_to_the_end_is_removed() {
    let mut slipway = Slipway::private();
    let cluster = slipway.data().join("postgres");
    fs::create_dir_all(cluster.join("data.new/base")).unwrap();
    fs::write(cluster.join("data.new/PG_VERSION"), "15\n").unwrap();

    let mut server = slipway.serve("127.0.0.1:0", &[]);
    server.stop();
    assert!(cluster.join("data/PG_VERSION").exists() && !cluster.join("data.new").exists());
}

#[test]
fn a_folder_that_holds_no_database_is_left_alone() {
    let slipway = Slipway::private();
    let photos = slipway.data().join("postgres/data/photos");
    fs::create_dir_all(&photos).unwrap();
    let refused = slipway.command(&["migrate"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("holds something that is no PostgreSQL cluster"), "{said}");
    assert!(photos.exists());
}

#[test]
fn a_database_of_a_version_that_is_not_installed_is_named() {
    let slipway = Slipway::private();
    let data = slipway.data().join("postgres/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "7\n").unwrap();
    let refused = slipway.command(&["migrate"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("is of PostgreSQL 7, which is not installed"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_start_that_fails_says_why_and_leaves_no_database_running() {
    let slipway = Slipway::private();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = slipway.command(&["serve", "--listen", &address]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.starts_with(&format!("slipway: cannot listen on {address}: ")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(slipway.data().join("postgres/data/PG_VERSION").exists(), "the database was made");
    assert_eq!(postgres_pid(slipway.data()), None);
}

#[tokio::test]
async fn the_end_of_the_terminal_stops_a_server_in_good_order() {
    let mut slipway = Slipway::private();
    let mut server = slipway.serve("127.0.0.1:0", &[]);
    assert!(postgres_pid(slipway.data()).is_some());
    signal(server.pid(), "HUP");
    let status = server.wait();
    assert!(status.success(), "{status}");
    assert_eq!(postgres_pid(slipway.data()), None);
}

#[tokio::test]
async fn whoever_asks_twice_waits_for_nothing() {
    let (slipway, mut server) = Slipway::start(&[]).await;
    let (began, told) = (slipway.notes().join("began"), slipway.notes().join("told"));
    let yaml = format!(
        "name: stubborn
steps:
  hold:
    command: |
      trap 'touch {told}' TERM
      touch {began}
      while true; do sleep 0.05 || true; done
",
        told = told.display(),
        began = began.display()
    );
    slipway.run(&yaml).await;
    until("the step runs", || began.exists()).await;
    signal(server.pid(), "TERM");
    until("the step is asked to end", || told.exists()).await;
    signal(server.pid(), "TERM");
    let status = server.wait();
    assert_eq!(status.code(), Some(128 + 15), "{status}");
}

#[tokio::test]
async fn a_worker_stops_although_the_database_is_away() {
    let (slipway, mut server) = Slipway::start_private(&["--no-worker"]);
    // By its address the database is not the worker's own, which it would start again.
    let socket = slipway.data().join("postgres/run");
    let url = format!("postgres://postgres@localhost/slipway?host={}", socket.display());
    let mut worker =
        Process::spawn(slipway.command(&["worker", "--public-url", &slipway.url]).args(["--database-url", &url]));
    let began = slipway.notes().join("began");
    let yaml = format!("name: slow\nsteps:\n  hold: {{ command: 'touch {}; sleep 600' }}\n", began.display());
    slipway.run(&yaml).await;
    until("the step runs", || began.exists()).await;

    server.kill();
    signal(postgres_pid(slipway.data()).expect("the private PostgreSQL runs"), "KILL");
    worker.stop();
}

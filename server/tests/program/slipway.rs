//! Processes of the real program, and a client of its API.

use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use testkit::TestDatabase;
use tokio::time::Instant;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway");
/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A process that is killed when the test ends, however it ends.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Starts it and waits for the first line that it says.
    fn spawn_and_hear(command: &mut Command) -> (Self, String) {
        let mut process = Self::spawn(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let first = lines.next().expect("it says where it is").unwrap();
        // It may say more later.
        std::thread::spawn(move || lines.for_each(drop));
        (process, first)
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    /// `kill -9`, and nobody hears of it before.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        signal(self.pid(), "TERM");
        let status = self.wait();
        assert!(status.success(), "it stops in good order: {status}");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn signal(pid: i32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// An installation of one test's own.
pub(crate) struct Slipway {
    /// The database; none for the private cluster in the data folder.
    database: Option<TestDatabase>,
    data: tempfile::TempDir,
    pub(crate) url: String,
    token: String,
    http: reqwest::Client,
}

impl Slipway {
    /// One with a private cluster, in which nothing runs, and nothing ever ran.
    pub(crate) fn private() -> Self {
        Self::new(None)
    }

    fn new(database: Option<TestDatabase>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { database, data, url: String::new(), token: String::new(), http }
    }

    /// Starts a server with these options, and makes somebody who may use it.
    pub(crate) async fn start(options: &[&str]) -> (Self, Process) {
        let database =
            testkit::database(&store::schema_key(), |pool| async move { store::migrate(&pool).await.unwrap() }).await;
        Self::new(Some(database)).started(options)
    }

    /// The same with a private cluster: for what is about the cluster.
    pub(crate) fn start_private(options: &[&str]) -> (Self, Process) {
        Self::private().started(options)
    }

    fn started(mut self, options: &[&str]) -> (Self, Process) {
        let server = self.serve("127.0.0.1:0", options);
        self.token = self.token_of("engineer", "contributor");
        (self, server)
    }

    /// Its database, where that is the test's.
    pub(crate) fn pool(&self) -> &sqlx::PgPool {
        &self.database.as_ref().expect("a database of the test").pool
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Where steps may leave notes for the test.
    pub(crate) fn notes(&self) -> PathBuf {
        let notes = self.data().join("notes");
        std::fs::create_dir_all(&notes).unwrap();
        notes
    }

    /// The program with these arguments, for this installation.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--data-dir").arg(self.data.path());
        if let Some(database) = &self.database {
            command.args(["--database-url", &database.url]);
        }
        // Only what the test says counts.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SLIPWAY_") || name == "DATABASE_URL") {
            command.env_remove(name);
        }
        let step_dirs = [self.notes(), std::env::temp_dir()].map(|path| path.display().to_string());
        command.env("SLIPWAY_STEP_DIRS", step_dirs.join(","));
        if let Ok(filter) = std::env::var("CRASH_LOG") {
            command.env("SLIPWAY_LOG", filter);
        } else {
            command.env("SLIPWAY_LOG", "error");
        }
        command
    }

    /// A server at this address.
    pub(crate) fn serve(&mut self, listen: &str, options: &[&str]) -> Process {
        let mut command = self.command(&["serve", "--listen", listen]);
        let (process, first) = Process::spawn_and_hear(command.args(options));
        self.url = first.strip_prefix("Slipway serves at ").expect("an address").to_owned();
        process
    }

    /// A worker with these options.
    pub(crate) fn work(&self, options: &[&str]) -> Process {
        Process::spawn(self.command(&["worker", "--public-url", &self.url]).args(options))
    }

    /// A worker that also tells its metrics, and the address where it does.
    pub(crate) fn work_and_tell(&self, options: &[&str]) -> (Process, String) {
        let mut command = self.command(&["worker", "--public-url", &self.url, "--metrics-listen", "127.0.0.1:0"]);
        let (process, first) = Process::spawn_and_hear(command.args(options));
        (process, first.strip_prefix("Metrics are at ").expect("an address").to_owned())
    }

    /// Makes somebody with this role, and a token of theirs.
    pub(crate) fn token_of(&self, name: &str, role: &str) -> String {
        let email = format!("{name}@slipway.test");
        let mut user = self
            .command(&["admin", "create-user", "--email", &email, "--role", role, "--password-stdin"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        user.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
        assert!(user.wait().unwrap().success());
        let token = self.command(&["admin", "create-token", "--email", &email, "--name", "test"]).output().unwrap();
        assert!(token.status.success());
        String::from_utf8(token.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command that talks to the server with this token, and gets this input.
    pub(crate) fn cli_as(&self, token: &str, arguments: &[&str], input: &str) -> std::process::Output {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("SLIPWAY_URL", &self.url).env("SLIPWAY_TOKEN", token);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs a command that talks to the server as this person does.
    pub(crate) fn cli(&self, arguments: &[&str]) -> std::process::Output {
        self.cli_as(&self.token, arguments, "")
    }

    /// Asks until the server answers: it may be away for a moment.
    async fn ask(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered = match request().bearer_auth(&self.token).send().await {
                Ok(response) if response.status().as_u16() < 500 => Ok((response.status(), response.text().await)),
                Ok(response) => Err(response.status().to_string()),
                Err(error) => Err(error.to_string()),
            };
            match answered {
                Ok((status, Ok(text))) => {
                    assert!(status.is_success(), "{status}: {text}");
                    return serde_json::from_str(&text).unwrap();
                }
                Ok((_, Err(error))) => assert!(Instant::now() < deadline, "the server does not answer: {error}"),
                Err(error) => assert!(Instant::now() < deadline, "the server does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(|| self.http.get(format!("{}/api/v1/{path}", self.url))).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Value {
        self.ask(|| self.http.patch(format!("{}/api/v1/{path}", self.url)).json(&body)).await
    }

    /// The bytes of what is downloaded.
    pub(crate) async fn download(&self, path: &str) -> Vec<u8> {
        let url = format!("{}/api/v1/{path}", self.url);
        let response = self.http.get(url).bearer_auth(&self.token).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    /// Stores a file and starts a run of it.
    pub(crate) async fn run(&self, yaml: &str) -> i64 {
        let stored =
            self.ask(|| self.http.put(format!("{}/api/v1/pipelines", self.url)).json(&json!({ "source": yaml }))).await;
        let name = stored["spec"]["name"].as_str().unwrap().to_owned();
        let path = format!("{}/api/v1/pipelines/{name}/runs", self.url);
        // However often it is sent, it starts one run.
        let key = uuid::Uuid::now_v7().to_string();
        let run = self.ask(|| self.http.post(&path).json(&json!({ "idempotency_key": key }))).await;
        run["number"].as_i64().unwrap()
    }

    /// How the run stands. `None` while the server is away.
    pub(crate) async fn state(&self, run: i64) -> Option<String> {
        let url = format!("{}/api/v1/pipeline-runs/{run}", self.url);
        let response = self.http.get(url).bearer_auth(&self.token).send().await.ok()?;
        let detail: Value = response.json().await.ok()?;
        detail["run"]["state"].as_str().map(ToOwned::to_owned)
    }

    /// Waits for the end of the run.
    pub(crate) async fn ended(&self, run: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let detail = self.get(&format!("pipeline-runs/{run}")).await;
            if !detail["run"]["ended_at"].is_null() {
                return detail;
            }
            assert!(Instant::now() < deadline, "the run does not end: {detail:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How the tries of each step of the run ended.
    pub(crate) async fn outcomes(&self, detail: &Value) -> Vec<(String, Vec<String>)> {
        let number = &detail["run"]["number"];
        let mut all = Vec::new();
        for step in detail["steps"].as_array().unwrap() {
            let name = step["name"].as_str().unwrap();
            let attempts = self.get(&format!("pipeline-runs/{number}/steps/{name}/attempts")).await;
            let outcomes = attempts["items"].as_array().unwrap().iter();
            let outcomes = outcomes.map(|attempt| attempt["outcome"].as_str().unwrap().to_owned()).collect();
            all.push((name.to_owned(), outcomes));
        }
        all
    }
}

/// Looks until it is there.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The process id of the private PostgreSQL in a data folder.
pub(crate) fn postgres_pid(data: &Path) -> Option<i32> {
    let file: PathBuf = data.join("postgres/data/postmaster.pid");
    std::fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

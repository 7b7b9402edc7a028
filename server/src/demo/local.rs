//! The server of the walk: the one that answers, or a local one that is started for as long as the walk takes.

use super::station::{Failure, Progress};
use crate::config::Demo;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// How long a server may take to be ready: a new database has to be made.
const STARTING: Duration = Duration::from_secs(180);
/// How long it may take to stop: as long as it gives itself.
const STOPPING: Duration = Duration::from_secs(55);
/// Seconds between two looks at the traffic, of a server that is started for the walk.
const MONITOR_INTERVAL: &str = "2";

/// A server that answers.
pub(super) struct Server {
    /// Where.
    pub(super) url: String,
    started: Option<Started>,
}

struct Started {
    child: Child,
    log: PathBuf,
}

/// What a look at an address shows.
enum State {
    Ready,
    /// Something answers, with this.
    Other(String),
    Nobody,
}

impl Server {
    /// The server at the address; when nobody is there and the address is of this machine, one that is started.
    pub(super) async fn find_or_start(
        options: &Demo,
        http: &reqwest::Client,
        progress: &Progress,
    ) -> Result<Self, Failure> {
        let url = options.url.trim_end_matches('/').to_owned();
        let expected = format!("a Slipway server at {url}");
        let found = state(http, &url).await;
        if matches!(found, State::Ready) {
            return Ok(Self { url, started: None });
        }
        if let State::Other(seen) = found {
            // It may be on its way.
            return match ready(http, &url, Duration::from_secs(60), async || None).await {
                Ok(()) => Ok(Self { url, started: None }),
                Err(_) => Err(Failure::new(expected, seen).look_at(format!("{url}/readyz"))),
            };
        }
        let Some(address) = loopback(&url) else {
            return Err(Failure::new(expected, "nobody there; start it, or leave --url away to use a local one"));
        };
        progress.note(format!("starting one at {url}"));
        let mut started = start(options, address).await?;
        let child = &mut started.child;
        let ended = async || child.try_wait().ok().flatten().map(|status| format!("it ended at once, with {status}"));
        match ready(http, &url, STARTING, ended).await {
            Ok(()) => Ok(Self { url, started: Some(started) }),
            Err(seen) => {
                let log = started.log.to_string_lossy().into_owned();
                stop(started).await;
                Err(Failure::new(expected, seen).look_at(log))
            }
        }
    }

    /// Whether it was started for the walk.
    pub(super) fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// Stops it, if it was started for the walk.
    pub(super) async fn end(self) {
        if let Some(started) = self.started {
            stop(started).await;
        }
    }
}

async fn start(options: &Demo, address: SocketAddr) -> Result<Started, Failure> {
    let folder = folder(&options.data.data_dir);
    let log = folder.join("server.log");
    let expected = "a local server, started";
    let trouble = |error: std::io::Error| Failure::new(expected, format!("{}: {error}", log.display()));
    fs::create_dir_all(&folder).map_err(trouble)?;
    let file = File::create(&log).map_err(trouble)?;
    let program = std::env::current_exe().map_err(|error| Failure::new(expected, error))?;
    let mut command = Command::new(program);
    command
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(&options.data.data_dir)
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(trouble)?)
        .stderr(file)
        // Ctrl-C is for the walk, which then stops the server in good order.
        .process_group(0)
        .kill_on_drop(true)
        // It is known by the address that it listens on.
        .env_remove("SLIPWAY_PUBLIC_URL")
        .env_remove("SLIPWAY_NO_WORKER");
    if let Some(url) = options.data.database_url() {
        // Not as an option: everybody on the machine can read those.
        command.env("SLIPWAY_DATABASE_URL", url);
    }
    if std::env::var_os("SLIPWAY_MONITOR_INTERVAL").is_none() {
        command.env("SLIPWAY_MONITOR_INTERVAL", MONITOR_INTERVAL);
    }
    let child = command.spawn().map_err(|error| Failure::new(expected, error))?;
    Ok(Started { child, log })
}

async fn stop(mut started: Started) {
    let pid = started.child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(STOPPING, started.child.wait()).await.is_err() {
        let _ = started.child.kill().await;
    }
}

/// Waits until the server says that it is ready. `ended` tells why it never will be.
async fn ready(
    http: &reqwest::Client,
    url: &str,
    at_most: Duration,
    mut ended: impl AsyncFnMut() -> Option<String>,
) -> Result<(), String> {
    let deadline = Instant::now() + at_most;
    loop {
        let seen = match state(http, url).await {
            State::Ready => return Ok(()),
            State::Other(seen) => seen,
            State::Nobody => "nobody there".to_owned(),
        };
        if let Some(why) = ended().await {
            return Err(why);
        }
        if Instant::now() >= deadline {
            return Err(seen);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn state(http: &reqwest::Client, url: &str) -> State {
    match http.get(format!("{url}/readyz")).timeout(Duration::from_secs(5)).send().await {
        Ok(response) if response.status().is_success() => State::Ready,
        Ok(response) => {
            let status = response.status();
            let text = response.text().await.unwrap_or_default();
            State::Other(format!("{status} from {url}/readyz: {}", text.chars().take(200).collect::<String>()))
        }
        Err(error) if error.is_connect() => State::Nobody,
        Err(error) if error.is_timeout() => State::Other("something that does not answer".to_owned()),
        Err(error) => State::Other(error.to_string()),
    }
}

/// The address of this machine that a URL names, if it does.
fn loopback(url: &str) -> Option<SocketAddr> {
    let url = reqwest::Url::parse(url).ok().filter(|url| url.scheme() == "http" && url.path() == "/")?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let port = url.port_or_known_default()?;
    (host, port).to_socket_addrs().ok()?.find(|address| address.ip().is_loopback())
}

/// Where the demo keeps what it needs.
pub(super) fn folder(data_dir: &Path) -> PathBuf {
    std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned()).join("demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served_from_here() {
        assert_eq!(loopback("http://127.0.0.1:3000"), Some(([127, 0, 0, 1], 3000).into()));
        assert_eq!(loopback("http://[::1]:4000/").map(|address| address.port()), Some(4000));
        for other in ["http://10.0.0.1:3000", "https://127.0.0.1", "http://127.0.0.1:3000/slipway", "127.0.0.1:3000"] {
            assert_eq!(loopback(other), None, "{other}");
        }
    }
}

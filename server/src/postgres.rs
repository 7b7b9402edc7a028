//! The database: the one that was named, or a private cluster in the data folder.
//!
//! The private cluster is the installed PostgreSQL, on a socket that only its owner can reach. It outlives a process
//! that is killed; the next one finds it running. Every process that uses it holds a shared lock, and whoever ends last
//! stops it. As root, which PostgreSQL refuses to run as, it runs as the user `postgres`.

use crate::config::Data;
use anyhow::{Context as _, Result, anyhow, bail};
use nix::unistd::User;
use sqlx::{Connection as _, PgConnection};
use std::{
    fs::{self, File, Permissions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};
use tokio::process::Command;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// The database's name in the private cluster.
const DATABASE: &str = "slipway";
/// A socket's path may have 107 bytes; PostgreSQL adds its own name.
const LONGEST_SOCKET_DIR: usize = 85;

/// A database that answers.
pub struct Postgres {
    url: String,
    cluster: Option<Running>,
}

struct Running {
    cluster: Cluster,
    users: File,
    stop: CancellationToken,
    watch: Option<AbortOnDropHandle<()>>,
}

impl Postgres {
    /// The database that the options name, or the private cluster, started when it does not run. With `watch`, it is
    /// started again should it die.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; the message says what to do.
    pub async fn open(data: &Data, watch: bool) -> Result<Self> {
        if let Some(url) = data.database_url() {
            return Ok(Self { url, cluster: None });
        }
        let cluster = Cluster::prepare(&data.data_dir)?;
        let users = File::create(cluster.dir.join("users.lock"))?;
        users.lock_shared()?;
        cluster.start().await?;
        cluster.ensure_database().await?;
        let stop = CancellationToken::new();
        let watch = watch.then(|| AbortOnDropHandle::new(tokio::spawn(cluster.clone().keep_running(stop.clone()))));
        Ok(Self { url: cluster.url(DATABASE), cluster: Some(Running { cluster, users, stop, watch }) })
    }

    /// What to connect to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops a private cluster, unless another process uses it.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(self) -> Result<()> {
        let Some(Running { cluster, users, stop, watch }) = self.cluster else { return Ok(()) };
        stop.cancel();
        if let Some(watch) = watch {
            let _ = watch.await;
        }
        users.unlock()?;
        match users.try_lock() {
            Ok(()) => cluster.stop().await,
            Err(_) => Ok(()),
        }
    }
}

#[derive(Clone)]
struct Cluster {
    /// Holds everything of the cluster: `data`, `run` with the socket, `log`.
    dir: PathBuf,
    socket_dir: PathBuf,
    programs: PathBuf,
    owner: Option<Owner>,
}

/// Who runs the cluster when we are root.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
    /// A folder above the data is closed to the owner, who then needs the right to pass.
    passes: bool,
}

impl Cluster {
    fn prepare(data_dir: &Path) -> Result<Self> {
        let programs = find_programs()?;
        let data_dir = std::path::absolute(data_dir)?;
        let dir = data_dir.join("postgres");
        fs::create_dir_all(&dir).with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
        let dir = fs::canonicalize(dir)?;
        let owner = nix::unistd::geteuid().is_root().then(|| owner(&dir)).transpose()?;
        let socket_dir = match dir.join("run") {
            short if short.as_os_str().len() <= LONGEST_SOCKET_DIR => short,
            long => {
                let name = blake3_hex(long.as_os_str().as_encoded_bytes());
                std::env::temp_dir().join(format!("slipway-{name}"))
            }
        };
        for private in [&dir, &socket_dir] {
            make_private(private, owner)?;
        }
        Ok(Self { dir, socket_dir, programs, owner })
    }

    fn url(&self, database: &str) -> String {
        let socket_dir = self.socket_dir.to_string_lossy();
        let encoded: String = socket_dir
            .bytes()
            .map(|b| match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect();
        format!("postgres://postgres@localhost/{database}?host={encoded}")
    }

    async fn answers(&self) -> bool {
        let connecting = PgConnection::connect(&self.url("postgres").clone());
        match tokio::time::timeout(Duration::from_secs(5), async { connecting.await }).await {
            Ok(Ok(conn)) => conn.close().await.is_ok(),
            _ => false,
        }
    }

    /// Starts the cluster when it does not answer; makes it first when there is none. One process at a time.
    async fn start(&self) -> Result<()> {
        let starting = File::create(self.dir.join("start.lock"))?;
        let starting = tokio::task::spawn_blocking(move || starting.lock().map(|()| starting)).await??;
        if self.answers().await {
            return Ok(());
        }
        let data = self.dir.join("data");
        if !data.join("PG_VERSION").exists() {
            tracing::info!("making a private PostgreSQL cluster");
            // A cluster whose making was interrupted has nothing in it yet.
            if data.exists() {
                fs::remove_dir_all(&data)?;
            }
            let data = data.as_os_str().to_owned();
            self.program(
                "initdb",
                &["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--pgdata"],
                Some(data),
            )
            .await?;
        }
        // After a kill, the old server's children may need a moment to notice.
        for _ in 0..20 {
            let settings = format!(
                "-c listen_addresses='' -c unix_socket_directories='{}' -c max_connections=200 -c shared_buffers=256MB",
                self.socket_dir.display()
            );
            let log = self.dir.join("log");
            let arguments =
                ["start", "--wait", "--silent", "--options", &settings, "--log", &log.to_string_lossy(), "--pgdata"];
            match self.program("pg_ctl", &arguments, Some(data.clone().into())).await {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, "PostgreSQL did not start yet"),
            }
            if self.answers().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        drop(starting);
        if self.answers().await {
            Ok(())
        } else {
            Err(anyhow!("PostgreSQL does not start; its log is {}", self.dir.join("log").display()))
        }
    }

    async fn ensure_database(&self) -> Result<()> {
        let mut conn = PgConnection::connect(&self.url("postgres")).await?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = 'slipway')")
            .fetch_one(&mut conn)
            .await?;
        if !exists {
            match sqlx::query("create database slipway").execute(&mut conn).await {
                Ok(_) => {}
                // Another process was first.
                Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(conn.close().await?)
    }

    async fn keep_running(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            // A look at the process is cheaper than a connection, and tells a dead server from a busy one.
            if self.process_lives() {
                continue;
            }
            tracing::warn!("the private PostgreSQL died; starting it again");
            if let Err(error) = self.start().await {
                tracing::error!(%error, "PostgreSQL could not be started again");
            }
        }
    }

    fn process_lives(&self) -> bool {
        let Ok(text) = fs::read_to_string(self.dir.join("data/postmaster.pid")) else { return false };
        text.lines().next().is_some_and(|pid| {
            let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            // The state follows the name, which is in brackets: Z is a process that ended and was not waited for.
            state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
        })
    }

    async fn stop(&self) -> Result<()> {
        self.program(
            "pg_ctl",
            &["stop", "--wait", "--silent", "--mode=fast", "--pgdata"],
            Some(self.dir.join("data").into()),
        )
        .await
    }

    /// Runs one of PostgreSQL's programs as the cluster's owner.
    async fn program(&self, name: &str, arguments: &[&str], last: Option<std::ffi::OsString>) -> Result<()> {
        let program = self.programs.join(name);
        let mut command = match self.owner {
            Some(Owner { uid, gid, passes: true }) => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={uid}"), format!("--regid={gid}")])
                    .args(["--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"])
                    .arg(&program);
                command
            }
            Some(Owner { uid, gid, passes: false }) => {
                let mut command = Command::new(&program);
                command.uid(uid).gid(gid);
                command
            }
            None => Command::new(&program),
        };
        command.args(arguments).args(last).current_dir("/").stdin(Stdio::null());
        // The server that pg_ctl leaves behind keeps these open: a pipe would never end.
        let output = self.dir.join(format!("{name}.out"));
        let file = File::create(&output)?;
        command.stdout(file.try_clone()?).stderr(file);
        let Output { status, .. } =
            command.output().await.with_context(|| format!("{} cannot be run", program.display()))?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&output).unwrap_or_default();
        bail!("{name} failed: {}", said.trim());
    }
}

/// The folder of the newest PostgreSQL that is installed.
fn find_programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let dir = std::env::split_paths(&path).find(|dir| dir.join("initdb").exists())?;
        // The other programs lie beside the file itself, not beside a link to it.
        fs::canonicalize(dir.join("initdb")).ok()?.parent().map(Path::to_owned)
    };
    found.pop().map(|(_, bin)| bin).or_else(on_path).ok_or_else(|| {
        anyhow!("PostgreSQL is not installed. Install it (on Debian: apt-get install postgresql), or name a database with --database-url")
    })
}

fn owner(dir: &Path) -> Result<Owner> {
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = user.ok_or_else(|| {
        anyhow!("PostgreSQL does not run as root, and there is neither a user \"postgres\" nor \"nobody\"")
    })?;
    let closed = dir.ancestors().skip(1).any(|above| fs::metadata(above).is_ok_and(|meta| meta.mode() & 0o001 == 0));
    Ok(Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw(), passes: closed })
}

/// Makes a folder that only its owner can enter.
fn make_private(dir: &Path, owner: Option<Owner>) -> Result<()> {
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(dir)?.is_dir() => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be made", dir.display())),
    }
    if let Some(owner) = owner {
        std::os::unix::fs::chown(dir, Some(owner.uid), Some(owner.gid))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    Ok(())
}

fn blake3_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

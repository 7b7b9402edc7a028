//! The database: the one that was named, or a private cluster in the data folder.
//!
//! The private cluster is the installed PostgreSQL, on a socket that only its owner can reach. It outlives a process
//! that is killed; the next one finds it running. Every process that uses it holds a shared lock, and whoever ends last
//! stops it. As root, which PostgreSQL refuses to run as, it runs as the user `postgres`.

mod programs;

use crate::{config::Data, supervise::supervise};
use anyhow::{Context as _, Result, anyhow, bail};
use sqlx::{Connection as _, PgConnection};
use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// The database's name in the private cluster.
const DATABASE: &str = "slipway";
/// A socket's path may have 107 bytes; PostgreSQL adds its own name.
const LONGEST_SOCKET_DIR: usize = 85;
/// How long starting the cluster again may go on once it is to stop.
const STARTING_STILL: Duration = Duration::from_secs(10);
/// Seconds: how long the cluster's end is waited for. Told to stop, it does so in any case.
const STOPPING: &str = "15";

/// Does something with the database that the options name, given its URL, or with the private cluster, which is started
/// when it does not run. However that ends, the cluster is stopped, unless another process uses it. With `watch`, it is
/// started again should it die meanwhile.
///
/// # Errors
/// When PostgreSQL is not installed, does not start or does not stop; the message says what to do. What `work` gives goes
/// before that.
pub async fn with_database<T>(data: &Data, watch: bool, work: impl AsyncFnOnce(&str) -> Result<T>) -> Result<T> {
    if let Some(url) = data.database_url() {
        return work(&url).await;
    }
    let user = User::of(Cluster::prepare(&data.data_dir)?)?;
    let done: Result<T> = async {
        user.cluster.start(&user.stop).await?;
        user.cluster.ensure_database().await?;
        let watch = watch.then(|| user.watch());
        let done = work(&user.cluster.url(DATABASE)).await;
        user.stop.cancel();
        if let Some(watch) = watch {
            let _ = timeout(STARTING_STILL, watch).await;
        }
        done
    }
    .await;
    match (done, user.leave().await) {
        (Ok(done), left) => left.map(|()| done),
        (Err(error), left) => {
            if let Err(error) = left {
                tracing::error!(%error, "the private PostgreSQL does not stop");
            }
            Err(error)
        }
    }
}

/// This process as a user of the private cluster.
struct User {
    cluster: Cluster,
    /// Locked, shared, by every user.
    users: File,
    /// The cluster is not to be started any more.
    stop: CancellationToken,
}

impl User {
    fn of(cluster: Cluster) -> Result<Self> {
        let users = File::create(cluster.dir.join("users.lock"))?;
        users.lock_shared()?;
        Ok(Self { cluster, users, stop: CancellationToken::new() })
    }

    /// Starts the cluster again should it die.
    fn watch(&self) -> AbortOnDropHandle<()> {
        let (cluster, stop) = (self.cluster.clone(), self.stop.clone());
        let watching = move || cluster.clone().keep_running(stop.clone());
        AbortOnDropHandle::new(tokio::spawn(supervise("the watch over PostgreSQL", self.stop.clone(), watching)))
    }

    /// Stops the cluster when nobody else uses it.
    async fn leave(self) -> Result<()> {
        self.users.unlock()?;
        match self.users.try_lock() {
            Ok(()) => self.cluster.stop().await,
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
        let data_dir = std::path::absolute(data_dir)?;
        let dir = data_dir.join("postgres");
        fs::create_dir_all(&dir).with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
        let dir = fs::canonicalize(dir)?;
        let programs = programs::find(major(&dir.join("data"))?)?;
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
        let url = self.url("postgres");
        match timeout(Duration::from_secs(5), PgConnection::connect(&url)).await {
            Ok(Ok(conn)) => conn.close().await.is_ok(),
            _ => false,
        }
    }

    /// Starts the cluster when it does not answer; makes it first when there is none. One process at a time. Once it is to
    /// stop, no further start is tried.
    async fn start(&self, stop: &CancellationToken) -> Result<()> {
        let starting = File::create(self.dir.join("start.lock"))?;
        let starting = tokio::task::spawn_blocking(move || starting.lock().map(|()| starting)).await??;
        if self.answers().await {
            return Ok(());
        }
        let data = self.dir.join("data");
        if !data.join("PG_VERSION").exists() {
            self.make(&data, &starting).await?;
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
            match self.program("pg_ctl", &arguments, &data, Stdio::null()).await {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, "PostgreSQL did not start yet"),
            }
            if self.answers().await {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
        }
        drop(starting);
        if self.answers().await {
            Ok(())
        } else {
            Err(anyhow!("PostgreSQL does not start; its log is {}", self.dir.join("log").display()))
        }
    }

    /// Makes the cluster in a folder of another name, which gets its own when all is on disk: whatever ends us meanwhile,
    /// half a cluster is never taken for one. `starting` is the lock under which this happens.
    async fn make(&self, data: &Path, starting: &File) -> Result<()> {
        tracing::info!("making a private PostgreSQL cluster");
        let new = self.dir.join("data.new");
        unless_absent(fs::remove_dir_all(&new)).with_context(|| format!("{} cannot be removed", new.display()))?;
        // An empty folder may go. Anything else is not ours to delete.
        unless_absent(fs::remove_dir(data)).with_context(|| {
            format!("{} holds something that is no PostgreSQL cluster; move it away", data.display())
        })?;
        // An initdb that outlives us holds the lock until it has ended, so that nobody removes the folder under it.
        let lock = Stdio::from(starting.try_clone()?);
        let arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--pgdata"];
        self.program("initdb", &arguments, &new, lock).await?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, data)?;
        Ok(File::open(&self.dir)?.sync_all()?)
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
            if let Err(error) = self.start(&stop).await {
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
        // After a start that failed there may be nothing to stop.
        if !self.process_lives() {
            return Ok(());
        }
        let data = self.dir.join("data");
        let arguments = ["stop", "--wait", "--silent", "--mode=fast", "--timeout", STOPPING, "--pgdata"];
        self.program("pg_ctl", &arguments, &data, Stdio::null()).await
    }

    /// Runs one of PostgreSQL's programs on a folder, as the cluster's owner.
    async fn program(&self, name: &str, arguments: &[&str], folder: &Path, stdin: Stdio) -> Result<()> {
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
        command.args(arguments).arg(folder).current_dir("/").stdin(stdin);
        // The server that pg_ctl leaves behind keeps these open: a pipe would never end.
        let output = self.dir.join(format!("{name}.out"));
        let file = File::create(&output)?;
        command.stdout(file.try_clone()?).stderr(file);
        let status = command.status().await.with_context(|| format!("{} cannot be run", program.display()))?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&output).unwrap_or_default();
        bail!("{name} failed: {}", said.trim());
    }
}

/// The major version of the PostgreSQL that made a cluster. None when there is no cluster.
fn major(data: &Path) -> Result<Option<u32>> {
    let file = data.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let major = text.trim().parse();
            major.map(Some).with_context(|| format!("{} names no version of PostgreSQL", file.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// What is to be removed may not be there.
fn unless_absent(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn owner(dir: &Path) -> Result<Owner> {
    let user = ["postgres", "nobody"].into_iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
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

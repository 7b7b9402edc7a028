//! How a program becomes a shim, and the worker's side of the fork server; `shim::serve` is the other.

use crate::{Confinement, Doing as _, Error, shim};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::{
    fs::File,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::Interest,
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

/// What is said when there is none.
pub(crate) const DOING: &str = "the step's supervisor could not be started";

/// How a program becomes a shim; see [`crate::shim`].
#[derive(Debug, Clone)]
pub struct Shim {
    program: PathBuf,
    args: Vec<String>,
    /// Kept open: the program is this one, also when its file was replaced or removed since.
    _file: Option<Arc<File>>,
}

impl Shim {
    /// This program itself, with these arguments: `&["step-shim"]`. Also when its file was replaced or removed since.
    #[must_use]
    pub fn this_program(args: &[&str]) -> Self {
        Self::at("/proc/self/exe", args)
    }

    /// The program of this name that lies beside this one; this program itself, with these arguments, where there is none.
    #[must_use]
    pub fn beside_this_program(name: &str, args: &[&str]) -> Self {
        let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name));
        match beside.and_then(|path| File::open(path).ok()) {
            Some(file) => {
                let program = format!("/proc/self/fd/{}", file.as_raw_fd());
                Self { program: program.into(), args: Vec::new(), _file: Some(Arc::new(file)) }
            }
            None => Self::this_program(args),
        }
    }

    /// Runs it as the watch over a container; see [`crate::shim`]. It goes on when this process ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn watch(&self, socket: &Path, container: &str, lease: &Path) -> Result<Child, Error> {
        Command::new(&self.program)
            .arg0("slipway-step")
            .args(&self.args)
            .arg(shim::WATCH)
            .arg(socket)
            .arg(container)
            .arg(lease)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing("the watch over the step's container could not be started")
    }

    /// The program at this path, with these arguments.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self { program: program.into(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), _file: None }
    }
}

/// How long a server that lives takes for a message, at most.
const SENDING: Duration = Duration::from_secs(10);

/// Forks supervisors. It is started when the first is wanted, and again after it has died.
#[derive(Debug, Clone)]
pub(crate) struct ForkServer {
    shim: Shim,
    confinement: Confinement,
    running: Arc<Mutex<Option<Arc<Running>>>>,
}

/// One that was started.
#[derive(Debug)]
pub(crate) struct Running {
    socket: UnixStream,
    child: Mutex<Child>,
}

impl ForkServer {
    pub(crate) fn new(shim: Shim) -> Self {
        Self { shim, confinement: Confinement::default(), running: Arc::default() }
    }

    /// One whose steps are confined so.
    pub(crate) fn confined(self, confinement: Confinement) -> Self {
        Self { shim: self.shim, confinement, running: Arc::default() }
    }

    /// Has a supervisor forked that gets these as its standard input, output and error. It may die before it says a word.
    /// Answers with whom was asked.
    ///
    /// # Errors
    /// When the program cannot be started, or takes nothing.
    pub(crate) async fn fork(&self, ends: [OwnedFd; 3]) -> Result<Arc<Running>, Error> {
        let first = self.running()?;
        if let Ok(Ok(())) = timeout(SENDING, first.send(&ends)).await {
            return Ok(first);
        }
        // It is gone, or might as well be.
        self.give_up(&first);
        let second = self.running()?;
        timeout(SENDING, second.send(&ends)).await.doing(DOING)?.doing(DOING)?;
        Ok(second)
    }

    /// Gives up one that does not answer: the next supervisor is another's.
    pub(crate) fn give_up(&self, server: &Arc<Running>) {
        running_of(&self.running).take_if(|running| Arc::ptr_eq(running, server));
        // Dead already, or it dies of it.
        let _ = server.child.lock().unwrap_or_else(PoisonError::into_inner).start_kill();
    }

    fn running(&self) -> Result<Arc<Running>, Error> {
        let mut running = running_of(&self.running);
        if let Some(running) = running.as_ref() {
            return Ok(Arc::clone(running));
        }
        Ok(Arc::clone(running.insert(Arc::new(self.start()?))))
    }

    fn start(&self) -> Result<Running, Error> {
        let (socket, theirs) = socket_pair()?;
        // What it says of itself is for the worker's log.
        let child = Command::new(&self.shim.program)
            .arg0("slipway-step")
            .args(&self.shim.args)
            .arg(shim::SERVE)
            .arg(serde_json::to_string(&self.confinement).doing(DOING)?)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .doing(DOING)?;
        Ok(Running { socket, child: Mutex::new(child) })
    }
}

/// A socket of this process, and its other end for another.
pub(crate) fn socket_pair() -> Result<(UnixStream, OwnedFd), Error> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().doing(DOING)?;
    ours.set_nonblocking(true).doing(DOING)?;
    Ok((UnixStream::from_std(ours).doing(DOING)?, theirs.into()))
}

fn running_of(running: &Mutex<Option<Arc<Running>>>) -> MutexGuard<'_, Option<Arc<Running>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    async fn send(&self, ends: &[OwnedFd; 3]) -> io::Result<()> {
        let ends: Vec<BorrowedFd<'_>> = ends.iter().map(AsFd::as_fd).collect();
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
            let mut sent = SendAncillaryBuffer::new(&mut space);
            sent.push(SendAncillaryMessage::ScmRights(&ends));
            Ok(sendmsg(&self.socket, &[IoSlice::new(b"\n")], &mut sent, SendFlags::NOSIGNAL)?)
        };
        self.socket.async_io(Interest::WRITABLE, send).await.map(drop)
    }
}

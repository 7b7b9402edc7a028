//! The worker's side of the fork server; `shim::serve` is the other.

use crate::{Confinement, Doing as _, Error, Shim, shim};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Stdio,
    sync::Arc,
};
use tokio::{
    io::Interest,
    net::UnixStream,
    process::{Child, Command},
    sync::Mutex,
};

/// What is said when there is none.
pub(crate) const DOING: &str = "the step's supervisor could not be started";

/// Forks supervisors. It is started when the first is wanted, and again after it has died.
#[derive(Debug, Clone)]
pub(crate) struct ForkServer {
    shim: Shim,
    confinement: Confinement,
    running: Arc<Mutex<Option<Running>>>,
}

#[derive(Debug)]
struct Running {
    socket: UnixStream,
    /// Reaped when it has ended, which it does when the socket does.
    child: Child,
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
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) async fn fork(&self, ends: [OwnedFd; 3]) -> Result<(), Error> {
        let mut running = self.running.lock().await;
        if let Some(server) = running.as_ref()
            && server.send(&ends).await.is_ok()
        {
            return Ok(());
        }
        // None yet, or it is gone.
        let server = running.insert(self.start()?);
        server.send(&ends).await.doing(DOING)
    }

    /// Gives up one that does not answer: the next supervisor is another's.
    pub(crate) async fn give_up(&self) {
        if let Some(mut server) = self.running.lock().await.take() {
            // Dead already, or it dies of it.
            let _ = server.child.start_kill();
        }
    }

    fn start(&self) -> Result<Running, Error> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().doing(DOING)?;
        ours.set_nonblocking(true).doing(DOING)?;
        let socket = UnixStream::from_std(ours).doing(DOING)?;
        let child = Command::new(&self.shim.program)
            .arg0("slipway-step")
            .args(&self.shim.args)
            .arg(shim::SERVE)
            .arg(serde_json::to_string(&self.confinement).doing(DOING)?)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(DOING)?;
        Ok(Running { socket, child })
    }
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

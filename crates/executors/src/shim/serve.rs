//! The fork server: the parent of a worker's supervisors.
//!
//! A step is to cost the start of one program, its own. So this one begins once a worker, is small, has one thread, and
//! forks a supervisor whenever the worker sends a byte with the three ends that it is to have: its socket and the pipes of
//! the step's output. It ends with the worker; supervisors do not need it once they are there.

use super::supervise;
use crate::{
    Confinement,
    protocol::{self, FromShim},
    reach::Reach,
};
use fork::Fork;
use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid},
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::{
    fs::File,
    io::{self, IoSliceMut, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

/// How long a supervisor that has ended stays a zombie, at most.
const REAP: Duration = Duration::from_secs(1);

/// What a supervisor gets.
struct Ends {
    socket: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// `confinement` is that of all steps, as JSON.
pub(super) fn run(confinement: &str) -> io::Result<()> {
    let confinement: Confinement = serde_json::from_str(confinement)?;
    let look = || confinement.enabled.then(|| Reach::look(&confinement));
    // It may have been started by the number of a file.
    prctl::set_name(c"slipway-step")?;
    // Asking the processor what it can do takes long in a virtual machine. What is known is known after a fork.
    #[cfg(target_arch = "x86_64")]
    let _ = std::is_x86_feature_detected!("avx2");
    // A session of its own: no signals from the worker's terminal, and no terminal to ask for passwords on. Fails only
    // for the leader of a group, which is as well apart.
    let _ = setsid();
    // Whoever stops the worker's whole group stops the worker; this one and its supervisors go by their sockets alone.
    // `launch` takes this back for the command.
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT]
        .into_iter()
        .collect::<SigSet>()
        .thread_block()?;
    let worker = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    dup2_stdin(File::open("/dev/null")?)?;
    let (mut reach, mut supervisors) = (look(), 0_u32);
    loop {
        worker.set_read_timeout((supervisors > 0).then_some(REAP))?;
        match receive(&worker) {
            Ok(Some(ends)) => match fork_with(&mut reach, look) {
                Ok(Fork::Child) => {
                    drop(worker);
                    dup2_stdin(&ends.socket)?;
                    dup2_stdout(&ends.stdout)?;
                    dup2_stderr(&ends.stderr)?;
                    drop(ends);
                    return supervise::run(reach.as_ref());
                }
                Ok(Fork::Parent(_)) => supervisors += 1,
                Err(error) => {
                    let failed = FromShim::Failed { message: error.to_string() };
                    // Nobody to tell it to: the end of the socket says as much.
                    let _ = UnixStream::from(ends.socket).write_all(&protocol::line(&failed)?);
                }
            },
            Ok(None) => return Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            supervisors = supervisors.saturating_sub(1);
        }
    }
}

/// Forks, with what steps can reach now.
fn fork_with(reach: &mut Option<Reach>, look: impl Fn() -> Option<Reach>) -> io::Result<Fork> {
    if reach.as_ref().is_some_and(Reach::is_stale) {
        *reach = look();
    }
    fork::fork()
}

/// The ends for the next supervisor; none when the worker is gone.
fn receive(worker: &UnixStream) -> io::Result<Option<Ends>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = recvmsg(worker, &mut [IoSliceMut::new(&mut byte)], &mut received, RecvFlags::CMSG_CLOEXEC)?;
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut ends = received.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(ends) => ends.collect(),
        _ => Vec::new(),
    });
    let mut next = || ends.next().ok_or_else(|| io::Error::other("a byte came without its three ends"));
    Ok(Some(Ends { socket: next()?, stdout: next()?, stderr: next()? }))
}

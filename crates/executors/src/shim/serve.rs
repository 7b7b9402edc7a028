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
    sandbox,
};
use fork::Fork;
use nix::{
    sys::{
        prctl,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use rustix::{
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use std::{
    fs::File,
    io::{self, IoSliceMut, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

/// How long a supervisor that has ended stays a zombie, at most.
const REAP: Duration = Duration::from_secs(1);

/// How long what steps can reach stays open for the next: it holds file systems that somebody may want to take away.
const KEPT: Duration = Duration::from_secs(10);

/// What a supervisor gets.
struct Ends {
    socket: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// `confinement` is that of all steps, as JSON.
pub(super) fn run(confinement: &str) -> io::Result<()> {
    let confinement: Confinement = serde_json::from_str(confinement)?;
    // It may have been started by the number of a file.
    prctl::set_name(c"slipway-step")?;
    // Asking the processor what it can do takes long in a virtual machine. What is known is known after a fork.
    #[cfg(target_arch = "x86_64")]
    let _ = std::is_x86_feature_detected!("avx2");
    super::go_apart()?;
    // Children are not reaped behind our back because whoever started the worker did not care for its own.
    fork::ensure_waitable_children()?;
    // What steps can reach is open here.
    sandbox::allow_files();
    let inherited = confinement.enabled.then(sandbox::confine_all);
    let look = || inherited.map(|inherited| Reach::look(&confinement, inherited));
    let worker = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    dup2_stdin(File::open("/dev/null")?)?;
    let (mut reach, mut supervisors, mut asked_at) = (None, 0_u32, Instant::now());
    loop {
        worker.set_read_timeout((supervisors > 0 || reach.is_some()).then_some(REAP))?;
        match receive(&worker)? {
            Received::Ends(ends) => {
                asked_at = Instant::now();
                match fork_with(&mut reach, look) {
                    Ok(Fork::Child) => {
                        drop(worker);
                        dup2_stdin(&ends.socket)?;
                        dup2_stdout(&ends.stdout)?;
                        dup2_stderr(&ends.stderr)?;
                        drop(ends);
                        return supervise::run(reach);
                    }
                    Ok(Fork::Parent(_)) => supervisors += 1,
                    Err(error) => {
                        let failed = FromShim::Failed { message: error.to_string() };
                        // Nobody to tell it to: the end of the socket says as much.
                        let _ = UnixStream::from(ends.socket).write_all(&protocol::line(&failed)?);
                    }
                }
            }
            Received::Gone => return Ok(()),
            Received::Nothing => {}
        }
        if asked_at.elapsed() > KEPT {
            reach = None;
        }
        while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            supervisors = supervisors.saturating_sub(1);
        }
    }
}

/// Forks, with what steps can reach now.
fn fork_with(reach: &mut Option<Reach>, look: impl Fn() -> Option<Reach>) -> io::Result<Fork> {
    if reach.as_ref().is_none_or(Reach::is_stale) {
        // Not both at once: they may be many files.
        drop(reach.take());
        *reach = look();
    }
    fork::fork()
}

enum Received {
    Ends(Ends),
    /// Nothing in this time, or nothing that could be taken: who sent it learns from the end of its socket.
    Nothing,
    /// The worker is gone.
    Gone,
}

/// Waits for the ends of the next supervisor.
fn receive(worker: &UnixStream) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    match recvmsg(worker, &mut [IoSliceMut::new(&mut byte)], &mut received, RecvFlags::CMSG_CLOEXEC) {
        Ok(message) if message.bytes == 0 => return Ok(Received::Gone),
        Ok(_) => {}
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
        Err(error) => return Err(error.into()),
    }
    let ends = received.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(ends) => ends.collect(),
        _ => Vec::new(),
    });
    // Fewer when this process may open no more.
    Ok(match <[OwnedFd; 3]>::try_from(ends.collect::<Vec<_>>()) {
        Ok([socket, stdout, stderr]) => Received::Ends(Ends { socket, stdout, stderr }),
        Err(_) => Received::Nothing,
    })
}

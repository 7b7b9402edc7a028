//! The watch over a container: ends it when the lease of the one who runs it has run out, should that one be dead,
//! stopped or out of breath.
//!
//! A container does not end with its worker. So beside each a small process looks at a file, where the worker notes the
//! deadline at every renewal; whoever adopts the container goes on noting there. When the deadline has passed, the
//! container is killed by the engine, whose socket speaks HTTP. Two that watch one container do no harm.

use crate::clock::Deadline;
use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

/// Between two looks at the deadline.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at whether there is still something to watch.
const LOOK_AT_CONTAINER: u32 = 10;
/// How long the engine may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// For how long after the deadline an engine that does not answer at all is asked. One that comes back later still has the
/// container; the next worker there discards it.
const GIVE_UP: Duration = Duration::from_secs(3600);

/// `watch SOCKET CONTAINER LEASE`
pub(super) fn run(socket: &Path, container: &str, lease: &Path) -> io::Result<()> {
    // When the worker is stopped, its container waits for the next one.
    super::go_apart()?;
    let mut looks = 0_u32;
    let mut give_up = None;
    loop {
        let deadline = fs::read(lease).ok().and_then(|text| serde_json::from_slice::<Deadline>(&text).ok());
        // Without a lease nobody answers for it.
        let is_over = deadline.is_none_or(Deadline::has_passed);
        if is_over {
            // Again until it is gone: the engine may be starting.
            let _ = ask(socket, "POST", &format!("/containers/{container}/kill"));
        }
        if is_over || looks.is_multiple_of(LOOK_AT_CONTAINER) {
            match ask(socket, "GET", &format!("/containers/{container}/json")) {
                Ok((404, _)) => return Ok(()),
                Ok((200, body)) if has_ended(&body) => return Ok(()),
                Ok(_) => give_up = None,
                Err(_) if is_over && give_up.get_or_insert_with(|| Deadline::after(GIVE_UP)).has_passed() => {
                    return Ok(());
                }
                Err(_) => {}
            }
        }
        looks = looks.wrapping_add(1);
        thread::sleep(deadline.filter(|_| !is_over).map_or(LOOK, |deadline| deadline.remaining().min(LOOK)));
    }
}

/// One that has not begun is watched as well.
fn has_ended(body: &[u8]) -> bool {
    let found: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    matches!(found["State"]["Status"].as_str(), Some("exited" | "dead" | "removing"))
}

fn ask(socket: &Path, method: &str, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut engine = UnixStream::connect(socket)?;
    engine.set_read_timeout(Some(ANSWER))?;
    engine.set_write_timeout(Some(ANSWER))?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    write!(engine, "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = Vec::new();
    engine.read_to_end(&mut answer)?;
    let wrong = || io::Error::other("no HTTP");
    let status = String::from_utf8_lossy(answer.get(9..12).ok_or_else(wrong)?).parse().map_err(|_| wrong())?;
    let at = answer.windows(4).position(|end| end == b"\r\n\r\n").ok_or_else(wrong)?;
    Ok((status, answer.split_off(at + 4)))
}

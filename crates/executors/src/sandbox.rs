//! What keeps a step from the rest of the machine: arranged in the process that becomes the command, before it does; what is the
//! same for all, once in the fork server, from which it is inherited.
//!
//! - **Level 0**: a session and group of its own, no core dumps.
//! - **Level 1**: besides that, it has none of root's capabilities and gains no privileges by what it runs, it writes only to its own directory and to devices
//!   that are meant for everybody, it cannot read what its worker keeps, it cannot signal what is not its own (*landlock*),
//!   and system calls that a computation has no use for are refused (*seccomp*).
//!
//! Each is applied as far as the kernel has it. What was reached is told, never assumed.

use crate::reach::{Held, Places, Reach};
use caps::CapSet;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, LandlockStatus, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use nix::{
    libc,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
    },
    unistd::Pid,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
};

/// What steps are kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether level 1 is wanted.
    pub enabled: bool,
    /// What they cannot read: the worker's data directory, with the database, its socket and the keys in it.
    pub hidden: Vec<PathBuf>,
    /// What of that they can read all the same.
    pub shown: Vec<PathBuf>,
    /// Where they may write besides their own directory.
    pub writable: Vec<PathBuf>,
}

/// What kept a step from the rest of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// It could not gain privileges.
    pub no_new_privileges: bool,
    /// The version of landlock that was applied.
    pub landlock: Option<u8>,
    /// Dangerous system calls were refused.
    pub seccomp: bool,
    /// Where its processes were counted and limited together.
    pub group: Option<GroupKind>,
    /// It ran in a container.
    pub container: bool,
}

/// What counts and limits the processes of a step together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupKind {
    /// Control groups as kernels have had them first, one tree a resource.
    V1,
    /// Control groups in one tree.
    V2,
    /// Its supervisor looks several times a second.
    Watched,
}

impl Sandbox {
    /// The level that was reached: 0, 1, or 3 for a container.
    #[must_use]
    pub fn level(&self) -> u8 {
        if self.container { 3 } else { u8::from(self.no_new_privileges && self.landlock.is_some() && self.seccomp) }
    }
}

/// `level 1 (no new privileges, landlock 7, seccomp, cgroup v1)`
impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.level())?;
        let parts = [
            self.container.then(|| "container".to_owned()),
            self.no_new_privileges.then(|| "no new privileges".to_owned()),
            self.landlock.map(|abi| format!("landlock {abi}")),
            self.seccomp.then(|| "seccomp".to_owned()),
            match self.group {
                Some(GroupKind::V1) => Some("cgroup v1".to_owned()),
                Some(GroupKind::V2) => Some("cgroup v2".to_owned()),
                Some(GroupKind::Watched) => Some("memory watched".to_owned()),
                None => None,
            },
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

/// Files that a step may have open, where the machine allows it.
const MOST_FILES: u64 = 65_536;

/// Limits of the process itself. Nothing here needs a privilege, and none can be taken back.
pub(crate) fn limit() {
    // A dump of a training's memory fills a disk.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    allow_files();
}

/// Loaders of data keep many files open, and the usual 1024 is a limit of old programs.
pub(crate) fn allow_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(MOST_FILES)), hard);
    }
}

/// Keeps this process and all that come from it on so many processors: where nothing shares out their time, a step has
/// whole ones. Which these are follows from its directory, so that not all steps are on the first.
pub(crate) fn bind(cpus: f64, own: &Path) -> nix::Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let known: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few
    let wanted = (cpus.ceil().clamp(1.0, 10_000.0) as usize).min(known.len());
    let mut hasher = DefaultHasher::new();
    own.hash(&mut hasher);
    #[allow(clippy::cast_possible_truncation)] // any will do
    let first = hasher.finish() as usize;
    let mut own = CpuSet::new();
    known.iter().cycle().skip(first % known.len().max(1)).take(wanted).try_for_each(|cpu| own.set(*cpu))?;
    sched_setaffinity(Pid::from_raw(0), &own)
}

/// What is the same for all steps of a worker: arranged once, in the process that all of them come from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inherited {
    no_new_privileges: bool,
    seccomp: bool,
}

/// Confines this process, and so all that come from it, as far as that is the same for all steps and keeps a supervisor
/// from nothing that it does.
pub(crate) fn confine_all() -> Inherited {
    let no_new_privileges = prctl::set_no_new_privs().is_ok() && leave_no_capabilities();
    let seccomp = refusals().is_ok_and(|refused| refused.iter().all(|program| apply_filter(program).is_ok()));
    Inherited { no_new_privileges, seccomp }
}

/// Confines this process and all that come from it, when it is to be. `own` is the directory of the step, `gpus` are the
/// device files of the graphics processors that it may use; none: of all.
pub(crate) fn confine(reach: Option<&Reach>, gpus: Option<&[PathBuf]>, own: &Path) -> Sandbox {
    let mut reached = Sandbox::default();
    let Some(reach) = reach else { return reached };
    reached.no_new_privileges = drop_capabilities() && reach.inherited.no_new_privileges;
    reached.landlock = landlock(reach, gpus, own).ok().flatten();
    reached.seccomp = reach.inherited.seccomp;
    reached
}

/// What a worker that runs as root could do beyond other users, no program that is begun from here gets, whatever its file says.
fn leave_no_capabilities() -> bool {
    // The bounding set can be emptied by those only who have something that it could give back to root.
    if has_none(CapSet::Permitted) {
        return true;
    }
    // Not every kernel knows all that this crate knows of.
    [CapSet::Ambient, CapSet::Inheritable, CapSet::Bounding].into_iter().for_each(|set| drop(caps::clear(None, set)));
    has_none(CapSet::Bounding)
}

/// This process has nothing of it either: some of it goes past everything below.
fn drop_capabilities() -> bool {
    [CapSet::Effective, CapSet::Permitted].into_iter().for_each(|set| drop(caps::clear(None, set)));
    has_none(CapSet::Permitted)
}

fn has_none(set: CapSet) -> bool {
    caps::read(None, set).is_ok_and(|held| held.is_empty())
}

fn landlock(reach: &Reach, gpus: Option<&[PathBuf]>, own: &Path) -> Result<Option<u8>, RulesetError> {
    let abi = ABI::V10;
    // Where the kernel knows of it: sockets may be connected to wherever files may be read.
    let read: BitFlags<AccessFs> = AccessFs::from_read(abi) | AccessFs::ResolveUnix;
    let given = gpus.map(|paths| Places::named(paths.to_vec()));
    let own = Places::named(vec![own.to_owned()]);
    let writable = reach.writable.each().chain(given.as_ref().unwrap_or(&reach.gpus).each()).chain(own.each());
    // A file has no rights of a directory.
    fn rule(place: Held<'_>, access: BitFlags<AccessFs>) -> Result<PathBeneath<Held<'_>>, RulesetError> {
        let access = if place.is_directory() { access } else { access & AccessFs::from_file(ABI::V10) };
        Ok(PathBeneath::new(place, access))
    }
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(reach.readable.each().map(|place| rule(place, read)))?
        .add_rules(writable.map(|place| rule(place, AccessFs::from_all(abi))))?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => None,
        (_, LandlockStatus::Available { effective_abi, .. }) => Some(effective_abi as u8),
        _ => None,
    })
}

/// System calls that change the machine, look into other processes, or open large parts of the kernel.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Flags of `clone` that make namespaces.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// What refuses system calls, compiled.
fn refusals() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    // One rule a flag: a condition compares all masked bits at once.
    let clone: Result<Vec<SeccompRule>, _> = (0..32)
        .map(|bit| 1_u64 << bit)
        .filter(|flag| u64::from(NAMESPACES.unsigned_abs()) & flag != 0)
        .map(|flag| {
            let equals = SeccompCmpOp::MaskedEq(flag);
            SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, equals, flag)?])
        })
        .collect();
    refused.insert(libc::SYS_clone, clone?);
    // Its flags lie in memory, where a filter cannot see them. Who is told that it does not exist takes `clone`.
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok(vec![compiled(refused, libc::EPERM)?, compiled(unknown, libc::ENOSYS)?])
}

fn compiled(calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(calls, SeccompAction::Allow, action, arch)?.try_into()?)
}

/// Whether a directory can be written to by this process.
pub(crate) fn is_writable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// What stands in a file with one number.
pub(crate) fn number_in(path: &Path) -> io::Result<u64> {
    fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_what_was_reached() {
        let mut sandbox = Sandbox { no_new_privileges: true, landlock: Some(7), seccomp: true, ..Sandbox::default() };
        assert_eq!(sandbox.to_string(), "level 1 (no new privileges, landlock 7, seccomp)");
        sandbox.landlock = None;
        sandbox.group = Some(GroupKind::V2);
        assert_eq!(sandbox.to_string(), "level 0 (no new privileges, seccomp, cgroup v2)");
        assert_eq!(Sandbox::default().to_string(), "level 0");
    }
}

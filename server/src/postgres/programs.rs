//! Where the programs of PostgreSQL are. `scripts/postgres-bin.sh` looks at the same places.

use anyhow::{Result, anyhow};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// An installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Installed {
    /// The major version.
    major: u32,
    /// The folder of its programs.
    bin: PathBuf,
}

/// The programs of this major version, which a cluster asks for that was made by it; without one the newest.
///
/// # Errors
/// When there are none; the message says what to install.
pub(super) fn find(major: Option<u32>) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    choose(major, packaged(Path::new("/usr")), on_path(std::env::split_paths(&path)))
}

/// Where the packages of Debian and those of PostgreSQL for Red Hat put it, oldest first.
fn packaged(usr: &Path) -> Vec<Installed> {
    let below = |folder: &str| fs::read_dir(usr.join(folder)).into_iter().flatten().flatten();
    let debian = below("lib/postgresql").map(|entry| (entry.file_name(), entry.path()));
    let red_hat = below("").map(|entry| (entry.file_name(), entry.path()));
    let red_hat =
        red_hat.filter_map(|(name, path)| Some((OsString::from(name.to_str()?.strip_prefix("pgsql-")?), path)));
    let mut found: Vec<Installed> = debian
        .chain(red_hat)
        .filter_map(|(name, path)| Some(Installed { major: name.to_str()?.parse().ok()?, bin: path.join("bin") }))
        .filter(|installed| installed.bin.join("initdb").exists())
        .collect();
    found.sort();
    found
}

/// The folder of the programs on the path.
fn on_path(mut dirs: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let dir = dirs.find(|dir| dir.join("initdb").exists())?;
    // The other programs lie beside the file itself, not beside a link to it.
    fs::canonicalize(dir.join("initdb")).ok()?.parent().map(Path::to_owned)
}

fn choose(major: Option<u32>, mut packaged: Vec<Installed>, on_path: Option<PathBuf>) -> Result<PathBuf> {
    let Some(major) = major else {
        return packaged.pop().map(|newest| newest.bin).or(on_path).ok_or_else(|| {
            anyhow!("PostgreSQL is not installed. Install it (on Debian: apt-get install postgresql), or name a database with --database-url")
        });
    };
    if let Some(same) = packaged.iter().find(|installed| installed.major == major) {
        return Ok(same.bin.clone());
    }
    let on_path = on_path.and_then(|bin| Some(Installed { major: version(&bin)?, bin }));
    match on_path {
        Some(same) if same.major == major => Ok(same.bin),
        other => {
            let found: Vec<String> = packaged.iter().chain(&other).map(|found| found.major.to_string()).collect();
            let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            Err(anyhow!(
                "the database in the data folder is of PostgreSQL {major}, which is not installed (installed: {found}). \
                 Install it (on Debian: apt-get install postgresql-{major}), or name another database with --database-url"
            ))
        }
    }
}

/// The major version that `initdb (PostgreSQL) 15.14 (Debian …)` says.
fn version(bin: &Path) -> Option<u32> {
    let output = std::process::Command::new(bin.join("initdb")).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// Puts programs there that say this version.
    fn install(bin: &Path, version: &str) {
        fs::create_dir_all(bin).unwrap();
        fs::write(bin.join("initdb"), format!("#!/bin/sh\necho 'initdb (PostgreSQL) {version}'\n")).unwrap();
        fs::set_permissions(bin.join("initdb"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn programs_are_those_that_made_the_cluster_and_for_a_new_one_the_newest() {
        let usr = tempfile::tempdir().unwrap();
        let of = |place: &str| usr.path().join(place).join("bin");
        for (place, version) in [("lib/postgresql/9", "9.6"), ("lib/postgresql/15", "15.14"), ("pgsql-17", "17.2")] {
            install(&of(place), version);
        }
        fs::create_dir_all(of("lib/postgresql/18")).unwrap();
        let packaged = packaged(usr.path());
        assert_eq!(packaged.iter().map(|found| found.major).collect::<Vec<_>>(), [9, 15, 17]);
        assert_eq!(choose(None, packaged.clone(), None).unwrap(), of("pgsql-17"));
        assert_eq!(choose(Some(15), packaged, None).unwrap(), of("lib/postgresql/15"));
    }

    #[test]
    fn programs_on_the_path_are_taken_when_no_package_has_them() {
        let place = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(place.path()).unwrap();
        let (bin, links) = (place.join("bin"), place.join("links"));
        install(&bin, "18beta1 (Debian 18~beta1)");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(bin.join("initdb"), links.join("initdb")).unwrap();
        let found = on_path([place.join("nothing"), links].into_iter());
        assert_eq!(found, Some(bin.clone()));
        assert_eq!(choose(None, Vec::new(), found.clone()).unwrap(), bin);
        assert_eq!(choose(Some(18), Vec::new(), found.clone()).unwrap(), bin);
        let newer = Installed { major: 17, bin: place };
        assert!(choose(Some(16), vec![newer], found).is_err());
    }

    #[test]
    fn a_cluster_of_a_version_that_is_not_installed_says_which_to_install() {
        let other = Installed { major: 17, bin: PathBuf::from("/usr/pgsql-17/bin") };
        let error = choose(Some(15), vec![other], None).unwrap_err().to_string();
        assert!(error.contains("is of PostgreSQL 15, which is not installed (installed: 17)."), "{error}");
        assert!(error.contains("apt-get install postgresql-15"), "{error}");
        assert!(choose(None, Vec::new(), None).unwrap_err().to_string().contains("not installed"));
    }
}

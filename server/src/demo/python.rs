//! The Python environment of the training: made once in the data folder, and used again.

use super::{
    file::REQUIREMENTS,
    station::{Failure, Progress},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// How long installing the packages may take.
const INSTALLING: Duration = Duration::from_secs(900);
/// How long anything else may take, on a slow machine with a cold disk.
const ASKING: Duration = Duration::from_secs(120);
/// Interpreters that are looked for, the usual one first.
const INTERPRETERS: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];
/// Says which of the packages that the scripts import is missing. Looking for them takes a moment; importing them takes
/// as long as a step.
const LOOK: &str = "import sys; from importlib.util import find_spec; \
    needed = ['mlflow', 'numpy', 'onnx', 'onnxruntime', 'pandas', 'requests', 'skl2onnx', 'sklearn']; \
    missing = [name for name in needed if find_spec(name) is None]; \
    missing and sys.exit('no ' + ', '.join(missing))";

/// Where the environment is made.
pub(super) fn environment(folder: &Path) -> PathBuf {
    folder.join("python")
}

/// The folder of the environment's programs. `given` is an environment that has the packages already; without one, it
/// is made in `folder`.
pub(super) async fn prepare(folder: &Path, given: Option<&Path>, progress: &Progress) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        let given = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
        let programs = given.join("bin");
        return match run(&programs.join("python"), &["-c", LOOK], ASKING).await {
            Ok(_) => Ok(programs),
            Err(said) => {
                Err(Failure::new(format!("a Python environment in {} with the packages", given.display()), said))
            }
        };
    }
    let expected = "a Python environment for the training";
    let trouble = |error: std::io::Error| Failure::new(expected, format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(trouble)?;
    // Another walk may be making it.
    let lock = File::create(folder.join("python.lock")).map_err(trouble)?;
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = locked.map_err(std::io::Error::other).and_then(|locked| locked).map_err(trouble)?;

    let environment = environment(folder);
    let (programs, stamp) = (environment.join("bin"), environment.join("installed"));
    let is_whole = fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS);
    if is_whole && run(&programs.join("python"), &["-c", LOOK], ASKING).await.is_ok() {
        return Ok(programs);
    }
    let interpreter = interpreter().await?;
    progress.note(format!("making an environment with {interpreter}"));
    let path = environment.to_string_lossy();
    run(Path::new(&interpreter), &["-m", "venv", "--clear", &path], ASKING)
        .await
        .map_err(|said| Failure::new(expected, said))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(trouble)?;
    progress.note("installing MLflow, scikit-learn and ONNX Runtime: a minute or two, once");
    install(&programs, &requirements, &folder.join("install.log")).await?;
    fs::write(stamp, REQUIREMENTS).map_err(trouble)?;
    Ok(programs)
}

/// An interpreter that is new enough and can make environments.
async fn interpreter() -> Result<String, Failure> {
    let asks = "import sys; assert sys.version_info >= (3, 11); import ensurepip, venv";
    let mut seen = Vec::new();
    for name in INTERPRETERS {
        match run(Path::new(name), &["-c", asks], ASKING).await {
            Ok(_) => return Ok(name.to_owned()),
            Err(said) if said.contains("ensurepip") || said.contains("venv") => {
                seen.push(format!("{name} cannot make environments"));
            }
            Err(said) if said.contains("AssertionError") => seen.push(format!("{name} is older")),
            Err(_) => {}
        }
    }
    let seen = if seen.is_empty() { "no python3 on the PATH".to_owned() } else { seen.join(", ") };
    let advice = "install it (on Debian: apt-get install python3 python3-venv), or name an environment with --python";
    Err(Failure::new("Python 3.11 or newer with the modules venv and ensurepip", format!("{seen}; {advice}")))
}

async fn install(programs: &Path, requirements: &Path, log: &Path) -> Result<(), Failure> {
    let expected = "the packages of the training, installed by pip";
    let trouble = |error: std::io::Error| Failure::new(expected, error).look_at(log.to_string_lossy());
    let file = File::create(log).map_err(trouble)?;
    let mut pip = Command::new(programs.join("python"));
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--requirement"])
        .arg(requirements)
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(trouble)?)
        .stderr(file)
        .kill_on_drop(true);
    let seen = match tokio::time::timeout(INSTALLING, pip.status()).await {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(_)) => fs::read_to_string(log).unwrap_or_default(),
        Ok(Err(error)) => return Err(trouble(error)),
        Err(_) => format!("no end of it within {} s", INSTALLING.as_secs()),
    };
    let last = seen.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    Err(Failure::new(expected, last).look_at(log.to_string_lossy()))
}

/// Runs a program to its end: what it said, or why it failed.
async fn run(program: &Path, arguments: &[&str], at_most: Duration) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(at_most, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(said.lines().last().map(ToOwned::to_owned).unwrap_or_else(|| output.status.to_string()))
        }
        Ok(Err(error)) => Err(format!("{} cannot be run: {error}", program.display())),
        Err(_) => Err(format!("{} takes longer than {} s", program.display(), at_most.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_given_environment_must_have_the_packages() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("none");
        let failure = prepare(folder.path(), Some(&given), &Progress::default()).await.unwrap_err();
        assert!(failure.expected.contains("with the packages"), "{failure:?}");
        assert!(failure.seen.contains("cannot be run"), "{failure:?}");

        let bare = folder.path().join("bare");
        fs::create_dir_all(bare.join("bin")).unwrap();
        let script = "#!/bin/sh\nexec python3 -S -I \"$@\"\n";
        fs::write(bare.join("bin/python"), script).unwrap();
        fs::set_permissions(bare.join("bin/python"), fs::Permissions::from_mode(0o755)).unwrap();
        let failure = prepare(folder.path(), Some(&bare), &Progress::default()).await.unwrap_err();
        assert!(failure.seen.starts_with("no mlflow, numpy"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_failing_program_tells_its_last_line() {
        let said = run(Path::new("sh"), &["-c", "echo one >&2; echo two >&2; exit 3"], ASKING).await;
        assert_eq!(said, Err("two".to_owned()));
    }
}

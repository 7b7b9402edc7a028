//! What this worker is: the machine, and what steps find on it. Kept with every try, for whoever wants to do it again, and a
//! part of what a cached step is run with.

use super::Steps;
use domain::worker::Facts;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, SystemTime},
};
use tokio::{process::Command, sync::watch, time::timeout};

/// How long Python may take to say what it has.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the first steps wait for what the worker is.
const PATIENCE: Duration = Duration::from_secs(10);
/// What Python is asked: its version, its packages, and the folders that these are in.
const ASK: &str = r"
import importlib.metadata, json, platform, sys
packages = {}
for one in importlib.metadata.distributions():
    name = one.metadata['Name']
    if name:
        packages.setdefault(name.lower(), one.version)
folders = [path for path in sys.path if path.endswith('-packages')]
print(json.dumps({'version': platform.python_version(), 'packages': packages, 'folders': folders}))
";

/// What is known so far.
#[derive(Debug)]
pub(super) struct Known {
    facts: watch::Sender<Option<Facts>>,
}

impl Default for Known {
    fn default() -> Self {
        Self { facts: watch::Sender::new(None) }
    }
}

impl Known {
    /// What the worker is. The first steps wait until it is found out.
    pub(super) async fn get(&self) -> Facts {
        let mut seen = self.facts.subscribe();
        let known = timeout(PATIENCE, seen.wait_for(Option::is_some)).await;
        known.ok().and_then(|known| known.ok()?.clone()).unwrap_or_default()
    }

    /// The same, as far as it is known now.
    pub(super) fn now(&self) -> Facts {
        self.facts.borrow().clone().unwrap_or_default()
    }
}

impl Steps {
    /// Finds out what this worker is, and again whenever packages were installed or removed, until it stops.
    pub(super) async fn look_around(self) {
        let mut before: Option<BTreeMap<PathBuf, Option<SystemTime>>> = None;
        loop {
            if before.as_ref().is_none_or(|before| *before != changed(before.keys())) {
                let (environment, folders) = environment(&self.options.step_env).await;
                match self.tell(&machine(), &environment).await {
                    Ok(facts) => {
                        self.facts.facts.send_replace(Some(facts));
                        before = Some(changed(folders.iter()));
                    }
                    Err(error) => tracing::warn!(%error, "the worker could not say what it is; trying again"),
                }
            }
            let pause = if before.is_some() { Duration::from_secs(10) } else { Duration::from_secs(1) };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn tell(&self, machine: &Value, environment: &Value) -> services::Result<Facts> {
        Ok(Facts {
            machine: Some(self.services.worker_facts(machine).await?),
            environment: Some(self.services.worker_facts(environment).await?),
        })
    }
}

/// When each of these folders was changed last.
fn changed<'a>(folders: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let when = |folder: &PathBuf| fs::metadata(folder).and_then(|about| about.modified()).ok();
    folders.map(|folder| (folder.clone(), when(folder))).collect()
}

fn machine() -> Value {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |of: &str, name: &str| {
        let line = of.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&text("/proc/meminfo"), "MemTotal").and_then(|line| {
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    });
    let gpus: Vec<String> =
        executors::gpus().into_iter().flatten().map(|gpu| format!("{} {}", gpu.name, gpu.uuid)).collect();
    json!({
        "processor": field(&text("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "memory_bytes": memory,
        "gpus": gpus,
        "kernel": text("/proc/sys/kernel/osrelease").trim(),
    })
}

/// What steps find, and the folders whose change makes that old.
async fn environment(step_env: &BTreeMap<String, String>) -> (Value, Vec<PathBuf>) {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    let mut python = ask("python3", step_env).await;
    if python.is_none() {
        python = ask("python", step_env).await;
    }
    let folders = python.as_mut().and_then(Value::as_object_mut).and_then(|python| python.remove("folders"));
    let folders: Vec<PathBuf> = folders.and_then(|folders| serde_json::from_value(folders).ok()).unwrap_or_default();
    // Values may be secrets; that they changed is all that is to be known.
    let digest = |value: &String| domain::Digest::of_json(value).map(|digest| digest.as_str().to_owned()).ok();
    let variables: BTreeMap<&String, Option<String>> =
        step_env.iter().map(|(name, value)| (name, digest(value))).collect();
    let environment = json!({
        "system": system,
        "architecture": std::env::consts::ARCH,
        "python": python,
        "variables": variables,
    });
    (environment, folders)
}

/// What this Python has, if there is one where steps look.
async fn ask(python: &str, step_env: &BTreeMap<String, String>) -> Option<Value> {
    let path = step_env.get("PATH").map_or(executors::PATH, String::as_str);
    let program = std::env::split_paths(path).map(|folder| folder.join(python)).find(|program| program.is_file())?;
    let mut asking = Command::new(program);
    asking.args(["-I", "-c", ASK]).env_clear().env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(ANSWER, asking.output()).await {
        Ok(Ok(answer)) if answer.status.success() => serde_json::from_slice(&answer.stdout).ok(),
        Ok(Ok(answer)) => {
            tracing::warn!(status = %answer.status, "Python could not say which packages it has");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "Python could not be asked for its packages");
            None
        }
        Err(_) => {
            tracing::warn!("Python took too long to say which packages it has");
            None
        }
    }
}

//! What this worker is: the machine, and what steps find on it. Kept with every try, for whoever wants to do it again, and a
//! part of what a cached step is run with.

use super::{Options, Steps};
use domain::{Digest, pipeline::Python, worker::Facts};
use executors::Confinement;
use futures::future::{BoxFuture, FutureExt as _};
use serde_json::{Value, json};
use services::{Claimed, Services, StepWork, Surroundings};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::{process::Command, time::timeout};

/// How long Python may take to say what it has.
const ANSWER: Duration = Duration::from_secs(20);
/// When to ask one again that could not say.
const AGAIN: Duration = Duration::from_secs(60);
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

/// What is known so far. Each Python is asked when a step first finds it, and again once packages were installed or removed.
pub(super) struct Known {
    services: Services,
    /// What the worker gives all steps.
    step_env: BTreeMap<String, String>,
    /// Where steps have their own directories, and where else they may write, but for what is hidden from them. A Python there
    /// is none of the machine's: asked outside of the sandbox, it could be anything.
    own: PathBuf,
    writable: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    machine: std::sync::Mutex<Option<Digest>>,
    /// What steps find, by the program that is their Python; none for those that find no Python.
    environments: std::sync::Mutex<HashMap<Option<PathBuf>, Environment>>,
    /// Of several steps that want to know, one asks.
    asking: tokio::sync::Mutex<()>,
}

/// What steps find, and when the files were changed last whose change makes that old.
#[derive(Clone)]
struct Environment {
    /// None when its Python could not say.
    digest: Option<Digest>,
    changed: BTreeMap<PathBuf, Option<SystemTime>>,
    asked: Instant,
}

impl Environment {
    fn is_old(&self) -> bool {
        // One that could not say was perhaps out of breath.
        self.changed != changed(self.changed.keys()) || self.digest.is_none() && self.asked.elapsed() > AGAIN
    }
}

/// A step that looks for its Python where steps may write.
struct OfSteps;

impl Known {
    pub(super) fn new(options: &Options, services: Services) -> Self {
        let canonical = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let Confinement { writable, hidden, .. } = &options.confinement;
        let memory = PathBuf::from("/dev/shm");
        Self {
            services,
            step_env: options.step_env.clone(),
            own: canonical(&options.steps_dir),
            writable: writable.iter().chain([&memory]).map(canonical).collect(),
            hidden: hidden.iter().map(canonical).collect(),
            machine: std::sync::Mutex::default(),
            environments: std::sync::Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The program that is the Python of a step that looks for it so.
    fn program(&self, python: &Python) -> Result<Option<PathBuf>, OfSteps> {
        let found = match &python.program {
            Some(program) => Some(PathBuf::from(program)).filter(|program| program.is_file()),
            None => {
                let folders = std::env::split_paths(self.path(python)).filter(|one| one.is_absolute());
                let folders: Vec<PathBuf> = folders.collect();
                let named =
                    |name: &str| folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file());
                named("python3").or_else(|| named("python"))
            }
        };
        match found {
            Some(program) if self.is_of_steps(&program) => Err(OfSteps),
            found => Ok(found),
        }
    }

    /// Whether a program, or the folder that it is found in, which says what packages it has, may be a step's work.
    fn is_of_steps(&self, program: &Path) -> bool {
        let folder = program.parent().and_then(|folder| fs::canonicalize(folder).ok());
        let places = [folder, fs::canonicalize(program).ok()];
        let is_below = |place: &Path, of: &[PathBuf]| of.iter().any(|folder| place.starts_with(folder));
        places.iter().any(|place| {
            // What cannot be found out may be anything.
            place.as_ref().is_none_or(|place| {
                place.starts_with(&self.own) || (is_below(place, &self.writable) && !is_below(place, &self.hidden))
            })
        })
    }

    fn path<'a>(&'a self, python: &'a Python) -> &'a str {
        python.path.as_deref().or_else(|| self.step_env.get("PATH").map(String::as_str)).unwrap_or(executors::PATH)
    }

    /// What is known of the steps whose Python this is, unless it is old.
    fn environment(&self, program: Option<&PathBuf>) -> Option<Environment> {
        let environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        environments.get(&program.cloned()).filter(|known| !known.is_old()).cloned()
    }

    fn machine(&self) -> Option<Digest> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn find_out(&self, python: &Python) -> services::Result<Facts> {
        let program = self.program(python);
        let _turn = self.asking.lock().await;
        let machine = match self.machine() {
            Some(machine) => machine,
            None => {
                let machine = self.services.worker_facts(&machine()).await?;
                self.machine.lock().unwrap_or_else(PoisonError::into_inner).insert(machine).clone()
            }
        };
        let Ok(program) = program else { return Ok(Facts { machine: Some(machine), environment: None }) };
        if let Some(known) = self.environment(program.as_ref()) {
            return Ok(Facts { machine: Some(machine), environment: known.digest });
        }
        let asked_at = SystemTime::now();
        let (content, folders) = environment(program.as_deref(), self.path(python), &self.step_env).await;
        let changed = changed(folders.iter().chain(&program));
        let digest = match content {
            Some(content) => Some(self.services.worker_facts(&content).await?),
            None => None,
        };
        let facts = Facts { machine: Some(machine), environment: digest.clone() };
        // What changed while it answered is asked for again.
        if changed.values().flatten().all(|changed_at| *changed_at < asked_at) {
            let mut environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
            environments.insert(program, Environment { digest, changed, asked: Instant::now() });
        }
        Ok(facts)
    }
}

impl Surroundings for Known {
    fn now(&self, python: &Python) -> Facts {
        let known = self.program(python).ok().and_then(|program| self.environment(program.as_ref()));
        Facts { machine: self.machine(), environment: known.and_then(|known| known.digest) }
    }

    fn find<'a>(&'a self, python: &'a Python) -> BoxFuture<'a, Facts> {
        async move {
            self.find_out(python).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the worker could not say what it is");
                Facts::default()
            })
        }
        .boxed()
    }
}

impl Steps {
    /// Finds out what steps find that say nothing of their Python, so that none waits for it: when the worker starts, and again
    /// when packages were installed or removed, until it stops.
    pub(super) async fn look_around(self) {
        let python = Python::default();
        loop {
            let is_told = self.facts.find(&python).await.machine.is_some();
            let pause = Duration::from_secs(if is_told { 10 } else { 1 });
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Notes what a step found on this worker, where that was not known when it began.
    pub(super) fn note_facts(&self, held: &Claimed, work: &mut StepWork) {
        let Some(python) = work.unknown.take() else { return };
        let (facts, services, attempt) = (Arc::clone(&self.facts), self.logs.clone(), held.attempt_id);
        tokio::spawn(async move {
            let found = facts.find(&python).await;
            if let Err(error) = services.note_facts(attempt, &found).await {
                tracing::warn!(%error, "what a step found on its worker could not be noted");
            }
        });
    }
}

/// When each of these files and folders was changed last.
fn changed<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let when = |file: &PathBuf| fs::metadata(file).and_then(|about| about.modified()).ok();
    files.map(|file| (file.clone(), when(file))).collect()
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

/// What steps find whose Python is this one, none when that cannot say; and the folders whose change makes that old.
async fn environment(
    program: Option<&Path>,
    path: &str,
    step_env: &BTreeMap<String, String>,
) -> (Option<Value>, Vec<PathBuf>) {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    let mut python = match program {
        Some(program) => match ask(program, path).await {
            None => return (None, Vec::new()),
            answer => answer,
        },
        None => None,
    };
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
    (Some(environment), folders)
}

/// What this Python has.
async fn ask(program: &Path, path: &str) -> Option<Value> {
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

//! Inputs and outputs of steps: between the artifact store and the directory of a try.
//!
//! A file is a blob. A folder is a blob too: its *manifest*, the list of its files and links as JSON.

use super::{
    inputs::{InputFiles, Source},
    outputs::Given,
};
use crate::{Artifact, Ctx, Services, artifact, boxed, pipeline_run};
use artifacts::Artifacts;
use domain::{
    Digest,
    model::VersionFile,
    names::MetricKey,
    pipeline::{OutputKind, OutputSpec, check_relative_path, input_path},
    step::{OutputVersion, StepOutput, Versioned},
};
use executors::StepDir;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};
use tokio::{fs::File, io::AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

/// The largest manifest that is read: some 300,000 files.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The longest value.
const MAX_VALUE_BYTES: u64 = 256 * 1024;

/// The most numbers of an output that is metrics.
const MAX_METRICS: usize = 1000;

/// Of how many files it is asked at once whether they are there.
const LOOKED_AT_ONCE: usize = 16;

/// The most files of a folder.
const MAX_FILES: usize = 200_000;

/// Why files could not be put or taken.
#[derive(Debug, thiserror::Error)]
pub enum FileTrouble {
    /// Trying again would not help. The sentence is for the step's author.
    #[error("{0}")]
    Step(String),
    /// This machine or the artifact store is at fault; the same may work later or elsewhere.
    #[error("{0}")]
    Ours(String),
}

type Result<T> = std::result::Result<T, FileTrouble>;

/// What is in a folder. Paths are relative, with `/`, sorted.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    files: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    executable: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    path: String,
    target: String,
}

impl Services {
    /// Puts the inputs of a step into its directory.
    ///
    /// # Errors
    /// When one is not there any more, is damaged, or cannot be written.
    #[boxed]
    pub async fn put_inputs(&self, ctx: &Ctx, dir: &StepDir, inputs: &[InputFiles]) -> Result<()> {
        for InputFiles { input, source } in inputs {
            let target = dir.work().join(input_path(&input.name));
            let what = format!("the input \"{}\" ({})", input.name, input.from);
            match source {
                Source::Output(given) => self.put_given(given, target, &what).await?,
                Source::Dataset { name, number } => {
                    let (_, elsewhere) = self.put_dataset(ctx, &target, name, &number.to_string()).await?;
                    if !elsewhere.is_empty() {
                        // Where what lies elsewhere is: by path, for the step to read.
                        let list: BTreeMap<String, String> = elsewhere.into_iter().collect();
                        let text =
                            serde_json::to_string_pretty(&list).map_err(|error| of_disk(&what, &error.into()))?;
                        let path = dir.work().join(format!("{}.external.json", input_path(&input.name)));
                        put_text(&path, &text).await.map_err(|error| of_disk(&what, &error))?;
                    }
                }
                Source::Model(files) if files.is_empty() => {
                    return Err(FileTrouble::Step(format!("There are no files of {what}.")));
                }
                Source::Model(files) => {
                    for file in files {
                        let path = inside(&target, &file.path, &what)?;
                        put_file(&self.artifacts, &file.digest, &path, false, &what).await?;
                    }
                }
                Source::Missing(sentence) | Source::Refused(sentence) => {
                    return Err(FileTrouble::Step(sentence.clone()));
                }
            }
        }
        Ok(())
    }

    async fn put_given(&self, given: &Given, target: PathBuf, what: &str) -> Result<()> {
        // Breadth first: what the instances of a step gave lies in folders that are called by their numbers.
        let mut left = vec![(given, target)];
        while let Some((given, target)) = left.pop() {
            match given {
                Given::One(output) if output.is_folder => self.put_folder(&output.digest, &target, what).await?,
                Given::One(output) => put_file(&self.artifacts, &output.digest, &target, false, what).await?,
                Given::Many(all) => match given.value() {
                    Some(list) => put_text(&target, &list.to_string()).await.map_err(|error| of_disk(what, &error))?,
                    None => {
                        tokio::fs::create_dir_all(&target).await.map_err(|error| of_disk(what, &error))?;
                        left.extend(all.iter().enumerate().map(|(index, one)| (one, target.join(index.to_string()))));
                    }
                },
            }
        }
        Ok(())
    }

    async fn put_folder(&self, manifest: &Digest, target: &Path, what: &str) -> Result<()> {
        let bytes =
            self.artifacts.get_bytes(manifest, MAX_MANIFEST_BYTES).await.map_err(|error| of_store(what, &error))?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| FileTrouble::Step(format!("The list of files of {what} cannot be read: {error}.")))?;
        tokio::fs::create_dir_all(target).await.map_err(|error| of_disk(what, &error))?;
        for file in &manifest.files {
            put_file(&self.artifacts, &file.digest, &inside(target, &file.path, what)?, file.executable, what).await?;
        }
        // Links last, so that no file is written through one; nor does a link lie below another.
        let links: BTreeSet<&str> = manifest.links.iter().map(|link| link.path.as_str()).collect();
        for link in &manifest.links {
            let path = inside(target, &link.path, what)?;
            let refused = |rule: &str| FileTrouble::Step(format!("The link \"{}\" of {what} {rule}.", link.path));
            check_link(&link.path, Path::new(&link.target)).map_err(refused)?;
            if link.path.match_indices('/').any(|(end, _)| links.contains(&link.path[..end])) {
                return Err(refused("lies below another link"));
            }
            make_parent(&path).await.map_err(|error| of_disk(what, &error))?;
            symlink(&link.target, &path).map_err(|error| of_disk(what, &error))?;
        }
        Ok(())
    }

    /// An output of a step that has succeeded: a file, or the manifest of a folder as one.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn step_output(&self, ctx: &Ctx, number: i64, step: &str, name: &str) -> crate::Result<Artifact> {
        let found = {
            let mut conn = self.conn().await?;
            pipeline_run::step(&mut conn, ctx, number, step).await?
        };
        let output = found.outputs.into_iter().find(|output| output.name == name).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            let message = format!("Step \"{}\" of pipeline run #{number} has given no output \"{name}\".", found.name);
            domain::Error::new(domain::ErrorKind::NotFound, message)
        })?;
        let stored = self.artifacts.get(&output.digest, None).await.map_err(artifact::of_store)?;
        let name = output.path.rsplit('/').next().unwrap_or_default();
        let name = if output.is_folder { format!("{name}.json") } else { name.to_owned() };
        Ok(Artifact { name, digest: output.digest, size: stored.size })
    }

    /// Stores what a step gives on. Nobody sees it before the end of the step is recorded, which makes versions of datasets
    /// and models of it.
    ///
    /// # Errors
    /// When an output is not there as the pipeline's file says, or cannot be stored.
    #[boxed]
    pub async fn take_outputs(
        &self,
        ctx: &Ctx,
        dir: &StepDir,
        outputs: &BTreeMap<String, OutputSpec>,
    ) -> Result<Vec<StepOutput>> {
        self.take(ctx, dir, outputs, &BTreeMap::new()).await
    }

    /// The same, where of some outputs it is known what they are: those lie elsewhere, or nowhere.
    pub(super) async fn take(
        &self,
        ctx: &Ctx,
        dir: &StepDir,
        outputs: &BTreeMap<String, OutputSpec>,
        known: &BTreeMap<String, ::kfp::message::Given>,
    ) -> Result<Vec<StepOutput>> {
        use ::kfp::message::Given;
        let mut taken = Vec::new();
        for (name, output) in outputs {
            let Some(path) = output.path() else { continue };
            let what = format!("the output \"{name}\"");
            let (bytes, told) = match known.get(name) {
                Some(Given::Value(value)) => {
                    let bytes = value.to_string().into_bytes();
                    let value = value_of(&bytes, name)?;
                    let is_metrics = output.kind() == Some(OutputKind::Metrics);
                    (Some(bytes), Some(if is_metrics { metrics(value, name)? } else { value }))
                }
                Some(Given::Nothing) => (Some(Vec::new()), None),
                Some(Given::At(_)) | None => (None, None),
            };
            if let Some(bytes) = bytes {
                let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                let blob = self.artifacts.put_bytes(bytes).await.map_err(|error| of_store(&what, &error))?;
                let (name, path, digest) = (name.clone(), path.to_owned(), blob.digest);
                let (kind, value) = (output.kind(), told);
                taken.push(StepOutput { name, path, kind, is_folder: false, digest, size, value, version: None });
                continue;
            }
            let at = if let Some(Given::At(at)) = known.get(name) { at } else { path };
            let found = dir
                .output(at)
                .map_err(|error| FileTrouble::Step(format!("The output \"{name}\" is not there: {error}.")))?;
            let is_folder = found.is_dir();
            let (digest, size) = if is_folder {
                self.take_folder(&found, &what).await?
            } else {
                take_file(&self.artifacts, &found, &what).await?
            };
            let value = match output.kind() {
                Some(OutputKind::Value) => Some(value(&found, name)?),
                Some(OutputKind::Metrics) => Some(metrics(value(&found, name)?, name)?),
                Some(OutputKind::File | OutputKind::Dataset | OutputKind::Model) | None => None,
            };
            let version = match output {
                OutputSpec::Typed { kind: OutputKind::Dataset, name: Some(of), .. } => {
                    Some(self.stage_version(ctx, of, found, &what).await?)
                }
                OutputSpec::Typed { kind: OutputKind::Model, name: Some(of), .. } => {
                    Some(OutputVersion { of: Versioned::Model, name: of.clone(), number: 0, digest: None })
                }
                _ => None,
            };
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            taken.push(StepOutput {
                name: name.clone(),
                path: path.to_owned(),
                kind: output.kind(),
                is_folder,
                digest,
                size,
                value,
                version,
            });
        }
        Ok(taken)
    }

    /// Stores what becomes a version of a dataset when the step ends.
    async fn stage_version(&self, ctx: &Ctx, dataset: &str, found: PathBuf, what: &str) -> Result<OutputVersion> {
        let root = self.stage_dataset(ctx, dataset, found).await.map_err(|error| match error.kind {
            domain::ErrorKind::Invalid => {
                FileTrouble::Step(format!("{} can be no version: {}", domain::prose::capitalised(what), error.message))
            }
            _ => FileTrouble::Ours(format!("{what} could not be stored: {}", error.message)),
        })?;
        let digest = Some(Digest::blake3(root.0));
        Ok(OutputVersion { of: Versioned::Dataset, name: dataset.to_owned(), number: 0, digest })
    }

    /// How the files of two folders differ, in a sentence.
    pub(crate) async fn folder_difference(&self, before: &StepOutput, after: &StepOutput) -> crate::Result<String> {
        let files = async |output: &StepOutput| {
            let bytes =
                self.artifacts.get_bytes(&output.digest, MAX_MANIFEST_BYTES).await.map_err(artifact::of_store)?;
            let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| domain::Error::internal())?;
            let files: BTreeMap<String, Digest> =
                manifest.files.into_iter().map(|file| (file.path, file.digest)).collect();
            Ok::<_, domain::Error>(files)
        };
        let (before, after) = (files(before).await?, files(after).await?);
        let changed: Vec<&String> =
            before.iter().filter(|(path, digest)| after.get(*path) != Some(digest)).map(|(path, _)| path).collect();
        let added = after.keys().find(|path| !before.contains_key(*path));
        Ok(match (changed.first(), added) {
            (Some(first), _) if !after.contains_key(*first) => format!("The file \"{first}\" is not there any more."),
            (Some(first), _) => {
                format!("{} of {} files have other bytes, \"{first}\" first.", changed.len(), before.len())
            }
            (None, Some(added)) => format!("The file \"{added}\" was not there before."),
            (None, None) => "Its links or the modes of its files differ.".to_owned(),
        })
    }

    /// Whether all that an output is made of is in the artifact store.
    #[boxed]
    pub(super) async fn output_is_there(&self, output: &StepOutput) -> crate::Result<bool> {
        if !self.artifacts.has(&output.digest).await.map_err(artifact::of_store)? {
            return Ok(false);
        }
        if !output.is_folder {
            return Ok(true);
        }
        let bytes = self.artifacts.get_bytes(&output.digest, MAX_MANIFEST_BYTES).await.map_err(artifact::of_store)?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| domain::Error::internal())?;
        let looks: Vec<_> = manifest.files.iter().map(|file| self.artifacts.has(&file.digest)).collect();
        let mut looking = stream::iter(looks).buffer_unordered(LOOKED_AT_ONCE);
        while let Some(is_there) = looking.next().await {
            if !is_there.map_err(artifact::of_store)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The files of an output, as a version of a model has them.
    pub(super) async fn output_files(&self, output: &StepOutput) -> crate::Result<Vec<VersionFile>> {
        if !output.is_folder {
            let path = output.path.rsplit('/').next().unwrap_or_default().to_owned();
            return Ok(vec![VersionFile { path, digest: output.digest.clone(), size: output.size }]);
        }
        let bytes = self.artifacts.get_bytes(&output.digest, MAX_MANIFEST_BYTES).await.map_err(artifact::of_store)?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| domain::Error::internal())?;
        if let Some(link) = manifest.links.first() {
            let message = format!("\"{}\" is a link; a version of a model has files only.", link.path);
            return Err(domain::Error::invalid(message));
        }
        let file = |entry: Entry| VersionFile {
            path: entry.path,
            digest: entry.digest,
            size: i64::try_from(entry.size).unwrap_or(i64::MAX),
        };
        Ok(manifest.files.into_iter().map(file).collect())
    }

    async fn take_folder(&self, folder: &Path, what: &str) -> Result<(Digest, u64)> {
        let root = folder.to_owned();
        let found = tokio::task::spawn_blocking(move || walk(&root)).await.map_err(io::Error::other);
        let Found { files, links } = found.and_then(|found| found).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                FileTrouble::Step(format!("{} cannot be given on: {error}.", domain::prose::capitalised(what)))
            }
            _ => of_disk(what, &error),
        })?;
        let mut manifest = Manifest { files: Vec::with_capacity(files.len()), links };
        let mut total = 0;
        for (path, executable) in files {
            let (digest, size) = take_file(&self.artifacts, &folder.join(&path), what).await?;
            total += size;
            manifest.files.push(Entry { path, digest, size, executable });
        }
        let bytes = serde_json::to_vec(&manifest).map_err(|error| of_disk(what, &error.into()))?;
        let blob = self.artifacts.put_bytes(bytes).await.map_err(|error| of_store(what, &error))?;
        Ok((blob.digest, total))
    }
}

fn inside(folder: &Path, path: &str, what: &str) -> Result<PathBuf> {
    match check_relative_path(path) {
        Ok(()) => Ok(folder.join(path)),
        Err(rule) => Err(FileTrouble::Step(format!("The path \"{path}\" of {what} {rule}."))),
    }
}

/// The numbers of an output that is metrics.
fn metrics(value: serde_json::Value, name: &str) -> Result<serde_json::Value> {
    let wrong = |what: String| FileTrouble::Step(format!("The output \"{name}\" is no metrics: {what}."));
    let serde_json::Value::Object(numbers) = &value else {
        return Err(wrong("it must be an object of numbers, such as { \"accuracy\": 0.93 }".to_owned()));
    };
    if numbers.len() > MAX_METRICS {
        return Err(wrong(format!("it has {} numbers; at most {MAX_METRICS} are allowed", numbers.len())));
    }
    for (key, number) in numbers {
        let shown: String = key.chars().take(64).collect();
        if !number.is_number() {
            return Err(wrong(format!("\"{shown}\" is no number")));
        }
        MetricKey::parse(key, "key")
            .map_err(|error| wrong(format!("\"{shown}\" cannot be a key: {}", error.message)))?;
    }
    Ok(value)
}

/// What an output that is a value says.
fn value(path: &Path, name: &str) -> Result<serde_json::Value> {
    let wrong = |what: String| FileTrouble::Step(format!("The output \"{name}\" is no value: {what}."));
    let size = fs::metadata(path).map_or(0, |file| file.len());
    if path.is_dir() || size > MAX_VALUE_BYTES {
        return Err(wrong(format!("it must be a file of at most {} KiB of JSON", MAX_VALUE_BYTES / 1024)));
    }
    value_of(&fs::read(path).map_err(|error| of_disk(name, &error))?, name)
}

fn value_of(bytes: &[u8], name: &str) -> Result<serde_json::Value> {
    let wrong = |what: String| FileTrouble::Step(format!("The output \"{name}\" is no value: {what}."));
    if bytes.len() as u64 > MAX_VALUE_BYTES {
        return Err(wrong(format!("it has more than {} KiB of JSON", MAX_VALUE_BYTES / 1024)));
    }
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("it is not JSON ({error})")))?;
    if bytes.windows(6).any(|part| part == b"\\u0000") {
        return Err(wrong("it contains the NUL character".to_owned()));
    }
    Ok(value)
}

async fn put_text(path: &Path, text: &str) -> io::Result<()> {
    make_parent(path).await?;
    let mut file = File::create_new(path).await?;
    file.write_all(text.as_bytes()).await?;
    // Without it, the text may be written after the step has looked.
    file.flush().await
}

async fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => tokio::fs::create_dir_all(parent).await,
        None => Ok(()),
    }
}

/// Writes a blob to a file, and makes sure that it is what it was.
async fn put_file(artifacts: &Artifacts, digest: &Digest, target: &Path, executable: bool, what: &str) -> Result<()> {
    let content = artifacts.get(digest, None).await.map_err(|error| of_store(what, &error))?;
    let mut stream = content.stream;
    make_parent(target).await.map_err(|error| of_disk(what, &error))?;
    let mut file = File::create_new(target).await.map_err(|error| of_disk(what, &error))?;
    let mut hasher = blake3::Hasher::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| of_store(what, &error))?;
        hasher.update(&bytes);
        file.write_all(&bytes).await.map_err(|error| of_disk(what, &error))?;
    }
    file.flush().await.map_err(|error| of_disk(what, &error))?;
    if Digest::blake3(hasher.finalize().into()) != *digest {
        return Err(FileTrouble::Step(format!("The stored content of {what} is damaged.")));
    }
    if executable {
        fs::set_permissions(target, Permissions::from_mode(0o755)).map_err(|error| of_disk(what, &error))?;
    }
    Ok(())
}

async fn take_file(artifacts: &Artifacts, path: &Path, what: &str) -> Result<(Digest, u64)> {
    let file = File::open(path).await.map_err(|error| of_disk(what, &error))?;
    let blob =
        artifacts.put(ReaderStream::with_capacity(file, 256 * 1024)).await.map_err(|error| of_store(what, &error))?;
    Ok((blob.digest, blob.size))
}

fn of_store(what: &str, error: &artifacts::Error) -> FileTrouble {
    use artifacts::Error as E;
    match error {
        E::NotFound { .. } => {
            FileTrouble::Step(format!("{} is not in the artifact store any more.", domain::prose::capitalised(what)))
        }
        E::Corrupt { .. } => FileTrouble::Step(format!("The stored content of {what} is damaged.")),
        E::TooLarge { .. } => FileTrouble::Step(format!("{} has too many files.", domain::prose::capitalised(what))),
        E::NotSatisfiable { .. } | E::Source(_) | E::Store(_) => {
            tracing::warn!(%error, cause = ?std::error::Error::source(error), what, "the artifact store failed a step");
            FileTrouble::Ours(format!("{} could not be moved: {error}", domain::prose::capitalised(what)))
        }
    }
}

fn of_disk(what: &str, error: &io::Error) -> FileTrouble {
    FileTrouble::Ours(format!(
        "{} could not be read or written on the worker: {error}.",
        domain::prose::capitalised(what)
    ))
}

struct Found {
    /// Path, and whether it may be executed.
    files: Vec<(String, bool)>,
    links: Vec<Link>,
}

/// What is in a folder, sorted by path. Blocks.
fn walk(root: &Path) -> io::Result<Found> {
    let mut found = Found { files: Vec::new(), links: Vec::new() };
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = relative(root, &entry.path())?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.files.push((path, entry.metadata()?.permissions().mode() & 0o100 != 0));
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                check_link(&path, &target).map_err(|rule| refused(format!("\"{path}\" is a link that {rule}")))?;
                let target = target.to_str().map(str::to_owned);
                let target = target.ok_or_else(|| refused(format!("the target of \"{path}\" is no text")))?;
                found.links.push(Link { path, target });
            } else {
                return Err(refused(format!("\"{path}\" is neither a file nor a folder")));
            }
            if found.files.len() + found.links.len() > MAX_FILES {
                return Err(refused(format!("it has more than {MAX_FILES} files; pack them")));
            }
        }
    }
    found.files.sort();
    found.links.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn relative(root: &Path, path: &Path) -> io::Result<String> {
    let inside: PathBuf = path.strip_prefix(root).map_err(io::Error::other)?.to_owned();
    let text = inside.to_str().ok_or_else(|| refused(format!("the name of \"{}\" is no text", inside.display())))?;
    match check_relative_path(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(rule) => Err(refused(format!("the path \"{text}\" {rule}"))),
    }
}

/// Whether a link at this path, which is relative to a folder and has no link above it, leads to something in that
/// folder; otherwise, the rule that it breaks.
///
/// A `..` right at the start goes up from where the link lies. After a name it would go up from wherever that leads,
/// which may be another link: two links that stay inside could lead out together.
fn check_link(path: &str, target: &Path) -> std::result::Result<(), &'static str> {
    let mut above = path.split('/').count() - 1;
    let mut is_named = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => is_named = true,
            Component::CurDir => {}
            Component::ParentDir if is_named => {
                return Err("goes up after a name; write its target with .. at the start only");
            }
            Component::ParentDir if above > 0 => above -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err("leads out of it"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_link;
    use std::path::Path;

    #[test]
    fn a_link_may_lead_only_to_what_is_in_its_folder() {
        let inside = |path: &str, target: &str| check_link(path, Path::new(target)).is_ok();
        assert!(inside("latest", "v1/model.onnx") && inside("a/b/c", "../../d") && inside("a/b", "./../c"));
        assert!(!inside("latest", "../x") && !inside("a/b", "../../x") && !inside("a/b", "/etc/passwd"));
        assert!(!inside("a/b", "c/../../../x"));
    }

    #[test]
    fn two_links_do_not_lead_out_together() {
        assert!(check_link("a/b/c/p", Path::new("../../..")).is_ok(), "the folder itself");
        assert!(check_link("q", Path::new("a/b/c/p/../../../../x")).is_err());
        assert!(check_link("a/q", Path::new("../p/./..")).is_err());
    }
}

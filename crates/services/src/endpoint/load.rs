//! Reading and loading a version's model.

use crate::{
    Result, Services,
    admission::{GRACE, seconds},
};
use bytes::Bytes;
use domain::{
    Digest, Error, ErrorKind,
    model::{VersionFile, manifest_digest},
};
use serving::Model;
use std::{sync::Arc, time::Instant};
use tokio::time::{timeout, timeout_at};

/// The largest ONNX file that is served.
const MOST_BYTES: u64 = 2 << 30;

impl Services {
    /// The model among these files of a version, loaded when it is not yet, and the digest of the files.
    ///
    /// # Errors
    /// `Unavailable` without an engine, when the artifact store does not answer or when it takes too long; `Invalid` when
    /// the files cannot be served.
    pub(super) async fn load_model(&self, files: &[VersionFile]) -> Result<(Digest, Arc<Model>)> {
        self.load_in_time(files).await?.ok_or_else(|| Error::new(ErrorKind::Unavailable, self.loads_too_long()))
    }

    /// The same; none when it takes too long.
    pub(crate) async fn load_in_time(&self, files: &[VersionFile]) -> Result<Option<(Digest, Arc<Model>)>> {
        let limits = self.limits();
        // The engine may take a moment to stop by itself, which is better: then nothing goes on behind.
        timeout(limits.read + limits.load + GRACE, self.read_and_load(files)).await.unwrap_or(Ok(None))
    }

    /// What is said of a version that takes too long to load.
    pub(crate) fn loads_too_long(&self) -> String {
        format!("The model could not be loaded within {}.", seconds(self.limits().load))
    }

    async fn read_and_load(&self, files: &[VersionFile]) -> Result<Option<(Digest, Arc<Model>)>> {
        let models = Arc::clone(self.models()?);
        let digest =
            manifest_digest(files).ok().flatten().ok_or_else(|| Error::invalid("The version has no files."))?;
        if let Some(model) = models.get(&digest) {
            return Ok(Some((digest, model)));
        }
        let onnx = onnx_file(files).ok_or_else(|| Error::invalid("The version has no file that ends with .onnx."))?;
        let read_by = Instant::now() + self.limits().read;
        let bytes = self.model_file(onnx, read_by).await?;
        // Larger models keep their weights in files beside the first.
        let folder = onnx.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut beside = Vec::new();
        for file in files.iter().filter(|file| file.path != onnx.path) {
            let name = if folder.is_empty() {
                Some(file.path.as_str())
            } else {
                file.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            if let Some(name) = name.filter(|name| name.contains(".onnx") || name.ends_with(".data")) {
                beside.push((name.to_owned(), self.model_file(file, read_by).await?.to_vec().into()));
            }
        }
        let key = digest.clone();
        let deadline = Instant::now() + self.limits().load;
        let loaded = tokio::task::spawn_blocking(move || {
            models.load(&key, |engine| Model::from_files(engine, bytes, beside, deadline))
        });
        let loaded = loaded.await.map_err(|error| {
            tracing::error!(%error, "loading a model failed");
            Error::internal()
        })?;
        match loaded {
            Err(serving::Error::TooLong) => Ok(None),
            loaded => Ok(Some((digest, loaded?))),
        }
    }

    async fn model_file(&self, file: &VersionFile, deadline: Instant) -> Result<Bytes> {
        let read = timeout_at(deadline.into(), self.artifacts.get_bytes(&file.digest, MOST_BYTES)).await;
        // A store that is slow says no more of the model than one that does not answer.
        let read = read.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "The artifact store does not give the model's file in time.")
        })?;
        read.map_err(|error| {
            tracing::error!(%error, digest = %file.digest, "the file of a model cannot be read");
            match error {
                // Says nothing of the model: it may be read later.
                artifacts::Error::Store(_) => error.into(),
                error => Error::invalid(format!("{} cannot be read: {error}", file.path)),
            }
        })
    }
}

/// The file that serves: the one of the usual name, or the first.
fn onnx_file(files: &[VersionFile]) -> Option<&VersionFile> {
    let models = files.iter().filter(|file| file.path.ends_with(".onnx"));
    models.min_by_key(|file| (file.path != "model.onnx", &file.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_serves_is_the_one_of_the_usual_name_or_the_first() {
        let file = |path: &str| VersionFile { path: path.to_owned(), digest: Digest::blake3([0; 32]), size: 1 };
        let path = |files: &[VersionFile]| onnx_file(files).map(|file| file.path.clone());
        assert_eq!(path(&[file("a.onnx"), file("model.onnx")]).as_deref(), Some("model.onnx"));
        assert_eq!(path(&[file("z.onnx"), file("b.onnx"), file("MLmodel")]).as_deref(), Some("b.onnx"));
        assert_eq!(path(&[file("MLmodel")]), None);
    }
}

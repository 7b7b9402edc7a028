//! Work in tasks of its own. What panics there is logged, and is an error of that work alone.

use crate::{Error, Result};
use tokio::task::{JoinHandle, spawn_blocking};

/// Begins work that goes on when nobody waits for it any more, and that ends nothing else when it panics.
pub(crate) fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send {
    let task = tokio::spawn(work);
    async move { joined(task).await? }
}

/// Does work that takes a processor for a while, or waits for a disk, where it holds up no request.
///
/// # Errors
/// `Internal` when it panicked, or this process is stopping.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    joined(spawn_blocking(work)).await
}

async fn joined<T>(task: JoinHandle<T>) -> Result<T> {
    task.await.map_err(|error| {
        tracing::error!(%error, "work in a task of its own failed");
        Error::internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ErrorKind;

    #[tokio::test]
    async fn what_panics_is_an_error_of_its_own() {
        let failed = apart(async { panic!("of one run") }).await.map(|(): ()| ());
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Internal);
        assert_eq!(blocking(|| panic!("of one text")).await.map(|(): ()| ()).unwrap_err().kind, ErrorKind::Internal);
        assert_eq!(apart(async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(blocking(|| 2).await.unwrap(), 2);
    }
}

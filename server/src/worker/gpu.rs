//! Which graphics processors this worker hands out.

use crate::config::NamedGpu;
use domain::gpu::{Gpu, GpuUuid};

/// Those that are named, or else all that the driver knows of. None when none are named and there are none.
pub(super) fn of_machine(named: &[NamedGpu]) -> Option<Vec<Gpu>> {
    let known = executors::gpus();
    if named.is_empty() {
        return known.filter(|gpus| !gpus.is_empty());
    }
    let mut own: Vec<Gpu> = Vec::new();
    for gpu in named {
        let NamedGpu::One(uuid) = gpu else { continue };
        if own.iter().all(|gpu| gpu.uuid != *uuid) {
            own.extend(one(uuid, known.is_some()));
        }
    }
    Some(own)
}

/// A driver that does not know it could not give it to a step. Where there is none to be asked, as in a container whose
/// engine has the processors, what is named counts.
fn one(uuid: &GpuUuid, has_driver: bool) -> Option<Gpu> {
    match executors::gpu(uuid) {
        Some(gpu) => Some(gpu),
        None if has_driver => {
            tracing::warn!(%uuid, "the driver does not know this GPU; no step gets it");
            None
        }
        None => Some(Gpu { uuid: uuid.clone(), name: String::new() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_handed_out_once_and_none_is_another_thing_than_nothing() {
        let one = |uuid: &str| NamedGpu::One(uuid.parse().unwrap());
        if executors::gpus().is_some() {
            return;
        }
        let own = of_machine(&[one("GPU-a"), one("GPU-b"), one("GPU-a")]).unwrap();
        assert_eq!(own.iter().map(|gpu| gpu.uuid.as_str()).collect::<Vec<_>>(), ["GPU-a", "GPU-b"]);
        assert_eq!(of_machine(&[NamedGpu::None]), Some(Vec::new()));
        assert_eq!(of_machine(&[]), None);
    }
}

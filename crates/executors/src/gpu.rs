//! Graphics processors, where there are any: what NVIDIA's library says of them.

use nvml_wrapper::Nvml;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// What one of them does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSample {
    /// Its name for ever: `GPU-8f6d…`.
    pub uuid: String,
    /// How busy it is, of all that use it: 0 to 1.
    pub busy: f32,
    /// Memory that the step has on it, in bytes; of all that use it where single processes are not told.
    pub memory_bytes: u64,
}

/// The library, looked for once. A machine without it has no graphics processors that we can look at.
fn library() -> Option<&'static Nvml> {
    static LIBRARY: OnceLock<Option<Nvml>> = OnceLock::new();
    LIBRARY.get_or_init(|| Nvml::init().ok()).as_ref()
}

/// All of the machine: name and name for ever.
#[must_use]
pub fn gpus() -> Vec<String> {
    let Some(library) = library() else { return Vec::new() };
    let describe = |index| {
        let device = library.device_by_index(index).ok()?;
        Some(format!("{} {}", device.name().ok()?, device.uuid().ok()?))
    };
    (0..library.device_count().unwrap_or(0)).filter_map(describe).collect()
}

/// Those that these processes use. The library counts processes as the machine does, so this is for processes of the
/// worker's own namespace and those below it as seen from there.
pub(crate) fn used_by(pids: &[i32]) -> Vec<GpuSample> {
    let Some(library) = library() else { return Vec::new() };
    let mut found = Vec::new();
    for index in 0..library.device_count().unwrap_or(0) {
        let Ok(device) = library.device_by_index(index) else { continue };
        let is_ours = |pid: u32| i32::try_from(pid).is_ok_and(|pid| pids.contains(&pid));
        let ours: Vec<_> = device
            .running_compute_processes()
            .unwrap_or_default()
            .into_iter()
            .filter(|process| is_ours(process.pid))
            .collect();
        if ours.is_empty() {
            continue;
        }
        let memory_bytes = ours
            .iter()
            .map(|process| match process.used_gpu_memory {
                nvml_wrapper::enums::device::UsedGpuMemory::Used(bytes) => bytes,
                nvml_wrapper::enums::device::UsedGpuMemory::Unavailable => 0,
            })
            .sum();
        let busy = device.utilization_rates().map_or(0, |rates| rates.gpu);
        #[allow(clippy::cast_precision_loss)] // a percentage
        found.push(GpuSample { uuid: device.uuid().unwrap_or_default(), busy: busy as f32 / 100.0, memory_bytes });
    }
    found
}

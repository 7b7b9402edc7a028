//! Graphics processors, where there are any: what NVIDIA's library says of them, and which of them a step sees.

use domain::gpu::{Gpu, GpuUuid};
use nvml_wrapper::{Device, Nvml};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::OnceLock};

/// Which graphics processors a step may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gpus {
    /// Nobody hands any out where it runs: it finds what there is.
    #[default]
    Unmanaged,
    /// These and no others, of those of its machine.
    Given(Vec<GpuUuid>),
    /// So many, which its cluster finds.
    OfCluster(u32),
}

impl Gpus {
    /// Those that were given to it.
    #[must_use]
    pub fn given(&self) -> &[GpuUuid] {
        match self {
            Self::Given(gpus) => gpus,
            Self::Unmanaged | Self::OfCluster(_) => &[],
        }
    }

    /// The variables by which CUDA, and the runtime of containers, know which ones a program may use. They go before what
    /// anybody else says: what others were given is not the step's to take.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let Self::Given(gpus) = self else { return Vec::new() };
        let list = gpus.iter().map(GpuUuid::as_str).collect::<Vec<_>>().join(",");
        // CUDA finds none when its list is empty. To the runtime of containers that is as if nothing was said, and images
        // say `all`.
        let of_container = if gpus.is_empty() { "void".to_owned() } else { list.clone() };
        vec![("CUDA_VISIBLE_DEVICES", list), ("NVIDIA_VISIBLE_DEVICES", of_container)]
    }

    /// The device files of those that it may use. None when that is not known, or whatever there is: then all may be.
    pub(crate) fn nodes(&self) -> Option<Vec<PathBuf>> {
        let Self::Given(gpus) = self else { return None };
        let node = |uuid| Some(PathBuf::from(format!("/dev/nvidia{}", device(uuid)?.minor_number().ok()?)));
        gpus.iter().map(node).collect()
    }

    /// What those that were given to it do now. They are its alone, so all of it is its.
    #[must_use]
    pub fn samples(&self) -> Vec<GpuSample> {
        let sample = |uuid: &GpuUuid| {
            let device = device(uuid)?;
            let busy = device.utilization_rates().map_or(0, |rates| rates.gpu);
            Some(GpuSample {
                uuid: uuid.to_string(),
                #[allow(clippy::cast_precision_loss)] // a percentage
                busy: busy as f32 / 100.0,
                memory_bytes: device.memory_info().map_or(0, |memory| memory.used),
            })
        };
        self.given().iter().filter_map(sample).collect()
    }
}

/// What one of them does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSample {
    /// Its name for ever: `GPU-8f6d…`.
    pub uuid: String,
    /// How busy it is: 0 to 1.
    pub busy: f32,
    /// Its memory that is in use, in bytes.
    pub memory_bytes: u64,
}

impl GpuSample {
    /// As `nvidia-smi` tells: how busy in percent, and memory in MiB. What it does not know is nothing. None when it names none.
    #[must_use]
    pub fn told(uuid: &str, busy: &str, memory: &str) -> Option<Self> {
        uuid.parse::<GpuUuid>().ok()?;
        Some(Self {
            uuid: uuid.to_owned(),
            busy: busy.parse::<u8>().map_or(0.0, |busy| f32::from(busy.min(100)) / 100.0),
            memory_bytes: memory.parse::<u64>().map_or(0, |mib| mib.saturating_mul(1 << 20)),
        })
    }
}

/// The library, looked for once. A machine without it has no graphics processors that we can look at.
fn library() -> Option<&'static Nvml> {
    static LIBRARY: OnceLock<Option<Nvml>> = OnceLock::new();
    LIBRARY.get_or_init(|| Nvml::init().ok()).as_ref()
}

fn device(uuid: &GpuUuid) -> Option<Device<'static>> {
    library()?.device_by_uuid(uuid.as_str()).ok()
}

/// All of the machine. None when there is no driver that could be asked.
#[must_use]
pub fn gpus() -> Option<Vec<Gpu>> {
    let library = library()?;
    let describe = |index| {
        let device = library.device_by_index(index).ok()?;
        Some(Gpu { uuid: device.uuid().ok()?.parse().ok()?, name: device.name().ok()? })
    };
    Some((0..library.device_count().unwrap_or(0)).filter_map(describe).collect())
}

/// What the driver says of this one, which may be an instance that another is divided into. None when it does not know it,
/// or there is no driver.
#[must_use]
pub fn gpu(uuid: &GpuUuid) -> Option<Gpu> {
    Some(Gpu { uuid: uuid.clone(), name: device(uuid)?.name().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(uuids: &[&str]) -> Gpus {
        Gpus::Given(uuids.iter().map(|uuid| uuid.parse().unwrap()).collect())
    }

    #[test]
    fn a_step_is_told_what_it_was_given_by_name_and_nothing_where_nobody_gives() {
        let list = "GPU-a,MIG-b".to_owned();
        let told = [("CUDA_VISIBLE_DEVICES", list.clone()), ("NVIDIA_VISIBLE_DEVICES", list)];
        assert_eq!(given(&["GPU-a", "MIG-b"]).variables(), told);
        let none = [("CUDA_VISIBLE_DEVICES", String::new()), ("NVIDIA_VISIBLE_DEVICES", "void".to_owned())];
        assert_eq!(given(&[]).variables(), none);
        assert!(Gpus::Unmanaged.variables().is_empty() && Gpus::OfCluster(2).variables().is_empty());
    }

    #[test]
    fn a_step_that_was_given_none_gets_no_device_and_one_whose_devices_are_unknown_gets_all() {
        assert_eq!(given(&[]).nodes(), Some(Vec::new()));
        assert_eq!(Gpus::Unmanaged.nodes(), None);
        assert_eq!(given(&["GPU-of-no-driver"]).nodes(), None);
        assert_eq!(given(&["GPU-of-no-driver"]).samples(), []);
    }
}

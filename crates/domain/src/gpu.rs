//! Graphics processors: which ones workers hand out, and which step has each.
//!
//! A step has whole ones, and no other step has them meanwhile. Each is known by the name that its driver gives it for
//! ever, never by its place in a list: that changes when one is taken out, and is another in every container.

use crate::step::StepRef;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The most characters of a name.
const MAX_UUID: usize = 100;

/// The name of a graphics processor, or of an instance that one is divided into: `GPU-8f6d…`, `MIG-2c51…`, as
/// `nvidia-smi -L` tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct GpuUuid(String);

impl GpuUuid {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GpuUuid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("GPU-").or_else(|| text.strip_prefix("MIG-"));
        // Older drivers name an instance by its processor and two numbers: MIG-GPU-8f6d…/1/0.
        let is_name = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/".contains(&byte));
        match rest {
            Some(rest) if !rest.is_empty() && text.len() <= MAX_UUID && is_name(rest) => Ok(Self(text.to_owned())),
            _ => Err("a GPU is named by its UUID, as nvidia-smi -L tells it: GPU-8f6d…"),
        }
    }
}

impl TryFrom<String> for GpuUuid {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<GpuUuid> for String {
    fn from(uuid: GpuUuid) -> Self {
        uuid.0
    }
}

impl fmt::Display for GpuUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A graphics processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gpu {
    /// Its name for ever.
    pub uuid: GpuUuid,
    /// What it is: `NVIDIA A100-SXM4-80GB`. Empty when its worker cannot ask the driver.
    pub name: String,
}

/// `NVIDIA A100-SXM4-80GB (GPU-8f6d…)`
impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => self.uuid.fmt(f),
            name => write!(f, "{name} ({})", self.uuid),
        }
    }
}

/// A graphics processor that workers hand out, and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuSlot {
    /// Which.
    #[serde(flatten)]
    pub gpu: Gpu,
    /// Whether a step has it, of whichever workspace.
    pub held: bool,
    /// The step that has it, when that is one of this workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<StepRef>,
}

/// `a GPU`, `2 GPUs`
#[must_use]
pub fn count(gpus: usize) -> String {
    match gpus {
        1 => "a GPU".to_owned(),
        count => format!("{count} GPUs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_named_by_its_uuid_and_by_nothing_else() {
        for uuid in [
            "GPU-8f6d0a3c-1111-2222-3333-444455556666",
            "MIG-2c51a3c0-0000-5000-8000-000000000001",
            "MIG-GPU-8f6d0a3c-1111-2222-3333-444455556666/1/0",
        ] {
            assert_eq!(uuid.parse::<GpuUuid>().map(String::from), Ok(uuid.to_owned()));
        }
        for wrong in ["", "0", "all", "GPU-", "gpu-8f6d", "GPU-8f6d,GPU-9", "GPU-a b", "GPU-a=b", "TPU-8f6d"] {
            assert!(wrong.parse::<GpuUuid>().is_err(), "{wrong}");
        }
        assert!(format!("GPU-{}", "a".repeat(MAX_UUID)).parse::<GpuUuid>().is_err());
    }
}

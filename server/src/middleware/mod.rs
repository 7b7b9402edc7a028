//! Layers around every route.

pub mod panic;
pub mod rate_limit;
pub mod security;
pub mod telemetry;

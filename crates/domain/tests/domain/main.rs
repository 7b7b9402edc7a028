//! Drift and inference, as their users see them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod drift;
mod infer;
mod invocations;

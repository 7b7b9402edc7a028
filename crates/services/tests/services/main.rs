//! The use cases, over a real database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod datasets;
mod monitoring;
mod pipelines;
mod promotion;
mod tracking;
mod webhooks;

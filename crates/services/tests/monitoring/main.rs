//! Monitoring over a real database and a real artifact store: what checks find, which alert opens, what its triggers start.
//! No model runs here; [`world`] records the answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod checks;
mod references;
mod triggers;
mod world;

//! Promotions over a real database, a real artifact store and the real engine: what leads to a version that serves, and
//! that nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod champion;
mod decide;
mod deploy;
mod falls_away;
mod gates;
mod histories;
mod policy;
mod races;
mod request;
mod rollback;
mod serving;
mod world;

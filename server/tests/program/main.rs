//! The real program, as people start it: commands that talk to it, and what becomes of its work when workers, the server
//! or the database are killed in the middle of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod ci;
mod cli;
mod containers;
mod crash;
mod data;
mod environment;
mod evidence;
mod kill;
mod kubernetes;
mod lifecycle;
mod metrics;
mod slipway;
mod soak;
mod unrecorded;
mod webhook;
mod world;

//! The HTTP surface, tested from outside: requests go into the whole service, in process, over a database of the test's
//! own. One file a noun, as the routes have it; [`app`] is what they share.
#![allow(unreachable_pub, reason = "what the modules share is public to them")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod app;
mod audit;
mod backfill;
mod bad_input;
mod change_request;
mod comment;
mod dataset;
mod delegation;
mod environment;
mod experiment;
mod freeze;
mod inference;
mod mail;
mod mlflow;
mod model;
mod model_card;
mod openapi;
mod pages;
mod palette;
mod pipeline;
mod pipeline_run;
mod policy;
mod promotion;
mod push_hook;
mod queue;
mod run;
mod run_table;
mod schedule;
mod secret;
mod serve;
mod session;
mod step;
mod step_approval;
mod team;
mod token;
mod webhook;
mod worker;

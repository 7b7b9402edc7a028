//! The nouns and rules of Slipway: ids, states, permissions, policies, statistics.
//!
//! Nothing here reads a clock, a file or a socket, and all of it is tested in milliseconds. A noun has the same file
//! name here, in `store`, in `services`, in the API and among the pages.

pub mod artifact_path;
pub mod artifact_root;
pub mod artifact_tree;
pub mod as_of;
pub mod audit;
pub mod backfill;
pub mod change_request;
pub mod comment;
pub mod dataset;
pub mod dataset_input;
pub mod delegation;
pub mod deployment;
pub mod digest;
#[cfg(not(target_arch = "wasm32"))]
pub mod document;
pub mod drift;
pub mod duration;
pub mod environment;
pub mod error;
pub mod expectation;
pub mod experiment;
#[cfg(not(target_arch = "wasm32"))]
mod expression;
pub mod freeze;
pub mod glob;
pub mod gpu;
pub mod id;
pub mod inference;
pub mod log;
pub mod log_batch;
pub mod log_key;
pub mod logged_model;
pub mod mail;
#[cfg(not(target_arch = "wasm32"))]
pub mod mlmodel;
pub mod model;
pub mod model_card;
pub mod monitor;
pub mod names;
pub mod notebook;
pub mod page;
pub mod palette;
pub mod permission;
pub mod pipeline;
pub mod pipeline_run;
pub mod policy;
pub mod preview;
mod problem;
pub mod promotion;
pub mod prose;
pub mod push_hook;
pub mod registration;
pub mod repository;
pub mod run;
pub mod run_table;
pub mod schedule;
pub mod search;
pub mod secret;
pub mod series;
pub mod step;
pub mod step_approval;
pub mod table_profile;
pub mod team;
pub mod text_diff;
#[cfg(not(target_arch = "wasm32"))]
pub mod timetable;
pub mod trigger;
pub mod upload;
pub mod user;
pub mod values;
pub mod version_diff;
pub mod webhook;
mod wording;
pub mod worker;
#[cfg(not(target_arch = "wasm32"))]
mod yaml;

pub use digest::Digest;
pub use error::{Error, ErrorKind};
pub use page::Page;

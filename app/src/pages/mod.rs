//! The pages, one file to a noun: functions of what they show. What a page needs beyond the nouns of `domain` is a
//! struct in its file, which the server fills.

pub mod alert;
pub mod audit;
pub mod backfill;
pub mod change_request;
pub mod comment;
pub mod dataset;
pub mod deployment;
pub mod door;
pub mod endpoint;
pub mod environment;
pub mod experiment;
pub mod files;
pub mod freeze;
pub mod home;
pub mod model;
pub mod monitor;
pub mod notebook;
pub mod palette;
pub mod pipeline;
pub mod pipeline_run;
pub mod policy;
pub mod promotion;
pub mod push_hook;
pub mod registration;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod trigger;
pub mod trouble;
pub mod worker;

//! Pipelines over a real database: who gets a step, what a worker's word counts, how a run goes on. No process is
//! started here; [`engine`] plays the workers.

mod cancelling;
mod claims;
mod endings;
mod engine;
mod files;
mod limits;
mod logs;
mod nested;
mod random;
mod starting;

//! Pipelines over a real database: who gets a step, what a worker's word counts, how a run goes on. No process is
//! started here; [`engine`] plays the workers.

mod approvals;
mod backfills;
mod cache;
mod cancelling;
mod checked;
mod claims;
mod endings;
mod ends;
mod engine;
mod files;
mod gpus;
mod limits;
mod logs;
mod nested;
mod pushes;
mod random;
mod refused;
mod reproductions;
mod reruns;
mod schedules;
mod secrets;
mod starting;
mod sub_runs;
mod turns;
mod versions;

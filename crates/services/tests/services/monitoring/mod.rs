//! Monitoring over a real database and a real artifact store: what checks find, which alert opens, what its triggers start.
//! No model runs here; [`world`] records the answers.

mod alerts;
mod checks;
mod references;
mod triggers;
mod world;

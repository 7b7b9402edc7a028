//! Promotions over a real database, a real artifact store and the real engine: what leads to a version that serves, and
//! that nothing else does.

mod audit;
mod audit_scale;
mod break_glass;
mod champion;
mod change_request;
mod decide;
mod deploy;
mod falls_away;
mod gate_latency;
mod gate_outside;
mod gate_rows;
mod gate_setup;
mod gate_tables;
mod gates;
mod histories;
mod looking_back;
mod mail_server;
mod mailing;
mod mentions;
mod one_winner;
mod policy;
mod races;
mod replay;
mod request;
mod rollback;
mod serving;
mod telling;
pub(crate) mod world;

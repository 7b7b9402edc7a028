//! Experiments, runs and models as pages read them, over a real database and a real artifact store. What clients send is
//! tested where it comes in, in `server/tests/api/mlflow`.

mod aliases;
mod cards;
mod comments;
mod curves;
mod freshness;
mod history;
mod lineage;
mod logged_models;
mod model;
mod packing;
mod table;
mod uploads;
pub(crate) mod world;

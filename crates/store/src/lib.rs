//! The only crate with SQL: one file a noun, over one Postgres database.

//! A fresh database, builders and clients for the tests of every crate.

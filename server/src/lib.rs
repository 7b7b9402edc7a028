//! The HTTP surface and the processes of Slipway. [`router`] is the index of all addresses.

pub mod access;
pub mod api;
pub mod assets;
pub mod cli;
pub mod config;
pub mod demo;
pub mod download;
pub mod error;
pub mod events;
pub mod extract;
pub mod health;
pub mod inference;
pub mod middleware;
pub mod mlflow;
pub mod openapi;
pub mod pages;
pub mod postgres;
pub mod prefix;
pub mod router;
pub mod serve;
pub mod state;
pub mod worker;

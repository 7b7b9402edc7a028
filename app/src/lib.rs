//! The pages of Slipway, as functions of values.
//!
//! A page takes what it shows (nouns of `domain`, or a view that the server filled) and gives HTML; it knows no service,
//! no router and no database. The design system is [`ui`] and [`chart`], the frame around every page [`shell`], and
//! what moves in the browser [`islands`]. The browser's build holds the islands alone.

#![allow(unreachable_pub, reason = "the component macro writes pub inside private modules")]

pub mod addresses;
pub mod ansi;
#[cfg(feature = "hydrate")]
mod browser;
pub mod islands;

#[cfg(feature = "ssr")]
pub mod chart;
#[cfg(feature = "ssr")]
pub mod format;
#[cfg(feature = "ssr")]
pub mod links;
#[cfg(feature = "ssr")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod render;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
#[cfg(feature = "ssr")]
pub mod shell;
#[cfg(feature = "ssr")]
pub mod ui;

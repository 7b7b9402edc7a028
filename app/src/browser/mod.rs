//! The browser's part of the islands: plain calls into the DOM, so that what travels stays small.

pub(crate) mod charts;
pub(crate) mod completion;
mod dom;
pub(crate) mod live_log;
pub(crate) mod live_region;
pub(crate) mod palette;
mod stream;

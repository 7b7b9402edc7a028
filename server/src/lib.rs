//! The HTTP surface and the processes of Slipway.

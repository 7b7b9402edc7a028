//! What the language takes, what it refuses and how, and that printing and reading undo each other.

mod completion;
mod language;
mod orders;
mod properties;
mod refusals;

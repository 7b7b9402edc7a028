//! Where a step runs: an operating-system process in a directory of its own.

//! A program that is a shim and nothing else, for the tests of this crate. In the product that is `slipway-step`.

use std::process::ExitCode;

fn main() -> ExitCode {
    executors::shim::main(std::env::args_os().skip(1))
}

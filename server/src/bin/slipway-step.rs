//! What stands between a worker and the commands of its steps (`executors::shim`), as a program of its own: it forks a
//! process or two a step, and forking a small program takes a fraction of the time of forking a large one. Where it does not
//! lie beside `slipway`, that does the same as `slipway step-shim`.

fn main() -> std::process::ExitCode {
    executors::shim::main(std::env::args_os().skip(1))
}

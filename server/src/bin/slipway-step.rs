//! What stands between a worker and the command of a step (`executors::shim`), as a program of its own: it begins twice a
//! step, and a small program begins in a fraction of the time of a large one. Where it does not lie beside `slipway`, that
//! does the same as `slipway step-shim`.

fn main() -> std::process::ExitCode {
    executors::shim::main(std::env::args_os().skip(1))
}

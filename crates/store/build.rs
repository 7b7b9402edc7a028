//! Rebuilds when a migration changes: the embedded set is read at compile time.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}

//! The `boundgate` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    boundgate::cli::main()
}

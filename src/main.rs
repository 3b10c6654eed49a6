//! The command line program: parse, run, and decide how it ends.

use clap::Parser;
use std::process::ExitCode;
use whowrote::commands::{Cli, report_failure, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(status) => status.into(),
        Err(error) => report_failure(&error),
    }
}

//! `whowrote gate`: judges submitted texts by a policy. The exit code says whether they pass.

mod args;
mod config;
mod explain;
mod run;

pub use args::{GateArgs, GateCommand, ReportFile};
pub use config::{GateConfig, GateTask};
pub use run::run;

use super::{ExitStatus, OutputError};
use crate::gate::{POLICY_FILE, TEMPLATE};
use anyhow::{Context, bail};
use std::io::Write;
use std::path::Path;

/// `whowrote gate init`: writes a policy to start from.
///
/// # Errors
/// If there is one already, or it cannot be written.
pub fn init(out: &mut dyn Write) -> anyhow::Result<ExitStatus> {
    let path = Path::new(POLICY_FILE);
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("`{POLICY_FILE}` already exists; change it, or delete it first")
        }
        written => written.with_context(|| format!("cannot write `{POLICY_FILE}`; check the folder"))?,
    }
    writeln!(
        out,
        "wrote {POLICY_FILE}; edit it to say who may write what, then run `whowrote gate --diff main...HEAD`"
    )
    .map_err(OutputError)?;
    Ok(ExitStatus::Done)
}

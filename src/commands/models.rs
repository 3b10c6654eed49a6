//! `whowrote models`.

use super::ExitStatus;
use clap::{Args, Subcommand};

/// Arguments of `whowrote models`.
#[derive(Clone, Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ModelsCommand {
    /// Lists the models of the catalogue
    List,
    /// Fetches models
    Pull,
    /// Checks fetched models against their checksums
    Verify,
    /// Prints where a model lies
    Path,
}

/// Runs `whowrote models`.
pub fn run(_: ModelsArgs) -> anyhow::Result<ExitStatus> {
    anyhow::bail!("the model store is not built into this program yet")
}

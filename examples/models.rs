//! `whowrote models` without the rest of the program: `cargo run --example models -- pull smollm2-135m-instruct`.

use clap::Parser;
use std::sync::Arc;
use whowrote::commands::models::{ModelsArgs, ModelsSettings, run};
use whowrote::model::store::Terminal;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    models: ModelsArgs,
    #[arg(long, global = true)]
    models_file: Option<std::path::PathBuf>,
    #[arg(long, global = true)]
    offline: bool,
    #[arg(long, global = true)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let settings = ModelsSettings {
        models_file: cli.models_file.as_deref(),
        offline: cli.offline,
        json: cli.json,
        progress: Arc::new(Terminal),
    };
    run(&cli.models, &settings, &mut std::io::stdout().lock())
}

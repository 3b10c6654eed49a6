//! The command layer: the only part that prints, colours, or says how the program ends.

pub mod batch;
pub mod calibrate;
mod choices;
mod cli;
mod config;
pub mod detect;
pub mod gate;
pub mod generate;
pub mod models;

pub use batch::{BatchArgs, BatchConfig};
pub use cli::{Cli, Command, DetectArgs, JudgeArgs, RunArgs};
pub use config::{Contradiction, DetectConfig, Terminal};
pub use gate::{GateArgs, GateConfig};
pub use generate::GenerateConfig;

use crate::judge::Judge;
use crate::model::store::{FetchProgress, NoProgress, TerminalProgress};
use crate::output::Detail;
use clap::CommandFactory;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use whowrote_input::{Source, printable};

/// How the program ends when it did not fail as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was done: exit code 0.
    Done,
    /// The gate judged what was submitted, and it does not pass: exit code 1.
    Failed,
    /// Some of the work could not be done, and the reasons are on standard error: exit code 2.
    Incomplete,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => ExitCode::SUCCESS,
            ExitStatus::Failed => ExitCode::from(1),
            ExitStatus::Incomplete => ExitCode::from(2),
        }
    }
}

/// The results could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the results could not be written to standard output")]
pub struct OutputError(#[from] io::Error);

/// Runs a command.
pub fn run(cli: Cli) -> anyhow::Result<ExitStatus> {
    match cli.command {
        Command::Detect(args) => {
            let config = DetectConfig::new(args, Terminal::detect())?;
            detect_on_terminal(&config)
        }
        Command::Batch(args) => batch_on_terminal(BatchConfig::new(args, Terminal::detect())?),
        Command::Gate(args) => gate_on_terminal(args),
        Command::Generate(args) => generate::run(&GenerateConfig::new(args, Terminal::detect())?),
        Command::Calibrate(args) => {
            let config = calibrate::CalibrateConfig::new(args, Terminal::detect())?;
            calibrate::run(&config)
        }
        Command::Models(args) => models::run(&args, &mut io::stdout()),
        Command::Completions { shell } => {
            // clap's generator panics when the output is closed, so it writes to memory.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "whowrote", &mut script);
            print(&script)
        }
        Command::Man { command } => print(&man(command.as_deref())?),
    }
}

/// Reports go to standard output, styled where it is a terminal. JSON is written as it is: it holds no styles, and
/// what strips them could take a control character in a name for one.
fn detect_on_terminal(config: &DetectConfig) -> anyhow::Result<ExitStatus> {
    config.color.write_global();
    let mut stderr = anstream::stderr();
    // Without this the program seems to hang.
    if config.detail != Detail::Quiet && config.sources.contains(&Source::Stdin) && io::stdin().is_terminal() {
        let _ = writeln!(
            stderr,
            "reading the text from the terminal; end it with Ctrl-D (on Windows Ctrl-Z and Enter)"
        );
    }
    let progress = fetch_progress(config.detail == Detail::Quiet);
    let mut judge = Judge::new(config.judging.clone())?.with_progress(progress);
    let (mut styled, mut plain) = (anstream::stdout(), io::stdout());
    let out: &mut dyn Write = if config.format.is_styled {
        &mut styled
    } else {
        &mut plain
    };
    detect::run(config, &mut judge, out, &mut stderr)
}

/// Results go to a file or standard output, everything else to standard error. The first signal to end lets the texts in flight be
/// finished; the second ends the program as it would have.
fn batch_on_terminal(config: BatchConfig) -> anyhow::Result<ExitStatus> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        // In this order: the second signal finds the flag set by the first.
        signal_hook::flag::register_conditional_default(*signal, Arc::clone(&stop))?;
        signal_hook::flag::register(*signal, Arc::clone(&stop))?;
    }
    let judging = config.judging.clone();
    let mut judge = Judge::new(judging)?
        .with_progress(fetch_progress(config.quiet))
        .keep_models(config.memory)
        .stop_when(Arc::clone(&stop));
    let settings = judge.fingerprint()?;
    let (mut stdout, mut stderr) = (io::stdout().lock(), anstream::stderr());
    let done = batch::run(config, &settings, &mut judge, &stop, &mut stdout, &mut stderr);
    match done {
        // Whoever reads has what they wanted, and not every text has its line.
        Err(error) if is_closed_pipe(&error) => Ok(ExitStatus::Incomplete),
        done => done,
    }
}

/// What the run became goes to standard output, styled only where it is for reading.
fn gate_on_terminal(args: GateArgs) -> anyhow::Result<ExitStatus> {
    let (mut styled, mut plain) = (anstream::stdout(), io::stdout().lock());
    if let Some(gate::GateCommand::Init) = args.command {
        return gate::init(&mut styled);
    }
    let config = GateConfig::new(args, Terminal::detect())?;
    let out: &mut dyn Write = if config.format.is_styled {
        &mut styled
    } else {
        &mut plain
    };
    match gate::run(&config, out, &mut anstream::stderr()) {
        // Whoever reads has what they wanted, and whether it passes stays unsaid: it must not look as if it did.
        Err(error) if is_closed_pipe(&error) => Ok(ExitStatus::Incomplete),
        done => done,
    }
}

/// How downloads are shown.
fn fetch_progress(quiet: bool) -> Arc<dyn FetchProgress> {
    if quiet {
        Arc::new(NoProgress)
    } else {
        Arc::new(TerminalProgress)
    }
}

fn man(subcommand: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut program = Cli::command();
    program.build();
    let page = match subcommand {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
            anyhow::anyhow!(
                "there is no subcommand `{}`; there are {}",
                printable(name),
                known.join(", ")
            )
        })?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    Ok(text)
}

fn print(bytes: &[u8]) -> anyhow::Result<ExitStatus> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(OutputError)?;
    Ok(ExitStatus::Done)
}

/// Says why the program failed, and how it ends. A closed pipe, as `whowrote detect * | head -1` leaves behind, is no
/// failure: whoever reads has what they wanted.
pub fn report_failure(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let mut stderr = anstream::stderr();
    // When standard error is closed too there is nobody left to tell.
    let _ = write_error(&mut stderr, error);
    ExitCode::from(2)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let output = error.downcast_ref::<OutputError>();
    output.is_some_and(|OutputError(io)| io.kind() == io::ErrorKind::BrokenPipe)
}

/// `Error: …` and the chain of causes below it.
fn write_error(err: &mut dyn Write, error: &anyhow::Error) -> io::Result<()> {
    write_sentence(err, error)?;
    for cause in error.chain().skip(1) {
        writeln!(err, "  because: {cause}")?;
    }
    Ok(())
}

/// One sentence on standard error.
fn write_sentence(err: &mut dyn Write, sentence: &dyn std::fmt::Display) -> io::Result<()> {
    const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
    writeln!(err, "{ERROR}Error:{ERROR:#} {sentence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_is_printed_with_its_chain() {
        let error = Err::<(), _>(io::Error::other("the disk is full"))
            .context("the model could not be stored")
            .unwrap_err();
        let mut stderr = anstream::StripStream::new(Vec::new());
        write_error(&mut stderr, &error).unwrap();
        let said = String::from_utf8(stderr.into_inner()).unwrap();
        assert_eq!(
            said,
            "Error: the model could not be stored\n  because: the disk is full\n"
        );
    }

    #[test]
    fn only_our_own_closed_pipe_is_no_failure() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::from(OutputError(broken()))));
        assert!(is_closed_pipe(
            &anyhow::Error::from(OutputError(broken())).context("while printing")
        ));
        assert!(!is_closed_pipe(&anyhow::Error::from(broken())));
        assert!(!is_closed_pipe(&anyhow::Error::from(OutputError(io::Error::other(
            "full"
        )))));
    }

    #[test]
    fn man_pages_exist_for_the_program_and_each_subcommand() {
        assert!(
            String::from_utf8(man(None).unwrap())
                .unwrap()
                .contains(".TH whowrote 1")
        );
        for subcommand in [
            "detect",
            "batch",
            "gate",
            "generate",
            "calibrate",
            "models",
            "completions",
            "man",
        ] {
            let page = String::from_utf8(man(Some(subcommand)).unwrap()).unwrap();
            assert!(page.contains("NAME"), "{subcommand}");
        }
        assert!(
            man(Some("paint"))
                .unwrap_err()
                .to_string()
                .contains("detect, batch, gate, generate, calibrate, models")
        );
    }
}

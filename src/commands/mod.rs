//! The command layer. Only this part prints, colours, and decides the exit code.

pub mod batch;
pub mod calibrate;
mod choices;
mod cli;
mod config;
pub mod detect;
pub mod eval;
pub mod gate;
pub mod generate;
mod help;
pub mod models;

pub use batch::{BatchArgs, BatchConfig};
pub use cli::{Cli, Command, DetectArgs, EachTextArgs, JudgeArgs, RunArgs};
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
use whowrote_input::Source;

/// How the program ends if it did not fail as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was done: exit code 0.
    Done,
    /// The gate judged the submitted texts, and one failed: exit code 1.
    Failed,
    /// Some of the work could not be done: exit code 2. The reasons are on standard error.
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
        Command::Eval(args) => eval_on_terminal(args),
        Command::Gate(args) => gate_on_terminal(args),
        Command::Generate(args) => generate::run(&GenerateConfig::new(args, Terminal::detect())?),
        Command::Calibrate(args) => {
            let config = calibrate::CalibrateConfig::new(args, Terminal::detect())?;
            calibrate::run(&config)
        }
        Command::Models(args) => models::run(&args, &mut io::stdout()),
        Command::Completions { shell } => {
            // clap's generator panics if the output is closed, so let it write to memory.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "whowrote", &mut script);
            print(&script)
        }
        Command::Man { command } => print(&help::man(&command)?),
        Command::Help { command } => {
            let help = help::help(&command)?.ansi().to_string();
            let mut stdout = anstream::stdout();
            let printed = stdout.write_all(help.as_bytes()).and_then(|()| stdout.flush());
            printed.map_err(OutputError)?;
            Ok(ExitStatus::Done)
        }
    }
}

/// Prints reports on standard output, with styles if it is a terminal. JSON is written directly: it has no styles,
/// and the filter that strips styles could mistake a control character in a name for one.
fn detect_on_terminal(config: &DetectConfig) -> anyhow::Result<ExitStatus> {
    config.color.write_global();
    let mut stderr = anstream::stderr();
    // Without this line the program seems to hang.
    if config.detail != Detail::Quiet && config.sources.contains(&Source::Stdin) && io::stdin().is_terminal() {
        let _ = writeln!(
            stderr,
            "type or paste the text; end it with Ctrl-D (on Windows Ctrl-Z and Enter)"
        );
    }
    let progress = fetch_progress(config.detail == Detail::Quiet);
    let mut judge = Judge::new(config.judging.clone())?.with_progress(progress);
    if config.progress {
        judge = judge.watched_by(|read, all| detect::show_pieces(read, all, &mut anstream::stderr()));
    }
    let (mut styled, mut plain) = (anstream::stdout(), io::stdout());
    let out: &mut dyn Write = if config.format.is_styled {
        &mut styled
    } else {
        &mut plain
    };
    detect::run(config, &mut judge, out, &mut stderr)
}

/// Prints results to a file or standard output, and everything else on standard error. After the first signal to end,
/// the texts that were begun are finished; the second signal ends the program at once.
fn batch_on_terminal(config: BatchConfig) -> anyhow::Result<ExitStatus> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        // The order matters: the second signal must find the flag set by the first.
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
        // The reader closed the output on purpose, but not every text has its line.
        Err(error) if is_closed_pipe(&error) => Ok(ExitStatus::Incomplete),
        done => done,
    }
}

/// Prints the figures on standard output, with styles only if the format is for reading.
fn eval_on_terminal(args: eval::EvalArgs) -> anyhow::Result<ExitStatus> {
    let (mut styled, mut plain) = (anstream::stdout(), io::stdout());
    let config = eval::EvalConfig::new(args, Terminal::detect())?;
    let out: &mut dyn Write = if config.is_styled() { &mut styled } else { &mut plain };
    eval::run(config, out, &mut anstream::stderr())
}

/// Prints the run on standard output, with styles only if the format is for reading.
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
        // The reader closed the output on purpose. Nobody saw the result, so it must not look like a pass.
        Err(error) if is_closed_pipe(&error) => Ok(ExitStatus::Incomplete),
        done => done,
    }
}

/// The display of downloads.
fn fetch_progress(quiet: bool) -> Arc<dyn FetchProgress> {
    if quiet {
        Arc::new(NoProgress)
    } else {
        Arc::new(TerminalProgress)
    }
}

fn print(bytes: &[u8]) -> anyhow::Result<ExitStatus> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(OutputError)?;
    Ok(ExitStatus::Done)
}

/// Prints why the program failed, and returns the exit code. A closed pipe, as in `whowrote detect * | head -1`, is
/// not a failure: the reader closed it on purpose.
pub fn report_failure(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let mut stderr = anstream::stderr();
    // If standard error is closed too, nobody can be told.
    let _ = write_error(&mut stderr, error);
    ExitCode::from(2)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let output = error.downcast_ref::<OutputError>();
    output.is_some_and(|OutputError(io)| io.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints `Error: …` and the chain of causes below it.
fn write_error(err: &mut dyn Write, error: &anyhow::Error) -> io::Result<()> {
    write_sentence(err, error)?;
    for cause in error.chain().skip(1) {
        writeln!(err, "  because: {cause}")?;
    }
    Ok(())
}

/// Prints one sentence on standard error.
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
    fn only_a_closed_standard_output_is_not_a_failure() {
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
}

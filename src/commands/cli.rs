//! What the user types. Every flag is documented here, where it is defined; the help, the man page and the shell
//! completions are made from it.

use super::batch::BatchArgs;
use super::calibrate::CalibrateArgs;
use super::choices::{choices, named};
use super::gate::GateArgs;
use super::generate::GenerateArgs;
use super::models::ModelsArgs;
use crate::model::DeviceChoice;
use crate::output::{Format, formats_of_reports};
use clap::{Args, ColorChoice, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use whowrote_stats::sampling_params::{ANY, DEPLOYED, SamplingFamily};
use whowrote_stats::verdict::Test;

/// Says which of the authors that you can name could have written a text
///
/// The authors are language models of yours (set A, in-house), other language models (set B, not sanctioned), and a
/// person. The answer is every author that the evidence does not rule out: one is an attribution, several are
/// undecided, none is an unknown author.
#[derive(Clone, Debug, Parser)]
#[command(name = "whowrote", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, whatever the verdict; 2 a text, a model or the command line could not be \
                          read. Results go to standard output, everything else to standard error.";

const BATCH_EXIT_CODES: &str = "Exit codes: 0 every text has its line, those too that could not be judged; 2 stopped, or results \
                                could not be written, or a model or the command line could not be read. The same command \
                                goes on then.";

const GATE_EXIT_CODES: &str = "Exit codes: 0 passed; 1 a text failed; 2 something could not be read, and nothing that could failed. \
                               Results go to standard output, everything else to standard error.";

const GENERATE_EXIT_CODES: &str = "Exit codes: 0 done; 2 a prompt, the model or the command line could not be read. \
                                   Texts go to standard output or the file of -o, everything else to standard error.";

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Judges texts: one verdict a text
    #[command(after_help = EXIT_CODES)]
    Detect(DetectArgs),
    /// Judges many texts: one JSON line each, and the same command goes on where it was stopped
    #[command(after_help = BATCH_EXIT_CODES)]
    Batch(BatchArgs),
    /// Judges what was submitted by a policy, for CI: exit code 1 where an author that is not allowed wrote it
    #[command(after_help = GATE_EXIT_CODES)]
    Gate(GateArgs),
    /// Samples texts from a model: one JSON object a text
    #[command(after_help = GENERATE_EXIT_CODES)]
    Generate(GenerateArgs),
    /// Makes a calibration from texts whose author is known
    #[command(after_help = EXIT_CODES)]
    Calibrate(CalibrateArgs),
    /// Lists, fetches and checks the models
    Models(ModelsArgs),
    /// Prints a completion script for a shell
    ///
    /// For bash, for example: whowrote completions bash > ~/.local/share/bash-completion/completions/whowrote
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints a man page
    ///
    /// For example: whowrote man detect | man -l -
    Man {
        /// The subcommand that the page is about; without it, the page of the program
        command: Option<String>,
    },
}

/// What the user typed after `detect`; [`super::DetectConfig`] is what the program works with.
#[derive(Clone, Debug, Args)]
pub struct DetectArgs {
    /// Texts to judge; `-`, or nothing at all, is standard input
    ///
    /// Plain text in UTF-8, or in UTF-16 with a byte order mark, of at most 64 MiB.
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<OsString>,

    /// How verdicts are printed
    #[arg(long, value_name = "FORMAT", value_parser = choices(named(formats_of_reports())), default_value = "text")]
    pub format: &'static Format,

    /// How texts are judged.
    #[command(flatten)]
    pub judging: JudgeArgs,

    /// Judge files as they are, whatever their names say
    #[arg(long)]
    pub plain: bool,

    /// Adds every token's figures; with --format json only
    #[arg(long)]
    pub tokens: bool,

    /// When to print colours; auto heeds NO_COLOR and whether the output is a terminal
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,

    /// Prints the verdict's sentence only, and no progress
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Prints the evidence test by test as well
    #[arg(short, long)]
    pub verbose: bool,
}

/// The tests that can be chosen.
const TESTS: [(Test, &str, &str); 4] = [
    (
        Test::EntropyGap,
        "entropy-gap",
        "Entropy gap, with the exact conditional cumulants of the model (e-process)",
    ),
    (
        Test::EntropyGapVocab,
        "entropy-gap-vocab",
        "Entropy gap, with the closed-form bound that needs only the vocabulary's size",
    ),
    (
        Test::CrossEntropy,
        "cross-entropy",
        "The surprisal under another model of the same vocabulary, against what the author expects of it (e-process)",
    ),
    (
        Test::LikelihoodRatio,
        "likelihood-ratio",
        "Likelihood ratio of the other models, and of the author's own at other temperatures, against the author",
    ),
];

/// How texts are judged; the same for every subcommand that gives verdicts.
#[derive(Clone, Debug, Args)]
pub struct JudgeArgs {
    /// Share of texts by a model, at most, for which that model may be ruled out; without it, 0.05 (gate: that of the policy, and
    /// the share of runs that fail although allowed authors wrote all their texts)
    #[arg(long, value_name = "SHARE", value_parser = parse_alpha, allow_negative_numbers = true)]
    pub alpha: Option<f64>,

    /// The same for texts by people; without it, a fifth of --alpha
    #[arg(long, value_name = "SHARE", value_parser = parse_alpha, allow_negative_numbers = true)]
    pub alpha_human: Option<f64>,

    /// An in-house author (set A), instead of those of the catalogue; may be repeated
    ///
    /// The name of an author or a model of the catalogue (`whowrote models list`), or a path: a GGUF file, or a folder
    /// with config.json, tokenizer.json and safetensors. What holds a slash or ends in .gguf is a path.
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    pub a: Vec<OsString>,

    /// An author that is not sanctioned (set B), instead of those of the catalogue; may be repeated
    ///
    /// Named as with --a.
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    pub b: Vec<OsString>,

    /// The tests that may rule a model out where the prompt is known; may be repeated or separated by commas
    #[arg(
        long = "test",
        value_name = "TEST",
        value_delimiter = ',',
        value_parser = choices(TESTS),
        default_values = ["entropy-gap", "likelihood-ratio", "cross-entropy"],
    )]
    pub tests: Vec<Test>,

    /// The ways of sampling that an author may have used: deployed, any, or one way; without it, that of the author in the
    /// catalogue, or deployed
    #[arg(long, value_name = "DECODING", long_help = decoding_help())]
    pub decoding: Option<SamplingFamily>,

    /// The prompt that the text answers, in a file; a model with a chat template gets it as the user's turn
    ///
    /// With the prompt known the error is bounded by theorems for this very text. Without it a model is held against what it
    /// is known to have written (`whowrote calibrate`).
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "no_prompt")]
    pub prompt: Option<PathBuf>,

    /// The system's turn that came before the prompt, in a file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "prompt")]
    pub system: Option<PathBuf>,

    /// Supposes that a model wrote the text without any prompt
    #[arg(long)]
    pub no_prompt: bool,

    /// A calibration made by `whowrote calibrate`, looked at before the built-in ones; may be repeated
    #[arg(long = "calibration", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub calibrations: Vec<PathBuf>,

    /// What kind of text it is, as a group of the calibration of people's texts; a person is then held against that group alone
    ///
    /// The built-in groups are "essays and fiction" (with mail and speeches) and "informative" (news, reference, science, manuals
    /// and student essays). Without it a person stays unless no group lets it stay.
    #[arg(long, value_name = "GROUP")]
    pub genre: Option<String>,

    /// Where models are looked for and run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Where models are looked for and run; the same for every subcommand that runs one.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// A catalogue of models and authors, instead of the one of your configuration folder or the default
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub models: Option<PathBuf>,

    /// Threads to compute with; without it, one for each core
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,

    /// Where the models run: auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,

    /// Opens no connection: a model that is not on this machine is an error
    #[arg(long)]
    pub offline: bool,
}

/// The help of `--decoding`, from what the families hold.
fn decoding_help() -> String {
    format!(
        "The ways of sampling that an author may have used: {}, {}, or one way; without it, the author's way in the catalogue, or \
         {}\n\n\
         `{}` is what services run: {DEPLOYED}. `{}` goes further without truncation, up to temperature {}. One way reads like \
         `temperature=0.7,top-p=0.9`, with any of temperature (or a range such as 0.5..1), top-k, top-p and min-p.",
        DEPLOYED.name,
        ANY.name,
        SamplingFamily::default(),
        DEPLOYED.name,
        ANY.name,
        ANY.stated_hottest(),
    )
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(threads) if threads.get() <= MOST_THREADS => Ok(threads),
        _ => Err(format!("threads are a number from 1 to {MOST_THREADS}")),
    }
}

/// More threads than cores only get in one another's way.
const MOST_THREADS: usize = 1024;

fn parse_alpha(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(alpha) if alpha > 0.0 && alpha < 1.0 => Ok(alpha),
        _ => Err("alpha is a share above 0 and below 1, such as 0.05".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_says_what_it_does() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn shares_are_checked() {
        for text in ["0", "1", "-0.1", "NaN", "inf", "five", ""] {
            assert!(parse_alpha(text).is_err(), "{text}");
        }
        assert_eq!(parse_alpha("0.01"), Ok(0.01));
    }
}

//! The command line. Every option is documented here, where it is defined: the help, the man pages and the shell
//! completions are made from these texts.
//!
//! The first paragraph of an option's doc comment is its line in the help, the whole comment its text in the man page.

use super::batch::BatchArgs;
use super::calibrate::CalibrateArgs;
use super::choices::{choices, named};
use super::eval::EvalArgs;
use super::gate::GateArgs;
use super::generate::GenerateArgs;
use super::help::{self, headings};
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

/// Say which of the authors you can name could have written a text
///
/// The authors are your own language models (set A, in-house), other language models (set B, not sanctioned), and a
/// person. The program names every author that the evidence does not exclude. If one author is left, the text is
/// attributed to it. If several are left, the verdict is undecided. If none is left, the author is unknown.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "whowrote",
    version,
    propagate_version = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    arg = help::flag(),
    after_help = help::end(EXIT_CODES, ""),
    after_long_help = EXIT_CODES,
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, whatever the verdict; 1 `gate`: a text failed; 2 a text, a model or the \
                          command line could not be read. Results go to standard output, errors and progress to \
                          standard error.";

const DETECT_EXIT_CODES: &str = "Exit codes: 0 done, whatever the verdict; 2 a text, a model or the command line \
                                 could not be read. Results go to standard output, errors and progress to standard \
                                 error.";

const BATCH_EXIT_CODES: &str = "Exit codes: 0 every text has its line, even a text that could not be read; 2 it was \
                                stopped, or could not write results, or a model or the command line could not be \
                                read. Run the same command again to resume.";

const EVAL_EXIT_CODES: &str = "Exit codes: 0 done, whatever was measured; 2 it was stopped, or a text stands in a \
                               calibration, or a text, a model or the command line could not be read. Run the same \
                               command again to resume.";

const GATE_EXIT_CODES: &str = "Exit codes: 0 passed; 1 a text failed; 2 no text failed, but something could not be \
                               read. Results go to standard output, errors and progress to standard error.";

const GENERATE_EXIT_CODES: &str = "Exit codes: 0 done; 2 a prompt, the model or the command line could not be read. \
                                   Texts go to standard output or the file of -o, errors and progress to standard \
                                   error.";

const CALIBRATE_EXIT_CODES: &str = "Exit codes: 0 done; 2 a text, a model or the command line could not be read. The \
                                    calibration goes to standard output or the file of -o, errors and progress to \
                                    standard error.";

const MODELS_EXIT_CODES: &str = "Exit codes: 0 done; 2 a model could not be fetched, is damaged or is not on this \
                                 machine, or the command line could not be read.";

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Judge texts: one verdict for each
    #[command(after_help = help::end(DETECT_EXIT_CODES, " detect"), after_long_help = DETECT_EXIT_CODES)]
    Detect(DetectArgs),
    /// Judge many texts: one JSON line for each; run the same command again to resume
    #[command(after_help = help::end(BATCH_EXIT_CODES, " batch"), after_long_help = BATCH_EXIT_CODES)]
    Batch(BatchArgs),
    /// Measure how well texts whose authors are known are judged: ROC curves, verdicts and p-values
    #[command(after_help = help::end(EVAL_EXIT_CODES, " eval"), after_long_help = EVAL_EXIT_CODES)]
    Eval(EvalArgs),
    /// Judge submitted texts by a policy, for CI: exit code 1 if no allowed author can have written a text
    #[command(after_help = help::end(GATE_EXIT_CODES, " gate"), after_long_help = GATE_EXIT_CODES)]
    Gate(GateArgs),
    /// Sample texts from a model: one JSON object for each
    #[command(after_help = help::end(GENERATE_EXIT_CODES, " generate"), after_long_help = GENERATE_EXIT_CODES)]
    Generate(GenerateArgs),
    /// Make a calibration from texts whose author is known
    #[command(after_help = help::end(CALIBRATE_EXIT_CODES, " calibrate"), after_long_help = CALIBRATE_EXIT_CODES)]
    Calibrate(CalibrateArgs),
    /// List, fetch and check the models
    #[command(after_help = help::end(MODELS_EXIT_CODES, " models"), after_long_help = MODELS_EXIT_CODES)]
    Models(ModelsArgs),
    /// Print a completion script for a shell
    ///
    /// For bash, for example: whowrote completions bash > ~/.local/share/bash-completion/completions/whowrote
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a man page, with every option in detail
    ///
    /// For example: whowrote man detect | man -l -
    Man {
        /// The command, such as `detect` or `models pull`; without it, the page of the program
        command: Vec<String>,
    },
    /// Print this help, or the help of a command
    Help {
        /// The command, such as `detect` or `models pull`
        command: Vec<String>,
    },
}

/// The arguments of `detect`. The program works with [`super::DetectConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
pub struct DetectArgs {
    /// Files to judge; `-`, or no file, is standard input
    ///
    /// The text is taken out of Markdown, reStructuredText, HTML, LaTeX, DOCX, ODT, PDF, mail and subtitles, by the
    /// file's ending. Any other file is plain text in UTF-8, or in UTF-16 with a byte order mark. Hard line breaks, hyphens
    /// at line ends, marks of quoted mail and heads of pages are undone. A file has at most 64 MiB.
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<OsString>,

    /// Judge files as they are, whatever their endings
    #[arg(long)]
    pub plain: bool,

    /// How each text is judged, as no other counts.
    #[command(flatten)]
    pub each_text: EachTextArgs,

    /// How texts are judged.
    #[command(flatten)]
    pub judging: JudgeArgs,

    /// Output format
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = choices(named(formats_of_reports())),
        default_value = "text",
        help_heading = headings::OUTPUT,
    )]
    pub format: &'static Format,

    /// Add the figures of every token; only with --format json
    #[arg(long, help_heading = headings::OUTPUT)]
    pub tokens: bool,

    /// When to print colours
    ///
    /// `auto` prints them if the output is a terminal and NO_COLOR is not set.
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t = ColorChoice::Auto,
        help_heading = headings::OUTPUT,
    )]
    pub color: ColorChoice,

    /// Print only the verdict's sentence, and no progress
    #[arg(short, long, conflicts_with = "verbose", help_heading = headings::OUTPUT)]
    pub quiet: bool,

    /// Print the evidence of each test as well
    #[arg(short, long, help_heading = headings::OUTPUT)]
    pub verbose: bool,
}

/// The tests to choose from, each with its name and its description in the help.
fn tests() -> impl Iterator<Item = (Test, &'static str, &'static str)> {
    let described = |test: Test| match test {
        Test::EntropyGap => "Entropy gap, with the model's own conditional cumulants (e-process)",
        Test::EntropyGapVocab => "Entropy gap, with a closed-form bound that needs only the size of the vocabulary",
        Test::CrossEntropy => {
            "Surprisal under another model of the same vocabulary, compared with what the author expects of it (e-process)"
        }
        Test::LikelihoodRatio => {
            "Likelihood ratio of the other models, and of the author's own model at other temperatures, against the author"
        }
        Test::Conformal => "Rank of the text's score among the scores of known texts of the author",
    };
    Test::CHOICES
        .into_iter()
        .map(move |test| (test, test.name(), described(test)))
}

/// How each text is judged, as no other counts.
#[derive(Clone, Debug, Args)]
pub struct EachTextArgs {
    /// Read only the first WORDS words of each text
    ///
    /// By default all of a text is read, in pieces of about 150 words. If the prompt is given, models read all of it in
    /// any case.
    #[arg(
        long,
        value_name = "WORDS",
        value_parser = parse_words,
        allow_negative_numbers = true,
        help_heading = headings::TEXTS,
    )]
    pub first: Option<NonZeroUsize>,

    /// With this confidence, hold the error rates for the calibration in use, and not only on average
    ///
    /// A calibration is a sample of an author's texts, and another sample gives other rates. By default the rates hold on
    /// average over calibrations. With 0.95, at most one calibration in twenty exceeds them. This needs at least 59 documents
    /// or prompts for a rate of 0.05 and 299 for 0.01, and only the first 150 words of a text are judged.
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = parse_share,
        allow_negative_numbers = true,
        help_heading = headings::ERRORS,
    )]
    pub confidence: Option<f64>,
}

/// How texts are judged: the options that all commands with verdicts share.
#[derive(Clone, Debug, Args)]
pub struct JudgeArgs {
    /// In-house author (set A), in place of those of the catalogue; may be repeated
    ///
    /// The name of an author or a model of the catalogue (`whowrote models list`), or a path to a GGUF file, or to a
    /// folder with config.json, tokenizer.json and safetensors. It is a path if it contains a slash or ends in .gguf.
    #[arg(
        long,
        value_name = "NAME|PATH",
        value_hint = clap::ValueHint::AnyPath,
        help_heading = headings::AUTHORS,
    )]
    pub a: Vec<OsString>,

    /// Author that is not sanctioned (set B), in place of those of the catalogue; may be repeated
    ///
    /// Given as with --a.
    #[arg(
        long,
        value_name = "NAME|PATH",
        value_hint = clap::ValueHint::AnyPath,
        help_heading = headings::AUTHORS,
    )]
    pub b: Vec<OsString>,

    /// How authors may have sampled: `deployed`, `any`, or one way such as temperature=0.7,top-p=0.9
    #[arg(long, value_name = "DECODING", long_help = decoding_help(), help_heading = headings::AUTHORS)]
    pub decoding: Option<SamplingFamily>,

    /// File with the prompt that the text answers
    ///
    /// It must be the prompt that the model was given, word for word. A model with a chat template gets it as the
    /// user's turn. With the prompt, theorems bound the error for this very text. Without it, the text is compared
    /// with known texts of each model (`whowrote calibrate`).
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        conflicts_with = "no_prompt",
        help_heading = headings::KNOWN,
    )]
    pub prompt: Option<PathBuf>,

    /// File with the system turn that came before the prompt
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        requires = "prompt",
        help_heading = headings::KNOWN,
    )]
    pub system: Option<PathBuf>,

    /// Assume that a model had no prompt
    #[arg(long, help_heading = headings::KNOWN)]
    pub no_prompt: bool,

    /// Kind of text, if you know it: a group of human-written texts to compare it with
    ///
    /// The groups are those of the calibration of human-written texts. The built-in groups are "essays and fiction"
    /// (with mail and speeches) and "informative" (news, reference, science, manuals and student essays). By default
    /// a person is excluded only if every group excludes them.
    #[arg(long, value_name = "GROUP", help_heading = headings::KNOWN)]
    pub genre: Option<String>,

    /// Calibration made by `whowrote calibrate`; may be repeated
    ///
    /// Your own calibrations take precedence over the built-in ones.
    #[arg(
        long = "calibration",
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::KNOWN,
    )]
    pub calibrations: Vec<PathBuf>,

    /// Maximum false-exclusion rate for each model [default: 0.05; gate: alpha of the policy]
    ///
    /// A model is wrongly excluded for at most this share of the texts it wrote. For `gate` it is also the maximum
    /// rate of runs that fail although allowed authors wrote all their texts.
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = parse_share,
        allow_negative_numbers = true,
        help_heading = headings::ERRORS,
    )]
    pub alpha: Option<f64>,

    /// Maximum false-exclusion rate for a person [default: a fifth of --alpha]
    ///
    /// A smaller rate is stricter: fewer false accusations, and more undecided texts.
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = parse_share,
        allow_negative_numbers = true,
        help_heading = headings::ERRORS,
    )]
    pub alpha_human: Option<f64>,

    /// Tests that may exclude a model if the prompt is known; with commas between them, or repeated
    #[arg(
        long = "test",
        value_name = "TEST",
        value_delimiter = ',',
        value_parser = choices(tests()),
        default_values = ["entropy-gap", "likelihood-ratio", "cross-entropy"],
        help_heading = headings::ERRORS,
    )]
    pub tests: Vec<Test>,

    /// Where models come from and run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Where models come from and run: the options that all commands with models share.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Catalogue of models and authors [default: yours, or else the built-in one]
    ///
    /// Yours is the one in your configuration folder.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::MODELS,
    )]
    pub models: Option<PathBuf>,

    /// Model that continues texts, although its file has a chat template; may be repeated
    ///
    /// Given as with --a. It is for a model that was not trained for conversations but comes with the template of one
    /// that was. In a catalogue, `chat = false` says the same.
    #[arg(
        long,
        value_name = "NAME|PATH",
        value_hint = clap::ValueHint::AnyPath,
        help_heading = headings::MODELS,
    )]
    pub no_chat: Vec<OsString>,

    /// Number of threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = parse_threads, help_heading = headings::MODELS)]
    pub threads: Option<NonZeroUsize>,

    /// Device for the models: auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value_t, help_heading = headings::MODELS)]
    pub device: DeviceChoice,

    /// Open no connection; a model that is not on this machine is an error
    #[arg(long, help_heading = headings::MODELS)]
    pub offline: bool,
}

/// The long help of `--decoding`, made from the families' definitions.
fn decoding_help() -> String {
    let (deployed, any) = (DEPLOYED.name, ANY.name);
    format!(
        "How authors may have sampled: `{deployed}`, `{any}`, or one way. Default: the author's sampling in the \
         catalogue, or else `{}`.\n\n`{deployed}` is what services run: {DEPLOYED}. `{any}` adds sampling without \
         truncation up to temperature {}. One way reads like `temperature=0.7,top-p=0.9`, with any of temperature \
         (or a range such as 0.5..1), top-k, top-p, min-p and repetition-penalty.",
        SamplingFamily::default(),
        ANY.stated_hottest(),
    )
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(threads) if threads.get() <= MOST_THREADS => Ok(threads),
        _ => Err(format!("the number of threads is from 1 to {MOST_THREADS}")),
    }
}

/// More threads than cores only slow one another down.
const MOST_THREADS: usize = 1024;

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(alpha) if alpha > 0.0 && alpha < 1.0 => Ok(alpha),
        _ => Err("a share above 0 and below 1 is needed, such as 0.05".to_owned()),
    }
}

fn parse_words(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "a whole number above 0 is needed".to_owned())
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
    fn shares_are_checked() {
        for text in ["0", "1", "-0.1", "NaN", "inf", "five", ""] {
            assert!(parse_share(text).is_err(), "{text}");
        }
        assert_eq!(parse_share("0.01"), Ok(0.01));
    }
}

//! From arguments to settings. Contradictions are refused here, before any work starts.

use super::{DetectArgs, EachTextArgs, JudgeArgs, RunArgs};
use crate::judge::{AuthorChoice, JudgeSettings, PromptChoice};
use crate::model::DeviceChoice;
use crate::output::{Detail, Format};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use whowrote_input::{Source, printable};
use whowrote_stats::conformal_scores::PIECE;
use whowrote_stats::verdict::{ALPHA, HUMAN_DIVISOR};

/// The settings of `detect`, without contradictions.
#[derive(Clone, Debug)]
pub struct DetectConfig {
    /// The texts, in the order of their verdicts; at least one.
    pub sources: Vec<Source>,
    /// Whether files are read as they are, whatever their endings.
    pub plain: bool,
    /// The output format.
    pub format: &'static Format,
    /// How much of each report is printed.
    pub detail: Detail,
    /// The width that text is wrapped at, in columns.
    pub width: usize,
    /// When colours are printed.
    pub color: anstream::ColorChoice,
    /// Whether progress is shown on standard error.
    pub progress: bool,
    /// How texts are judged.
    pub judging: JudgeSettings,
}

/// The terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// The columns of standard output, if it is a terminal.
    pub width: Option<usize>,
    /// Whether standard error is a terminal.
    pub stderr_is_watched: bool,
}

impl Terminal {
    /// Asks the system.
    pub fn detect() -> Self {
        Terminal {
            width: terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0)),
            stderr_is_watched: std::io::stderr().is_terminal(),
        }
    }

    /// The width that text is wrapped at, in columns.
    pub fn width_or_default(&self) -> usize {
        self.width.unwrap_or(DEFAULT_WIDTH)
    }
}

/// The width if standard output is not a terminal.
const DEFAULT_WIDTH: usize = 80;

/// Why the arguments cannot be used together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Standard input named more than once.
    #[error("standard input (`-`) is named more than once, but can be read only once")]
    StdinTwice,
    /// An author in both sets.
    #[error("`{0}` is named with both --a and --b; an author belongs to one set")]
    InBothSets(String),
    /// An author twice in one set.
    #[error("`{0}` is named twice with --{1}; name it once")]
    Twice(String, &'static str),
    /// An author without a name.
    #[error("--{0} needs the name of an author or the path of a model")]
    NoName(&'static str),
    /// A name that is not Unicode.
    #[error("`{0}` is not valid Unicode, so it is not the name of an author; put ./ before it if it is a path")]
    NameNotUnicode(String),
    /// A path to a model that does not exist.
    #[error(
        "the model `{0}` does not exist; name a GGUF file or a folder with config.json, or an author of the catalogue"
    )]
    NoModel(String),
    /// The file of `--models` does not exist.
    #[error("the catalogue `{0}` does not exist; check the path given with --models")]
    NoCatalogue(String),
    /// Figures of tokens in a format that cannot print them.
    #[error("--tokens adds the figures of every token to the JSON; add --format json, or leave out --tokens")]
    TokensAsText,
    /// A guarantee for one calibration over several pieces.
    #[error("--confidence holds for one piece of a text; leave out --first, or let it be {PIECE} at most")]
    ConfidenceInPieces,
    /// A device that this build cannot use.
    #[error(
        "this program was built without {feature}, so --device {device} cannot be used; build it with \
         `cargo install --path . --features {feature}`, or use --device cpu"
    )]
    DeviceNotBuilt {
        /// The device.
        device: DeviceChoice,
        /// The Cargo feature that is missing.
        feature: &'static str,
    },
}

impl RunArgs {
    /// The models that continue texts, even if their files have chat templates.
    pub(super) fn no_chat(&self) -> Result<Vec<AuthorChoice>, Contradiction> {
        authors(self.no_chat.clone(), "no-chat")
    }

    /// Refuses a device that this build cannot use, and a model or catalogue that does not exist.
    pub(super) fn check(&self) -> Result<(), Contradiction> {
        self.no_chat()?;
        if let Some(feature) = self.device.missing_feature() {
            return Err(Contradiction::DeviceNotBuilt {
                device: self.device,
                feature,
            });
        }
        match self.models.as_ref().filter(|path| !path.exists()) {
            Some(path) => Err(Contradiction::NoCatalogue(printable(&path.to_string_lossy()))),
            None => Ok(()),
        }
    }
}

impl DetectConfig {
    /// The settings from these arguments.
    pub fn new(args: DetectArgs, terminal: Terminal) -> Result<Self, Contradiction> {
        let mut sources: Vec<Source> = args.files.into_iter().map(Source::from).collect();
        if sources.is_empty() {
            sources.push(Source::Stdin);
        }
        if sources.iter().filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Contradiction::StdinTwice);
        }
        if args.tokens && args.format.is_styled {
            return Err(Contradiction::TokensAsText);
        }
        let judging = JudgeSettings {
            tokens: args.tokens,
            ..args.each_text.settings(judge_settings(args.judging)?)?
        };
        Ok(DetectConfig {
            plain: args.plain,
            format: args.format,
            detail: match (args.quiet, args.verbose) {
                (true, _) => Detail::Quiet,
                (_, true) => Detail::Verbose,
                _ => Detail::Normal,
            },
            width: terminal.width_or_default(),
            color: match args.color {
                clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
                clap::ColorChoice::Always => anstream::ColorChoice::Always,
                clap::ColorChoice::Never => anstream::ColorChoice::Never,
            },
            progress: terminal.stderr_is_watched && !args.quiet,
            sources,
            judging,
        })
    }
}

impl EachTextArgs {
    /// The settings with these for each text.
    pub(super) fn settings(&self, others: JudgeSettings) -> Result<JudgeSettings, Contradiction> {
        // A guarantee for one calibration holds for one piece (docs/THEORY.md, Theorem 17).
        let one_piece = self.confidence.and_then(|_| NonZeroUsize::new(PIECE));
        if let (Some(piece), Some(first)) = (one_piece, self.first)
            && first > piece
        {
            return Err(Contradiction::ConfidenceInPieces);
        }
        Ok(JudgeSettings {
            first: self.first.or(one_piece),
            confidence: self.confidence,
            ..others
        })
    }
}

/// The settings for judging.
pub(super) fn judge_settings(args: JudgeArgs) -> Result<JudgeSettings, Contradiction> {
    args.run.check()?;
    let (a, b) = (authors(args.a, "a")?, authors(args.b, "b")?);
    if let Some(both) = a.iter().find(|author| b.contains(author)) {
        return Err(Contradiction::InBothSets(both.to_string()));
    }
    let alpha = args.alpha.unwrap_or(ALPHA);
    Ok(JudgeSettings {
        alpha,
        alpha_human: args.alpha_human.unwrap_or(alpha / HUMAN_DIVISOR),
        alpha_together: None,
        confidence: None,
        a,
        b,
        no_chat: args.run.no_chat()?,
        catalogue: args.run.models,
        tests: each_once(args.tests),
        decoding: args.decoding,
        prompt: match args.prompt {
            Some(user) => PromptChoice::Given {
                user,
                system: args.system,
            },
            None if args.no_prompt => PromptChoice::None,
            None => PromptChoice::Unknown,
        },
        calibrations: args.calibrations,
        genre: args.genre,
        threads: args.run.threads,
        device: args.run.device,
        offline: args.run.offline,
        tokens: false,
        first: None,
    })
}

/// The values without repetitions. A test that is averaged with itself would count twice, and a table has no two columns of
/// one name.
pub(super) fn each_once<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut once = Vec::with_capacity(all.len());
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

fn authors(typed: Vec<OsString>, set: &'static str) -> Result<Vec<AuthorChoice>, Contradiction> {
    let mut authors = Vec::with_capacity(typed.len());
    for argument in typed {
        let author = author(&argument, set)?;
        if authors.contains(&author) {
            return Err(Contradiction::Twice(author.to_string(), set));
        }
        authors.push(author);
    }
    Ok(authors)
}

/// Tells names and paths apart by their form alone. So a file in the working folder never changes the meaning of a
/// name.
pub(super) fn author(argument: &OsStr, set: &'static str) -> Result<AuthorChoice, Contradiction> {
    let shown = argument.to_string_lossy();
    if shown.is_empty() {
        return Err(Contradiction::NoName(set));
    }
    let is_path = shown.contains(std::path::is_separator)
        || shown.to_lowercase().ends_with(".gguf")
        || matches!(&*shown, "." | "..");
    if is_path {
        let path = PathBuf::from(argument);
        return if path.exists() {
            // One spelling for each file: ./model.gguf and model.gguf are the same.
            Ok(AuthorChoice::Path(path.components().collect()))
        } else {
            Err(Contradiction::NoModel(printable(&shown)))
        };
    }
    match argument.to_str() {
        Some(name) => Ok(AuthorChoice::Named(name.to_owned())),
        None => Err(Contradiction::NameNotUnicode(printable(&shown))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;
    use whowrote_stats::verdict::Test;

    fn config(arguments: &[&str]) -> Result<DetectConfig, Contradiction> {
        let cli = Cli::try_parse_from(["whowrote", "detect"].iter().chain(arguments)).expect("is well-formed");
        match cli.command {
            Command::Detect(args) => DetectConfig::new(args, Terminal::default()),
            other => panic!("{other:?} is not detect"),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let config = config(&[]).unwrap();
        assert_eq!(config.sources, [Source::Stdin]);
        assert_eq!(
            config.judging.tests,
            [Test::EntropyGap, Test::LikelihoodRatio, Test::CrossEntropy]
        );
        assert_eq!(
            (config.judging.alpha, config.judging.decoding, config.width),
            (0.05, None, 80)
        );
        assert_eq!(config.judging.alpha_human, 0.01);
        assert_eq!(config.judging.prompt, PromptChoice::Unknown);
        assert_eq!(
            (config.format.name, config.detail, config.judging.device),
            ("text", Detail::Normal, DeviceChoice::Auto)
        );
        assert!(
            config.judging.a.is_empty() && config.judging.b.is_empty() && !config.judging.offline && !config.progress
        );
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(config(&["-", "a.txt", "-"]).unwrap_err(), Contradiction::StdinTwice);
        assert_eq!(config(&["--tokens"]).unwrap_err(), Contradiction::TokensAsText);
        assert_eq!(
            config(&["--a", "x", "--b", "x"]).unwrap_err(),
            Contradiction::InBothSets("x".into())
        );
        assert_eq!(
            config(&["--a", "x", "--a", "x"]).unwrap_err(),
            Contradiction::Twice("x".into(), "a")
        );
        assert_eq!(config(&["--b", ""]).unwrap_err(), Contradiction::NoName("b"));
        assert_eq!(
            config(&["--a", "no/such"]).unwrap_err(),
            Contradiction::NoModel("no/such".into())
        );
        assert_eq!(
            config(&["--a", "none.GGUF"]).unwrap_err(),
            Contradiction::NoModel("none.GGUF".into())
        );
        assert_eq!(
            config(&["--models", "no.toml"]).unwrap_err(),
            Contradiction::NoCatalogue("no.toml".into())
        );
        if cfg!(not(feature = "cuda")) {
            let refused = config(&["--device", "cuda:1"]).unwrap_err();
            assert_eq!(
                refused,
                Contradiction::DeviceNotBuilt {
                    device: DeviceChoice::Cuda(1),
                    feature: "cuda"
                }
            );
        }
    }

    #[test]
    fn names_and_paths_are_told_apart_by_their_form() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.gguf");
        std::fs::write(&file, "").unwrap();
        let typed = ["--a", "qwen2.5-coder-0.5b-instruct", "--a", file.to_str().unwrap()];
        let expected = [
            AuthorChoice::Named("qwen2.5-coder-0.5b-instruct".into()),
            AuthorChoice::Path(file.clone()),
        ];
        assert_eq!(config(&typed).unwrap().judging.a, expected);
    }

    #[test]
    fn tests_may_be_repeated_or_have_commas_between_them_and_count_once() {
        let config = config(&["--test", "entropy-gap-vocab,entropy-gap", "--test", "entropy-gap-vocab"]).unwrap();
        assert_eq!(config.judging.tests, [Test::EntropyGapVocab, Test::EntropyGap]);
    }

    #[test]
    fn progress_is_shown_only_on_a_terminal() {
        let shown = |arguments: &[&str], stderr_is_watched| {
            let cli = Cli::try_parse_from(["whowrote", "detect"].iter().chain(arguments)).unwrap();
            let Command::Detect(args) = cli.command else {
                panic!("not detect")
            };
            DetectConfig::new(
                args,
                Terminal {
                    width: Some(120),
                    stderr_is_watched,
                },
            )
            .unwrap()
            .progress
        };
        assert!(shown(&["a", "b"], true));
        assert!(!shown(&["a"], false));
        assert!(!shown(&["a", "-q"], true));
    }
}

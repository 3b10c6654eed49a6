//! The help and the man pages.
//!
//! `-h`, `--help` and `whowrote help` all print the short help, which fits on two screens. The man pages have the
//! details.

use super::Cli;
use anyhow::bail;
use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory};
use whowrote_input::printable;

/// The headings of the help.
pub(super) mod headings {
    /// The authors that are considered.
    pub const AUTHORS: &str = "Who may have written it";
    /// Facts about the text that the user knows.
    pub const KNOWN: &str = "What is known";
    /// The error rates and tests.
    pub const ERRORS: &str = "How sure";
    /// Where models come from and run.
    pub const MODELS: &str = "Where models run";
    /// Which texts of a collection are judged.
    pub const TEXTS: &str = "Which texts";
    /// Who wrote the texts of `eval`.
    pub const LABELS: &str = "Who wrote them";
    /// The prompts of `generate`.
    pub const PROMPTS: &str = "Prompts";
    /// How `generate` samples.
    pub const SAMPLING: &str = "Sampling";
    /// What is printed, and where.
    pub const OUTPUT: &str = "Output";
}

/// `-h` and `--help`. clap's own flag would print every option in detail for `--help`.
pub(super) fn flag() -> Arg {
    Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort)
        .global(true)
        .help("Print this help")
}

/// The end of a command's help: the exit codes, and the way to the man page.
pub(super) fn end(exit_codes: &str, command: &str) -> String {
    format!("{exit_codes}\n\n`whowrote man{command} | man -l -` shows every option in detail.")
}

/// The help of the program, or of a command such as `models pull`.
///
/// # Errors
/// If there is no such command.
pub(super) fn help(names: &[String]) -> anyhow::Result<StyledStr> {
    Ok(find(names)?.render_help())
}

/// The man page of the program, or of a command such as `models pull`.
///
/// # Errors
/// If there is no such command.
pub(super) fn man(names: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(find(names)?).render(&mut page)?;
    Ok(page)
}

fn find(names: &[String]) -> anyhow::Result<Command> {
    let mut found = Cli::command();
    found.build();
    for name in names {
        found = match found.find_subcommand(name) {
            Some(subcommand) => subcommand.clone(),
            None => {
                let known: Vec<&str> = found.get_subcommands().map(Command::get_name).collect();
                let choose = if known.is_empty() {
                    String::new()
                } else {
                    format!("; choose one of {}", known.join(", "))
                };
                bail!("there is no subcommand `{}`{choose}", printable(name))
            }
        };
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use clap::error::ErrorKind;

    /// The program and all commands, by their names on the command line.
    fn commands() -> Vec<(Vec<String>, Command)> {
        fn add(path: Vec<String>, command: &Command, all: &mut Vec<(Vec<String>, Command)>) {
            for subcommand in command.get_subcommands() {
                let path = [&path[..], &[subcommand.get_name().to_owned()]].concat();
                add(path, subcommand, all);
            }
            all.push((path, command.clone()));
        }
        let mut program = Cli::command().term_width(100);
        program.build();
        let mut all = Vec::new();
        add(Vec::new(), &program, &mut all);
        assert!(all.len() > 10);
        all
    }

    #[test]
    fn every_help_fits_on_two_screens() {
        for (path, mut command) in commands() {
            let help = command.render_help().to_string();
            let lines = help.lines().count();
            assert!(lines <= 96, "{path:?}: {lines} lines");
            for line in help.lines() {
                assert!(line.chars().count() <= 100, "{path:?}: {line}");
            }
            let usage = help.lines().position(|line| line.starts_with("Usage: "));
            assert!(usage.is_some_and(|usage| usage <= 3), "{help}");
        }
    }

    #[test]
    fn every_option_has_one_line_and_its_details_are_in_the_man_page() {
        // The page has escapes where the help has signs.
        let words = |text: &str| -> String {
            let text = text
                .replace("\\*(Aq", "")
                .replace("\\fR", "")
                .replace("\\fI", "")
                .replace("\\fB", "");
            text.chars().filter(|c| c.is_alphanumeric()).collect()
        };
        for (path, command) in commands() {
            let page = words(&String::from_utf8(man(&path).unwrap()).unwrap());
            for argument in command.get_arguments() {
                let name = format!("{path:?} {}", argument.get_id());
                let help = argument.get_help().expect(&name).to_string();
                assert!(
                    !help.is_empty() && help.len() <= 100 && !help.contains('\n'),
                    "{name}: {help}"
                );
                let details = argument.get_long_help().map_or(help, ToString::to_string);
                assert!(page.contains(&words(&details)), "{name}: {details}");
            }
        }
    }

    #[test]
    fn every_way_to_ask_for_help_prints_the_same() {
        for (path, _) in commands() {
            let expected = help(&path).unwrap().to_string();
            for flag in ["-h", "--help"] {
                let line = ["whowrote"]
                    .into_iter()
                    .chain(path.iter().map(String::as_str))
                    .chain([flag]);
                let shown = Cli::try_parse_from(line).unwrap_err();
                assert_eq!(shown.kind(), ErrorKind::DisplayHelp);
                assert_eq!(shown.to_string(), expected, "{path:?}");
            }
        }
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_known_ones() {
        let said = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            man(&names).unwrap_err().to_string()
        };
        assert!(said(&["paint"]).contains("choose one of detect, batch, eval, gate, generate, calibrate, models"));
        assert!(said(&["models", "paint"]).contains("choose one of list, pull, verify, path"));
        assert_eq!(said(&["detect", "paint"]), "there is no subcommand `paint`");
    }
}

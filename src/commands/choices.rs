//! Values that the user chooses by name, for clap.

use crate::output::Format;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::collections::HashMap;

/// A parser of these values, each with its name and its description in the help.
pub(super) fn choices<T: Copy + Send + Sync + 'static>(
    named: impl IntoIterator<Item = (T, &'static str, &'static str)>,
) -> impl TypedValueParser<Value = T> {
    let named: Vec<_> = named.into_iter().collect();
    let values = named
        .iter()
        .map(|(_, name, help)| PossibleValue::new(*name).help(*help));
    let values = PossibleValuesParser::new(values);
    let by_name: HashMap<&str, T> = named.into_iter().map(|(value, name, _)| (name, value)).collect();
    // clap accepts no other names.
    values.map(move |chosen: String| by_name[chosen.as_str()])
}

/// Formats as values to choose from.
pub(super) fn named(
    formats: impl Iterator<Item = &'static Format>,
) -> impl Iterator<Item = (&'static Format, &'static str, &'static str)> {
    formats.map(|format| (format, format.name, format.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_its_value_and_an_unknown_one_is_refused_with_the_list() {
        let named = [(1u8, "one", "The first"), (2, "two", "The second")];
        let command = clap::Command::new("x").arg(clap::Arg::new("n").value_parser(choices(named)));
        let found = command.clone().try_get_matches_from(["x", "two"]).unwrap();
        assert_eq!(found.get_one("n"), Some(&2u8));
        let refused = command.try_get_matches_from(["x", "three"]).unwrap_err().to_string();
        assert!(refused.contains("one, two"), "{refused}");
    }
}

//! Values that the user chooses by name, for clap.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A parser of these values: each with its name and what the help says of it.
pub(super) fn choices<T: Copy + Send + Sync + 'static>(
    named: &'static [(T, &'static str, &'static str)],
) -> impl TypedValueParser<Value = T> {
    let values = named
        .iter()
        .map(|(_, name, help)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(values).map(move |chosen: String| {
        let found = named.iter().find(|(_, name, _)| *name == chosen);
        found.expect("clap lets only these names through").0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_its_value_and_another_is_refused_with_the_list() {
        const NAMED: [(u8, &str, &str); 2] = [(1, "one", "The first"), (2, "two", "The second")];
        let command = clap::Command::new("x").arg(clap::Arg::new("n").value_parser(choices(&NAMED)));
        let found = command.clone().try_get_matches_from(["x", "two"]).unwrap();
        assert_eq!(found.get_one("n"), Some(&2u8));
        let refused = command.try_get_matches_from(["x", "three"]).unwrap_err().to_string();
        assert!(refused.contains("one, two"), "{refused}");
    }
}

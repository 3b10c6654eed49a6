//! The built-in calibrations, of the default models, of people and of models that are not loaded.

use super::Calibration;
use std::sync::LazyLock;

const BUILT_IN: [(&str, &str); 4] = [
    (
        "human.json (built in)",
        include_str!("../../../../calibration/human.json"),
    ),
    (
        "smollm2-135m-instruct.json (built in)",
        include_str!("../../../../calibration/smollm2-135m-instruct.json"),
    ),
    (
        "gemma-3-270m.json (built in)",
        include_str!("../../../../calibration/gemma-3-270m.json"),
    ),
    (
        "another-model.json (built in)",
        include_str!("../../../../calibration/another-model.json"),
    ),
];

/// The calibrations that are compiled into the program.
pub fn built_in() -> &'static [Calibration] {
    static CALIBRATIONS: LazyLock<Vec<Calibration>> = LazyLock::new(|| {
        BUILT_IN
            .iter()
            // The files are part of the program, and a unit test checks that they parse.
            .map(|(name, json)| Calibration::from_json(json, name).expect("the built-in calibrations are valid"))
            .collect()
    });
    &CALIBRATIONS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{ANOTHER_MODEL, HUMAN};

    #[test]
    fn the_built_in_calibrations_are_of_a_person_of_the_default_models_and_of_others() {
        let all = built_in();
        let authors: Vec<&str> = all.iter().map(|calibration| calibration.author.as_str()).collect();
        assert_eq!(authors, [HUMAN, "smollm2-135m-instruct", "gemma-3-270m", ANOTHER_MODEL]);
        for calibration in all {
            let shared = calibration.shared(&all[0].models);
            assert_eq!(shared, [(0, 0), (1, 1)], "{}", calibration.author);
        }
    }
}

//! The built-in calibrations, of the default models and of people.

use super::Calibration;

const BUILT_IN: [(&str, &str); 3] = [
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
];

/// The calibrations that are compiled into the program.
pub fn built_in() -> Vec<Calibration> {
    BUILT_IN
        .iter()
        // The files are part of the program, and a unit test checks that they parse.
        .map(|(name, json)| Calibration::from_json(json, name).expect("the built-in calibrations are valid"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::HUMAN;

    #[test]
    fn the_built_in_calibrations_are_of_a_person_and_of_the_default_models() {
        let all = built_in();
        let authors: Vec<&str> = all.iter().map(|calibration| calibration.author.as_str()).collect();
        assert_eq!(authors, [HUMAN, "smollm2-135m-instruct", "gemma-3-270m"]);
        for calibration in &all {
            let shared = calibration.shared(&all[0].models);
            assert_eq!(shared, [(0, 0), (1, 1)], "{}", calibration.author);
        }
    }
}

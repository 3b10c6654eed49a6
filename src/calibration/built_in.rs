//! The calibrations that are compiled in, of the default models and of people.

use super::Calibration;

const BUILT_IN: [(&str, &str); 3] = [
    ("human.json (built in)", include_str!("../../calibration/human.json")),
    (
        "smollm2-135m-instruct.json (built in)",
        include_str!("../../calibration/smollm2-135m-instruct.json"),
    ),
    (
        "gemma-3-270m.json (built in)",
        include_str!("../../calibration/gemma-3-270m.json"),
    ),
];

/// The calibrations that are compiled in.
pub fn built_in() -> Vec<Calibration> {
    BUILT_IN
        .iter()
        // The files are part of the program: a unit test holds that they parse.
        .map(|(name, json)| Calibration::from_json(json, name).expect("the built-in calibrations are valid"))
        .collect()
}

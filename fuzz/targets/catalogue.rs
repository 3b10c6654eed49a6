//! A catalogue of models and authors, and a calibration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use whowrote::model::catalogue::Catalogue;
use whowrote_stats::calibration::Calibration;

fuzz_target!(|text: &str| {
    if let Ok(catalogue) = Catalogue::from_toml(text, Path::new("models.toml")) {
        for author in catalogue.authors() {
            assert!(catalogue.model_of(author).is_ok());
            assert!(author.model.is_some() || author.calibration.is_some());
        }
    }
    if let Ok(calibration) = Calibration::from_json(text, "fuzz") {
        assert!(Calibration::from_json(&calibration.to_json(), "again").is_ok());
    }
});

//! Compresses the built-in calibrations, which would otherwise be a fifteenth part of the program.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let from = Path::new("../../calibration");
    let to = std::env::var("OUT_DIR")?;
    for name in ["human.json", "smollm2-135m-instruct.json", "gemma-3-270m.json"] {
        let json = from.join(name);
        println!("cargo::rerun-if-changed={}", json.display());
        let compressed = File::create(Path::new(&to).join(format!("{name}.gz")))?;
        let mut encoder = GzEncoder::new(compressed, Compression::best());
        std::io::copy(&mut &*fs::read(&json)?, &mut encoder)?;
        encoder.finish()?;
    }
    Ok(())
}

//! SHA-256 of files and of folders with safetensors.

use super::error::SourceError;
use crate::model::recognise;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use whowrote_input::lower_hex;

/// Bytes read at a time: large enough for the disk, small enough for the CPU cache.
const BLOCK: usize = 1 << 18;

/// The files of a model folder, beside `*.safetensors`, that determine what the model computes.
const IDENTITY_FILES: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
];

/// SHA-256 of a file, in lower-case hexadecimal.
pub fn of_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(lower_hex(&hasher.finalize())),
            Ok(n) => hasher.update(&block[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The identity of a model folder. It is what this command prints in the folder:
///
/// ```text
/// sha256sum config.json tokenizer.json [tokenizer_config.json] [generation_config.json] \
///     [chat_template.jinja] *.safetensors | LC_ALL=C sort | sha256sum
/// ```
///
/// A file in brackets counts if it exists. Other files (licences, readmes, weights in other formats) do not count.
pub fn of_folder(folder: &Path) -> Result<String, SourceError> {
    let lacks = |what: &str| SourceError::NotAModel {
        path: folder.to_owned(),
        reason: format!("the folder has no {what}; a model folder needs config.json, tokenizer.json and *.safetensors"),
    };
    if let Some(reason) = recognise::adapter_in(folder) {
        return Err(SourceError::NotAModel {
            path: folder.to_owned(),
            reason,
        });
    }
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| SourceError::io("read", folder, e))? {
        let entry = entry.map_err(|e| SourceError::io("read", folder, e))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // `is_file` of the path follows symbolic links, as the hub's cache requires.
        let counts = IDENTITY_FILES.contains(&name.as_str()) || name.ends_with(".safetensors");
        if counts && entry.path().is_file() {
            names.push(name);
        }
    }
    for needed in &IDENTITY_FILES[..2] {
        if !names.iter().any(|name| name == needed) {
            return Err(lacks(needed));
        }
    }
    if !names.iter().any(|name| name.ends_with(".safetensors")) {
        return Err(lacks("*.safetensors"));
    }

    let mut lines = Vec::new();
    for name in names {
        let path = folder.join(&name);
        lines.push(format!(
            "{}  {name}\n",
            of_file(&path).map_err(|e| SourceError::io("read", &path, e))?
        ));
    }
    lines.sort();
    Ok(lower_hex(&Sha256::digest(lines.concat())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_digest_is_that_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(
            of_file(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn folder_digest_covers_what_the_model_computes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("config.json", "{}");
        assert!(
            of_folder(folder.path())
                .unwrap_err()
                .to_string()
                .contains("no tokenizer.json")
        );
        write("tokenizer.json", "{}");
        assert!(
            of_folder(folder.path())
                .unwrap_err()
                .to_string()
                .contains("no *.safetensors")
        );
        write("model.safetensors", "abc");
        let digest = of_folder(folder.path()).unwrap();
        // From the command in the documentation above.
        assert_eq!(
            digest,
            "c8e66c6af8bc1f58e55c90374719be2532f23e3d5273e6fbdd53158e3f54352f"
        );
        write("README.md", "words");
        assert_eq!(of_folder(folder.path()).unwrap(), digest);
        let mut known = vec![digest];
        for file in &IDENTITY_FILES[2..] {
            write(file, "{}");
            let digest = of_folder(folder.path()).unwrap();
            assert!(!known.contains(&digest), "{file}");
            known.push(digest);
        }
    }
}

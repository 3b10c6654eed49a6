//! Programs that tests put in the place of others.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program through another process. Written from here, it could be held open by a process that another test
/// starts at that moment, and could then not be run ("text file busy").
pub fn write_program(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

//! `whowrote batch` on a disk without room.

use crate::quick::batch::{batch, jsonl, path, said, texts, timeless};
use std::path::Path;
use std::process::Command;

/// A file system of 256 KiB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder.path());
        assert!(
            mount.status().unwrap().success(),
            "this user may not mount a file system"
        );
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "mounts a file system, which takes root"]
fn a_full_disk_ends_in_a_sentence_and_room_lets_it_go_on() {
    let disk = SmallDisk::mount();
    let folder = tempfile::tempdir().unwrap();
    let (input, reference) = (folder.path().join("in.jsonl"), folder.path().join("reference.jsonl"));
    let output = disk.0.path().join("out.jsonl");
    std::fs::write(&input, jsonl(&texts(400))).unwrap();
    said(&mut batch(&[path(&input), "-q", "-o", path(&reference)]), 0);
    for _ in 0..2 {
        let (_, err) = said(&mut batch(&[path(&input), "-q", "-o", path(&output)]), 2);
        assert!(err.contains("make room and run the same command again"), "{err}");
    }
    let room = Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(disk.0.path())
        .status();
    assert!(room.unwrap().success());
    said(&mut batch(&[path(&input), "-q", "-o", path(&output)]), 0);
    let read = |path: &Path| timeless(&std::fs::read_to_string(path).unwrap());
    assert_eq!(read(&output), read(&reference));
}

//! Tests that take other programs, or rights that not every user has.

mod pre_commit;
#[cfg(target_os = "linux")]
mod small_disk;
mod spark;

//! All unsafe code of the crate: memory maps, and CPU kernels where a benchmark shows that they pay.

use memmap2::{Mmap, UncheckedAdvice};
use std::fs::File;
use std::ops::Range;

/// Maps a file, read-only.
pub(super) fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read, as bytes. Should another process shorten the file meanwhile, the system ends this
    // one with a bus error; models are installed by rename and never written in place, so that takes a user who
    // overwrites a model while it runs.
    unsafe { Mmap::map(file) }
}

/// Lets the pages of a range leave resident memory; they are read from the file again if touched.
pub(super) fn release_pages(map: &Mmap, range: Range<usize>) {
    // SAFETY: the map is a read-only view of a file, so dropped pages come back with the same content.
    // The result is advice: a system that does not take it only uses more memory.
    let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
}

//! Where the bytes of a changed text stood in the text as it came.

/// A map from byte offsets of a text to byte offsets of the text that it was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetMap {
    /// Pairs of byte offsets, here and there, where the distance between the two changes. Both ascend.
    anchors: Vec<(usize, usize)>,
}

impl OffsetMap {
    /// Maps a byte offset.
    ///
    /// The map never descends. It takes 0 to the first character that was kept, and the end to the end.
    pub fn original(&self, offset: usize) -> usize {
        let next = self.anchors.partition_point(|&(here, _)| here <= offset);
        let limit = self
            .anchors
            .get(next)
            .or(self.anchors.last())
            .map_or(offset, |&(_, there)| there);
        match next.checked_sub(1).and_then(|last| self.anchors.get(last)) {
            Some(&(here, there)) => (there + (offset - here)).min(limit),
            None => limit,
        }
    }

    /// Notes that the bytes from `here` on stood at `there`. Both ascend from call to call; the last call is for the
    /// ends of the two texts.
    pub(crate) fn push(&mut self, here: usize, there: usize) {
        // The distance wraps inside a ligature of three letters, which all come from one place.
        let distance = |&(here, there): &(usize, usize)| there.wrapping_sub(here);
        if self.anchors.last().map(distance) != Some(distance(&(here, there))) {
            self.anchors.push((here, there));
        }
    }

    /// Adds the map of a part, which begins at `here` and stood at `there`.
    pub(crate) fn append(&mut self, part: &Self, here: usize, there: usize) {
        for &(part_here, part_there) in &part.anchors {
            self.push(here + part_here, there + part_there);
        }
    }

    /// Notes the ends of the two texts.
    pub(crate) fn end(&mut self, here: usize, there: usize) {
        self.anchors.push((here, there));
    }
}

//! The default models as authors.

use whowrote::model::Family;
use whowrote::verdict::{AuthorSet, Candidate};

/// Each model as an author of its own name, the first in set A and the second in set B.
pub fn candidates(models: [&str; 2], decoding: &Family) -> Vec<Candidate> {
    let with_sets = models.iter().zip([AuthorSet::A, AuthorSet::B]);
    with_sets
        .map(|(name, set)| Candidate {
            author: (*name).to_owned(),
            set,
            model: (*name).to_owned(),
            decoding: decoding.clone(),
        })
        .collect()
}

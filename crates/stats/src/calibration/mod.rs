//! Calibrations: features of texts by known authors, for comparison with a text by an unknown author.
//!
//! A calibration holds no text. For each text and each length of [`LENGTHS`] it holds the [`TextFeatures`] under every
//! model that scored the text. [`Calibrations`] computes scores from these features when a text is judged, for any subset
//! of the models. `whowrote calibrate` writes calibrations; those of the default models are compiled in.
//!
//! [`LENGTHS`]: crate::conformal_scores::LENGTHS

mod built_in;
mod comparison;
mod file;
pub mod probe;

pub use built_in::built_in;
pub use comparison::{Calibrations, Comparison, Conformal, Member};
pub use file::CalibrationError;

use crate::conformal::confident_p;
use crate::conformal_scores::{TextFeatures, is_probed};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The author of a calibration of human-written texts.
pub const HUMAN: &str = "human";

/// A group with texts of a length in fewer documents is not used at that length: with 19 documents the least p-value is
/// 0.05.
pub const LEAST_DOCUMENTS: usize = 19;

/// The least conformal p-value with this many documents; with a confidence, the least [`confident_p`].
pub fn least_p_value(documents: usize, confidence: Option<f64>) -> f64 {
    let least = 1.0 / (documents as f64 + 1.0);
    confidence.map_or(least, |confidence| confident_p(least, documents, confidence))
}

/// How many documents of a group must have texts of a length for its author to be excluded at a level, by
/// [`least_p_value`]; at least [`LEAST_DOCUMENTS`].
pub fn least_documents(alpha: f64, confidence: Option<f64>) -> usize {
    let by_mean = 1.0 / alpha - 1.0;
    // With one document too few, P(Beta(1, n) > alpha) = (1 - alpha)^n is more than 1 - confidence.
    let needed = confidence.map_or(by_mean, |confidence| {
        by_mean.max((-confidence).ln_1p() / (-alpha).ln_1p())
    });
    // 1/0.05 may be 20 and a rounding error.
    ((needed - 1e-9).ceil() as usize).max(LEAST_DOCUMENTS)
}

/// A model whose features of texts a calibration holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibratedModel {
    /// The model's name.
    pub name: String,
    /// SHA-256 of its file, lower-case hexadecimal.
    pub sha256: String,
    /// What the model is assumed to have been asked; none for a model that does not hold conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Where in its text a piece stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// At its beginning.
    Beginning,
    /// After another piece.
    Later,
    /// The piece is the whole text, and that ends before the longest of [`LENGTHS`](crate::conformal_scores::LENGTHS).
    Whole,
}

impl Place {
    /// The number of places.
    const COUNT: usize = 3;
}

/// Texts of one kind: a genre of human-written texts, or one way of sampling from a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The group's name in verdicts.
    pub name: String,
    /// Where its texts stand in what the author wrote; none if they are from anywhere.
    pub place: Option<Place>,
    /// Where the texts come from.
    pub source: String,
    /// The licence of the texts.
    pub licence: String,
    /// When they were written.
    pub date: String,
    /// The texts.
    pub texts: Vec<KnownText>,
}

/// A text whose author is known: its figures, without any of its words.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownText {
    /// The text's name at its source.
    pub id: String,
    /// The name of the document that it comes from, or of the prompt that it answers. A name means the same document in
    /// every group and every calibration. Texts of one document resemble each other.
    pub document: String,
    /// For each of [`LENGTHS`](crate::conformal_scores::LENGTHS) that it reaches, its features under the calibration's models.
    pub features: Vec<Vec<TextFeatures>>,
}

/// Features of texts whose author is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The author of all of the texts; [`HUMAN`] for people.
    pub author: String,
    /// The name of the family of decodings under which the features were computed.
    pub family: String,
    /// The models that scored the texts.
    pub models: Vec<CalibratedModel>,
    /// The texts, by kind.
    pub groups: Vec<Group>,
}

impl Calibration {
    /// The models that scored the calibration's texts: for each, its index here and its index in [`Self::models`]. A
    /// model with the same name but another file, or another request, is another model.
    pub fn shared(&self, models: &[CalibratedModel]) -> Vec<(usize, usize)> {
        let column = |wanted: &CalibratedModel| self.models.iter().position(|model| model == wanted);
        let columns = models.iter().enumerate();
        columns.filter_map(|(i, model)| Some((i, column(model)?))).collect()
    }

    /// The calibration with one group only; none if it has no such group.
    pub fn only(&self, group: &str) -> Option<Self> {
        let group = self.groups.iter().find(|known| known.name == group)?;
        Some(Self {
            author: self.author.clone(),
            family: self.family.clone(),
            models: self.models.clone(),
            groups: vec![group.clone()],
        })
    }

    /// Whether it has texts to compare a piece at this place with. Texts that end early are not enough for a short text, which
    /// may be a beginning.
    pub fn covers(&self, place: Place) -> bool {
        let needed = if place == Place::Whole { Place::Beginning } else { place };
        self.groups_at(needed).next().is_some()
    }

    /// The groups that a piece at this place is compared with.
    pub fn groups_at(&self, place: Place) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| group.covers(place))
    }

    /// The number of documents with texts of a length, in the group that has fewest.
    pub fn fewest(&self, class: usize, place: Place) -> usize {
        let documents = self.groups_at(place).map(|group| group.documents(class));
        documents.min().unwrap_or(0)
    }

    /// How many of them a fitted score is compared with: those that are not part of the fit.
    pub fn fewest_compared(&self, class: usize, place: Place) -> usize {
        let documents = self
            .groups_at(place)
            .map(|group| group.documents_that(class, |name| !is_for_fit(name)));
        documents.min().unwrap_or(0)
    }

    /// The features of all texts of a length, in all groups of a place; or of those that are part of the fit.
    pub fn features_at(&self, class: usize, place: Place, of_fit: bool) -> impl Iterator<Item = &Vec<TextFeatures>> {
        let texts = self.groups_at(place).flat_map(|group| &group.texts);
        let texts = texts.filter(move |text| !of_fit || is_for_fit(&text.document));
        texts.filter_map(move |text| text.features.get(class))
    }
}

impl Group {
    /// Whether a piece at this place is compared with its texts. Nobody knows whether a short text is all that its author
    /// wrote, so it is also compared with the beginnings of longer texts.
    pub fn covers(&self, place: Place) -> bool {
        let begins = place == Place::Whole && self.place == Some(Place::Beginning);
        begins || self.place.is_none_or(|own| own == place)
    }

    /// The texts that reach a length, each with its place.
    fn texts_reaching(&self, class: usize) -> impl Iterator<Item = (usize, &KnownText)> {
        let texts = self.texts.iter().enumerate();
        texts.filter(move |(_, text)| text.features.len() > class)
    }

    /// The number of texts that reach a length.
    pub fn reaching(&self, class: usize) -> usize {
        self.texts_reaching(class).count()
    }

    /// The number of documents with texts that reach a length.
    pub fn documents(&self, class: usize) -> usize {
        self.documents_that(class, |_| true)
    }

    /// The number of documents with texts that reach a length and names that meet a condition.
    fn documents_that(&self, class: usize, meets: impl Fn(&str) -> bool) -> usize {
        let documents = self.texts_reaching(class).map(|(_, text)| text.document.as_str());
        let documents: HashSet<&str> = documents.filter(|name| meets(name)).collect();
        documents.len()
    }
}

impl KnownText {
    /// Whether the probe has read it, at a length that it reaches.
    fn is_probed(&self, class: usize) -> bool {
        is_probed(&self.features[class])
    }

    /// The features of a length that the text reaches, under the models in `columns`.
    fn at(&self, class: usize, columns: &[usize]) -> Vec<TextFeatures> {
        columns.iter().map(|&column| self.features[class][column]).collect()
    }
}

/// Of how many documents one is part of the fit of a score. The others are what the score of a text is compared with.
/// Chosen by measured power on texts of the calibrations (docs/VALIDITY.md).
const ONE_IN: u64 = 3;

/// Whether the texts of this document are part of the fit of a score, whoever wrote them. Nothing but the name decides.
pub fn is_for_fit(document: &str) -> bool {
    // FNV-1a spreads names over the integers, and one step of a generator mixes them.
    let hash = document.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    random(hash).is_multiple_of(ONE_IN)
}

/// A number that looks random: one step of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, *Fast splittable pseudorandom
/// number generators*, OOPSLA 2014).
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

//! Calibrations: what texts of known authors scored, so that a text of an unknown author can be held against them.
//!
//! A calibration holds no text: for each text and each length of [`LENGTHS`] the [`Account`] under every model
//! that scored it. Scores of any subset of these models are made from it when it is used, by the functions that make
//! the score of the text at hand. It is written by `whowrote calibrate`; those of the default models are compiled in.

mod built_in;
mod file;

pub use built_in::built_in;
pub use file::CalibrationError;

use crate::model::LanguageModel;
use crate::model::chat::GENERIC_REQUEST;
use crate::stats::attribution::{Account, LENGTHS};
use crate::stats::conformal;
use serde::{Deserialize, Serialize};

/// The author that a calibration of people's texts is for.
pub const HUMAN: &str = "human";

/// Groups with fewer texts of a length say nothing at that length: with 19 the least p-value is 0.05.
pub const LEAST_TEXTS: usize = 19;

/// A model whose accounts of texts a calibration holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibratedModel {
    /// The model's name.
    pub name: String,
    /// SHA-256 of its file, lower-case hexadecimal.
    pub sha256: String,
    /// What it was taken to have been asked; none for a model that holds no conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl CalibratedModel {
    /// A loaded model, as it scores a text whose prompt nobody knows.
    pub fn new(model: &LanguageModel, sha256: &str) -> Self {
        Self {
            name: model.name().to_owned(),
            sha256: sha256.to_owned(),
            request: model.chat_template().map(|_| GENERIC_REQUEST.to_owned()),
        }
    }
}

/// Texts of one kind: a genre of people's texts, or one way of sampling from a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What the verdict calls it.
    pub name: String,
    /// Where the texts come from.
    pub source: String,
    /// The licence that they came under.
    pub licence: String,
    /// When they were written.
    pub date: String,
    /// The texts.
    pub texts: Vec<KnownText>,
}

/// A text whose author is known: its figures, without a word of it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownText {
    /// What it is called where it comes from.
    pub id: String,
    /// For each of [`LENGTHS`] that it reaches, the accounts of the calibration's models.
    pub accounts: Vec<Vec<Account>>,
}

/// Scores of texts whose author is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The name of the author who wrote all of the texts; [`HUMAN`] for people.
    pub author: String,
    /// The name of the family of decodings under which the models' accounts were made.
    pub family: String,
    /// The models that scored the texts.
    pub models: Vec<CalibratedModel>,
    /// The texts, by kind.
    pub groups: Vec<Group>,
}

/// What a calibration says of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Conformal {
    /// The greatest of the groups' p-values.
    pub p_value: f64,
    /// The text's first score, standard deviations of its surprisal; low scores speak against the author.
    pub score: f64,
    /// By this score alone the author is ruled out below this; minus infinity where no score would do.
    pub threshold: f64,
    /// The words that the text was cut to.
    pub words: usize,
    /// The calibration texts of that length, all groups together.
    pub texts: usize,
    /// The name of the group that comes nearest to the text.
    pub group: String,
}

impl Calibration {
    /// Which of these models scored the calibration's texts: the index of each that did, and where it stands in
    /// [`Self::models`]. A model of the same name with another file, or asked something else, is another model.
    pub fn shared(&self, models: &[CalibratedModel]) -> Vec<(usize, usize)> {
        let column = |wanted: &CalibratedModel| self.models.iter().position(|model| model == wanted);
        let columns = models.iter().enumerate();
        columns.filter_map(|(i, model)| Some((i, column(model)?))).collect()
    }

    /// The index into [`LENGTHS`] of the greatest length, of those that a text reaches, at which every group still has
    /// [`LEAST_TEXTS`] texts.
    pub fn length_class(&self, reached: usize) -> Option<usize> {
        let covered = |class: &usize| {
            !self.groups.is_empty() && self.groups.iter().all(|group| group.reaching(*class) >= LEAST_TEXTS)
        };
        (0..reached.min(LENGTHS.len())).rev().find(covered)
    }

    /// The accounts of all texts of a length, whatever their group.
    pub fn accounts_at(&self, class: usize) -> impl Iterator<Item = &Vec<Account>> {
        let texts = self.groups.iter().flat_map(|group| &group.texts);
        texts.filter_map(move |text| text.accounts.get(class))
    }

    /// The conformal p-value of a text, given the accounts of the models in `columns` at every length that it reaches,
    /// in the order of `columns`. None where the text is shorter than every length that the groups cover.
    ///
    /// `scores` makes one or several scores of each of some texts, low where the author is unlikely, by a rule that does not
    /// depend on the order in which the texts come.
    pub fn judge(
        &self,
        columns: &[usize],
        text: &[Vec<Account>],
        scores: impl Fn(&[Vec<Account>]) -> Vec<Vec<f64>>,
        alpha: f64,
    ) -> Option<Conformal> {
        let class = self.length_class(text.len())?;
        let mut threshold = f64::INFINITY;
        let mut own = f64::NAN;
        let mut texts = 0;
        let mut p_values = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mut all = group.at(class, columns);
            texts += all.len();
            all.push(text[class].clone());
            let mut scores = scores(&all);
            p_values.push(conformal::p_of_low_jointly(&scores));
            let first = scores.swap_remove(0);
            let (score, others) = first.split_last()?;
            own = *score;
            threshold = threshold.min(conformal::threshold_of_low(others, alpha));
        }
        let (p_value, nearest) = conformal::greatest(&p_values);
        Some(Conformal {
            p_value,
            score: own,
            threshold,
            words: LENGTHS[class],
            texts,
            group: nearest.map_or_else(String::new, |i| self.groups[i].name.clone()),
        })
    }
}

impl Group {
    /// The number of texts that reach a length.
    pub fn reaching(&self, class: usize) -> usize {
        self.texts.iter().filter(|text| text.accounts.len() > class).count()
    }

    /// What the models in `columns` make of the texts that reach a length.
    fn at(&self, class: usize, columns: &[usize]) -> Vec<Vec<Account>> {
        let reaching = self.texts.iter().filter_map(|text| text.accounts.get(class));
        reaching
            .map(|models| columns.iter().map(|&column| models[column]).collect())
            .collect()
    }
}

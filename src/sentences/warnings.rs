//! Warnings in words, and as they stand in JSON.

use super::verdicts::{author_name, list};
use crate::report::{Answer, CalibrationUnused, Warning};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use whowrote_input::disguise::DisguiseKind;
use whowrote_input::printable;
use whowrote_stats::verdict::{Caveat, HumanUntested, Outside, OutsideDomain, TooShort, Verdict};

impl Serialize for Warning {
    /// A code for programs and a message for readers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Warning", 2)?;
        fields.serialize_field("code", &self.code())?;
        fields.serialize_field("message", &warning(self))?;
        fields.end()
    }
}

/// A warning in one or more sentences.
pub fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Decision(caveat) => self::caveat(caveat),
        Warning::LongText { model, tokens, room } => format!(
            "The text has {tokens} tokens, and {model} read it in parts of {room} tokens, each with the end of the \
             part before it. An author that saw more of the text while writing is judged a little too strictly."
        ),
        Warning::CalibrationUnused { file, why } => {
            format!(
                "The calibration `{file}` is not used for this verdict: {}.",
                unused(why)
            )
        }
        Warning::Disguised {
            kinds,
            first,
            otherwise,
        } => {
            let counts: Vec<String> = kinds
                .iter()
                .map(|(&kind, count)| format!("{count} {}", plural(kind)))
                .collect();
            let otherwise = match otherwise {
                None => "They do not change the verdict.".to_owned(),
                Some(other) => format!("With them, the verdict would have been: {}.", answer(other)),
            };
            format!(
                "The text contains characters that look normal to a reader but not to a model: {}, the first at byte \
                 {} ({}). They were removed before the text was read. {otherwise}",
                counts.join(", "),
                first.start,
                first.found.split(' ').next().unwrap_or_default(),
            )
        }
        Warning::Misspelt {
            count,
            first,
            otherwise,
        } => {
            let otherwise = match otherwise {
                None => "With them corrected, the verdict is the same.".to_owned(),
                Some(other) => format!("With them corrected, the verdict would be: {}.", answer(other)),
            };
            format!(
                "{count} of the words that were read are misspelt, the first \"{}\" (\"{}\"). People misspell words, \
                 models hardly ever do, and anyone can add mistakes to what a model wrote. {otherwise}",
                first.found, first.meant,
            )
        }
        Warning::Unreadable(reason) => reason.clone(),
        Warning::Unscored(reason) => format!("The text could not be scored: {reason}."),
    }
}

fn caveat(caveat: &Caveat) -> String {
    match caveat {
        Caveat::RatioVoid(reason) => {
            format!("The models could not be compared with one another on this text: {reason}.")
        }
        Caveat::Untested { authors } => format!(
            "None of the chosen tests applies to {}. The entropy gap needs one temperature without truncation \
             (--decoding temperature=1), the cross-entropy needs that and a second model of the same vocabulary, and \
             the likelihood ratio needs a second model or a truncation.",
            authors.join(" and ")
        ),
        Caveat::Uncalibrated { authors } => format!(
            "{} cannot be tested: the prompt is not known, and there is no calibration for it with the loaded \
             models. Give the prompt with --prompt, or texts of this author to `whowrote calibrate`.",
            authors.join(" and ")
        ),
        Caveat::ReadByOthers { authors } => format!(
            "{} cannot be tested: no calibration of this author's texts is by the loaded models. Load the models that read \
             them, with --models, or calibrate again with these.",
            authors.join(" and ")
        ),
        Caveat::ReadByFewer { authors } => {
            let names: Vec<String> = authors.iter().map(|author| author_name(author)).collect();
            format!(
                "No score is fitted to the texts of all authors, so fewer of them can be excluded: the calibration of {} lacks a \
                 model that the others' texts were read by. Calibrate again with the same models (`calibrate --model`).",
                list(&names, "and")
            )
        }
        Caveat::SmallCalibration {
            author,
            confidence: Some(confidence),
            needed,
            fewest,
            ..
        } if fewest >= needed => format!(
            "Nothing can exclude {} with a confidence of {confidence}. This needs a score that is fitted to texts of every \
             author in question, and one of them has no calibration with texts this long by the same models.",
            author_name(author)
        ),
        Caveat::SmallCalibration {
            author,
            level,
            confidence: Some(confidence),
            needed,
            fewest,
        } => format!(
            "Nothing can exclude {} at the level of {level} with a confidence of {confidence}. Each group of its \
             calibration would need {needed} documents or prompts for comparison, besides those of the fit, and one group \
             has {fewest}.",
            author_name(author)
        ),
        Caveat::SmallCalibration {
            author,
            level,
            confidence: None,
            needed,
            fewest,
        } => format!(
            "Nothing can exclude {} at the level of {level}. Each group of its calibration would need texts this \
             long from {needed} documents or prompts, and one group has {fewest}. Choose a higher level, or add \
             texts to the calibration with `whowrote calibrate`.",
            author_name(author)
        ),
        Caveat::HumanUntested(why) => {
            let why = match why {
                HumanUntested::OutsideCalibration => "no calibration contains human-written texts of this kind.",
                HumanUntested::NoCalibration => {
                    "there is no calibration of human-written texts with the models that are loaded. `whowrote \
                     calibrate --author human` makes one."
                }
            };
            format!("Nothing tests whether a person wrote the text, so a person is never excluded: {why}")
        }
        Caveat::Outside(outside) => format!(
            "{} The calibration texts are ordinary English prose, so nothing is concluded from them here.",
            self::outside(outside)
        ),
        Caveat::PiecesOutside {
            outside,
            pieces,
            models_untested,
        } => {
            let models = if *models_untested {
                " Models are judged by the first piece, which is one of them, so no model is tested."
            } else {
                ""
            };
            let (are, them) = if *outside == 1 { ("is", "it") } else { ("are", "them") };
            format!(
                "{outside} of the {pieces} pieces {are} not like the calibration texts, which are ordinary English prose. \
                 Nothing is concluded from {them}.{models}"
            )
        }
        Caveat::Memorised { models } => format!(
            "A part of the text is so predictable to {} that it may be a well-known text. Such a text looks \
             machine-made to every model that knows it by heart, so it does not exclude a person. Search for it before \
             you conclude anything.",
            models.join(" and ")
        ),
        Caveat::Repeats => {
            "The text mostly repeats itself. Repetition looks machine-made to every model, whoever wrote it, so it does not \
             exclude a person. Do not conclude anything from it."
                .to_owned()
        }
        Caveat::TooShort(TooShort::NoTokens) => "The text is too short: no model could score a token of it.".to_owned(),
        Caveat::TooShort(TooShort::FewWords { words, least }) => {
            format!("The text has {words} words, and the shortest calibration texts have {least}. Use a longer text.")
        }
        Caveat::TooShort(TooShort::FewTokens { scored, needed }) => format!(
            "The text has {scored} scored tokens. On such a text the entropy gap cannot decide with fewer than \
             {needed}, and the likelihood ratio seldom can. Use a longer text."
        ),
    }
}

/// Why no calibration covers a text, in one sentence.
fn outside(outside: &Outside) -> String {
    match outside {
        Outside::Domain(OutsideDomain::Script(script)) => format!("The text is written in {} script.", script.name()),
        Outside::Domain(OutsideDomain::Language(language)) => {
            format!("The text is in {}, not in English.", language.eng_name())
        }
        Outside::Domain(OutsideDomain::Code) => {
            "The text looks like program code or markup, not like prose.".to_owned()
        }
        Outside::Domain(OutsideDomain::Table) => "Most lines of the text are rows of a table.".to_owned(),
        Outside::Domain(OutsideDomain::Figures) => "The text is mostly figures and signs, not prose.".to_owned(),
        Outside::Easier { model } => predictable("easier", model),
        Outside::Harder { model } => predictable("harder", model),
    }
}

fn predictable(than: &str, model: &str) -> String {
    format!(
        "The text is {than} for {model} to predict than every calibration text. Text that repeats itself or says \
         nothing is often like that."
    )
}

fn unused(why: &CalibrationUnused) -> String {
    match why {
        CalibrationUnused::AuthorNotConsidered { author } => {
            format!("{} is not among the authors considered here", printable(author))
        }
        CalibrationUnused::OtherFamily {
            made_for,
            author,
            judged_as,
        } => format!(
            "it was made for `{}`, and {} is judged as `{}`",
            printable(made_for),
            printable(author),
            judged_as.join("`, `")
        ),
        CalibrationUnused::OtherModels => {
            "its texts were scored by other models than the loaded ones, or after another request".to_owned()
        }
    }
}

fn answer(answer: &Answer) -> String {
    let names: Vec<String> = answer.authors.iter().map(|author| author_name(author)).collect();
    match answer.verdict {
        Verdict::Unable => "it cannot be judged".to_owned(),
        Verdict::Unknown => "an unknown author".to_owned(),
        Verdict::Attributed | Verdict::Undecided => list(&names, "or"),
    }
}

fn plural(kind: DisguiseKind) -> &'static str {
    match kind {
        DisguiseKind::Homoglyph => "look-alike letters",
        DisguiseKind::StyledLetter => "styled letters",
        DisguiseKind::Ligature => "ligatures",
        DisguiseKind::ZeroWidth => "zero-width characters",
        DisguiseKind::VariationSelector => "variation selectors",
        DisguiseKind::Tag => "tag characters",
        DisguiseKind::BidiControl => "text direction controls",
        DisguiseKind::OddSpace => "odd spaces",
        DisguiseKind::CombiningMark => "stacks of combining marks",
        DisguiseKind::SoftHyphen => "soft hyphens",
    }
}

//! Whether a text is of the kind that calibrations cover: English prose.

use whatlang::{Lang, Script};

/// A text with a smaller share of letters, white space aside, is figures or symbols. English prose has 0.93 to 0.97.
const LEAST_LETTERS: f64 = 0.8;
/// A text with a greater share of signs that prose does not use is code. Prose has less than 0.01.
const MOST_SIGNS: f64 = 0.04;
/// A text with a greater share of table rows among its lines is a table.
const MOST_ROWS: f64 = 0.5;
/// The language of a text with fewer letters is not determined.
const LEAST_FOR_LANGUAGE: usize = 60;

/// What a text alone shows of its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DomainCheck {
    /// Share of letters, white space aside; 1 if there is nothing else.
    pub letters: f64,
    /// Share of signs that only code has.
    pub signs: f64,
    /// Share of lines that are rows of a table.
    pub rows: f64,
    /// The language, if the text is long enough and the answer is clear.
    pub language: Option<Lang>,
    /// The script that most letters are in.
    pub script: Option<Script>,
}

impl DomainCheck {
    /// Checks a text.
    pub fn of(text: &str) -> Self {
        let (mut visible, mut letters, mut signs) = (0usize, 0usize, 0usize);
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            visible += 1;
            letters += usize::from(c.is_alphabetic());
            signs += usize::from("{}[]<>=_\\|#$&^~`@*+".contains(c));
        }
        let share = |n: usize| if visible == 0 { 0.0 } else { n as f64 / visible as f64 };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let rows = lines.iter().filter(|line| is_row(line)).count();
        let told = whatlang::detect(text).filter(|_| letters >= LEAST_FOR_LANGUAGE);
        Self {
            letters: if visible == 0 { 1.0 } else { share(letters) },
            signs: share(signs),
            rows: if lines.len() < 3 {
                0.0
            } else {
                rows as f64 / lines.len() as f64
            },
            language: told.filter(whatlang::Info::is_reliable).map(|info| info.lang()),
            script: whatlang::detect_script(text),
        }
    }

    /// Why a calibration of English prose does not cover the text; none if it does.
    pub fn outside(&self) -> Option<OutsideDomain> {
        if let Some(script) = self.script.filter(|&script| script != Script::Latin) {
            return Some(OutsideDomain::Script(script));
        }
        if let Some(language) = self.language.filter(|&language| language != Lang::Eng) {
            return Some(OutsideDomain::Language(language));
        }
        if self.signs > MOST_SIGNS {
            return Some(OutsideDomain::Code);
        }
        if self.rows > MOST_ROWS {
            return Some(OutsideDomain::Table);
        }
        (self.letters < LEAST_LETTERS).then_some(OutsideDomain::Figures)
    }
}

/// A kind of text that is not English prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsideDomain {
    /// Most letters are of another script than Latin.
    Script(Script),
    /// Another language than English.
    Language(Lang),
    /// Program code or markup.
    Code,
    /// Most lines are rows of a table.
    Table,
    /// Mostly figures and signs.
    Figures,
}

/// Tabs, bars or several spaces separate columns.
fn is_row(line: &str) -> bool {
    let gaps = line.trim().split("   ").filter(|cell| !cell.trim().is_empty()).count();
    line.matches('\t').count() >= 2 || line.matches('|').count() >= 2 || gaps >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(text: &str) -> Option<OutsideDomain> {
        DomainCheck::of(text).outside()
    }

    #[test]
    fn english_prose_is_inside() {
        for text in [
            "The committee met on Tuesday, 14 March, and agreed (by 12 votes to 3) that the bridge should be repaired \
             before winter; \"it cannot wait\", said the mayor, who had walked across it that morning.",
            "Dear Anna,\n\nthanks for the letter. We arrived at 6:30 and the house was cold - again!\n\nLove, M.",
            "Too short",
            "",
        ] {
            assert_eq!(outside(text), None, "{text}");
        }
    }

    #[test]
    fn other_kinds_of_text_are_named() {
        let german = "Die Kommission hat gestern beschlossen, dass die alte Brücke noch vor dem Winter erneuert \
                      werden soll, weil sie den Verkehr nicht mehr lange tragen kann.";
        assert_eq!(outside(german), Some(OutsideDomain::Language(Lang::Deu)));
        let russian = "Комиссия вчера решила, что старый мост нужно отремонтировать до наступления зимы.";
        assert_eq!(outside(russian), Some(OutsideDomain::Script(Script::Cyrillic)));
        let code =
            "fn main() {\n    let x: Vec<_> = (0..3).map(|i| i * 2).collect();\n    println!(\"{:?}\", x[0]);\n}\n";
        assert_eq!(outside(code), Some(OutsideDomain::Code));
        let table = "year\tsold\treturned\n1998\tmany\tfew\n1999\tsome\tnone\n2000\tmore\tless\n";
        assert_eq!(outside(table), Some(OutsideDomain::Table));
        let figures = "12.5 13.7 88.1 90.2 14.5 77.1 (3) 12.5 13.7 88.1 90.2 14.5 77.1 (3) total 12.5 13.7";
        assert_eq!(outside(figures), Some(OutsideDomain::Figures));
        assert_eq!(outside("!!! ??? ... \n"), Some(OutsideDomain::Figures));
    }
}

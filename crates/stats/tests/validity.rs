//! How often verdicts are right where the prompt is unknown: the built-in calibrations against scores of texts that
//! answer other prompts and stand in other documents. `calibration/make` makes both from seeds, and this test the
//! tables of docs/VALIDITY.md: with UPDATE_VALIDITY=1 in the environment it writes them there.

#[path = "../../../tests/common/document.rs"]
mod document;
#[path = "common/held_out.rs"]
mod held_out;

use document::{documented, share};
use held_out::{ALPHA_HUMAN, Defaults, NEAR_TWINS, cut, held_out};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::RangeInclusive;
use whowrote_stats::calibration::{Calibration, Group, HUMAN, KnownText, Place, built_in};
use whowrote_stats::clopper_pearson;
use whowrote_stats::conformal_scores::{LENGTHS, TextFeatures};
use whowrote_stats::roc::{Area, ScoredText, found_at};
use whowrote_stats::verdict::{ALPHA, Decision, decide_whole};

/// Decides on texts of one piece.
trait Decide {
    /// What the program decides of a text with these figures at every length that it reaches. Nobody tells it whether a short
    /// text was cut.
    fn decide(&self, text: &[Vec<TextFeatures>]) -> Decision;
}

impl Decide for Defaults {
    fn decide(&self, text: &[Vec<TextFeatures>]) -> Decision {
        let is_short = text.len() < LENGTHS.len();
        self.decide_piece(text, if is_short { Place::Whole } else { Place::Beginning }, 1)
    }
}

/// The lengths of the tables, words.
const WORDS: [usize; 3] = [40, 80, 150];

/// Scores of texts by models that are not loaded.
fn not_loaded() -> Calibration {
    Calibration::from_json(include_str!("validity/not-loaded.json"), "not loaded").unwrap()
}

/// What became of the texts of one row.
#[derive(Default)]
struct Row {
    texts: u64,
    alone: u64,
    retained: u64,
    wrong: u64,
    undecided: u64,
}

impl Row {
    fn add(&mut self, decision: &Decision, author: &str) {
        let left = &decision.authors;
        let retained = left.iter().any(|name| name == author);
        self.texts += 1;
        self.retained += u64::from(retained);
        self.alone += u64::from(retained && left.len() == 1);
        self.wrong += u64::from(!retained && left.len() == 1);
        self.undecided += u64::from(left.len() > 1);
    }

    /// The promise of a row: the true author is retained at a rate of at least 0.95, and 0.99 for people.
    fn assert_retained(&self, is_human: bool, name: &str) {
        let level = if is_human { ALPHA_HUMAN } else { ALPHA };
        assert!(
            clopper_pearson(self.retained, self.texts, 0.999).1 >= 1.0 - level,
            "{name}: retained in {} of {}",
            self.retained,
            self.texts
        );
    }

    fn cells(&self) -> String {
        let cell = |k| share(k, self.texts);
        [self.alone, self.retained, self.wrong, self.undecided]
            .map(cell)
            .join(" | ")
    }
}

/// The default settings, and the same with the level of the models for a person too.
struct Levels {
    strict: Defaults,
    lax: Defaults,
}

impl Levels {
    fn new(calibrations: Vec<Calibration>) -> Self {
        let mut lax = Defaults::new(calibrations.clone());
        lax.settings.alpha_human = ALPHA;
        Self {
            strict: Defaults::new(calibrations),
            lax,
        }
    }
}

/// What became of the hypothesis of a person, at its own level and at that of the models.
#[derive(Default)]
struct Person {
    strict: Row,
    lax: Row,
}

impl Person {
    /// The columns of [`Self::cells`].
    const HEAD: &str = "n | a person excluded at 0.01 | at 0.05 | loaded model alone left | with a person at 0.05";

    fn add(&mut self, levels: &Levels, text: &[Vec<TextFeatures>]) {
        self.strict.add(&levels.strict.decide(text), HUMAN);
        self.lax.add(&levels.lax.decide(text), HUMAN);
    }

    fn cells(&self) -> String {
        let of = self.strict.texts;
        let rows = [&self.strict, &self.lax];
        let shares = rows.map(|row| share(of - row.retained, of)).into_iter();
        let shares: Vec<String> = shares.chain(rows.map(|row| share(row.wrong, of))).collect();
        format!("{of} | {}", shares.join(" | "))
    }
}

/// The people's one among calibrations, or among scores of texts that calibrate nothing.
fn of_people(all: Vec<Calibration>) -> Calibration {
    all.into_iter().find(|known| known.author == HUMAN).unwrap()
}

/// What a row of a table is called: an author and a way of sampling, or people and a group of genres.
fn row_name(author: &str, group: &str) -> String {
    match author {
        HUMAN => format!("people: {group}"),
        model => format!("{model} {group}"),
    }
}

/// Of each document the first text that reaches a length, cut to it. Texts of one document are no independent trials.
fn one_of_each(group: &Group, words: usize) -> Vec<(&str, &[Vec<TextFeatures>])> {
    let mut known = BTreeSet::new();
    let texts = group
        .texts
        .iter()
        .filter_map(|text| Some((text.document.as_str(), cut(text, words)?)));
    texts.filter(|(document, _)| known.insert(*document)).collect()
}

/// Where a person's text comes from, so far as its document's name tells: one paper, one mailing list, one book, one manual,
/// one speaker. Problems of authorship have the same authors in all of their texts. Each text of Brown has its own source.
fn source(document: &str) -> &str {
    let names: Vec<&str> = document.splitn(3, '/').collect();
    let [_, collection, name] = names[..] else {
        return document;
    };
    match collection {
        "sotu" => name.rsplit('_').next().unwrap_or(name),
        "aaac" | "book" => name.get(..1).unwrap_or(name),
        "brown" => document,
        // The name of a file of pairs, and of the model in it.
        _ => collection.split('_').next().unwrap_or(collection),
    }
}

/// Scores of long texts in pieces: people's, models', and texts that both had a part in. `calibrate --pieces` names the
/// pieces, and leaves out those that are not English prose. If both had a part, the text's name ends in the places of the
/// model's words, as in `text@301-620`.
fn long_texts() -> Calibration {
    Calibration::from_json(include_str!("validity/long.json"), "long texts").unwrap()
}

/// Who wrote all of the long texts of a group; none if both had a part in them.
fn author_of_all(group: &Group) -> Option<&str> {
    let model = group.name.strip_prefix("model: ");
    model.or_else(|| (group.name == "people").then_some(HUMAN))
}

/// A piece of a long text: its place among how many, and the places of its words, from `ID#2/5 (words 151 to 312)`.
fn place(id: &str) -> (usize, usize, RangeInclusive<usize>) {
    let numbers: Vec<usize> = id
        .rsplit_once('#')
        .unwrap()
        .1
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    let [at, all, first, last] = numbers[..] else {
        panic!("{id}")
    };
    (at - 1, all, first..=last)
}

/// The places of a model's words in a text by both.
fn words_of_model(document: &str) -> Option<RangeInclusive<usize>> {
    let (first, last) = document.rsplit_once('@')?.1.split_once('-')?;
    Some(first.parse().unwrap()..=last.parse().unwrap())
}

/// A long text: who wrote it, if one author wrote all of it, and its pieces in their order; none for a piece that is not
/// English prose.
struct LongText<'a> {
    /// The places of a model's words, if a model wrote a part of a person's text.
    part: Option<RangeInclusive<usize>>,
    pieces: Vec<Option<&'a KnownText>>,
}

impl<'a> LongText<'a> {
    /// The texts of a group.
    fn of(group: &'a Group) -> Vec<Self> {
        let mut texts: BTreeMap<&str, Vec<&KnownText>> = BTreeMap::new();
        for piece in &group.texts {
            texts.entry(&piece.document).or_default().push(piece);
        }
        texts.retain(|document, _| !document.split('/').any(|part| NEAR_TWINS.contains(&part)));
        let texts = texts.into_iter().map(|(document, known)| {
            let (_, all, _) = place(&known[0].id);
            let mut pieces = vec![None; all];
            for piece in known {
                pieces[place(&piece.id).0] = Some(piece);
            }
            let part = words_of_model(document);
            Self { part, pieces }
        });
        texts.collect()
    }

    /// How many words of a piece the model wrote that wrote a part of the text, and how many it has.
    fn words(&self, piece: usize) -> (usize, usize) {
        let Some(piece) = self.pieces[piece] else { return (0, 0) };
        let (_, _, words) = place(&piece.id);
        let of_model = self.part.as_ref().map_or(0, |part| {
            (1 + *words.end().min(part.end())).saturating_sub(*words.start().max(part.start()))
        });
        (of_model, words.count())
    }
}

/// Whether the evidence excludes an author.
fn is_excluded(decision: &Decision, author: &str) -> bool {
    let mut hypotheses = decision.hypotheses.iter();
    hypotheses.any(|hypothesis| hypothesis.author == author && !hypothesis.retained)
}

/// What became of the long texts of one row.
#[derive(Default)]
struct LongRow {
    texts: u64,
    left: u64,
    alone: u64,
    by_first: u64,
    excluded: u64,
    marked: u64,
    /// With a marked piece that is mostly the model's.
    found: u64,
    /// Pieces without a word of a model's.
    own: u64,
    own_marked: u64,
}

/// All pieces of a text together, against its first 150 words. The models' texts answer the test prompts, and the people's
/// documents calibrate nothing.
#[test]
fn long_texts_in_pieces() {
    let defaults = Defaults::new(built_in());
    let mut table = String::from(
        "\n| texts | n | the true author of all is left | alone | a person excluded by the first 150 words | by all pieces \
         | texts with a piece unlike a person's | with such a piece mostly by the model | a person's pieces that are so |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for group in &long_texts().groups {
        let author = author_of_all(group);
        let mut row = LongRow::default();
        for text in LongText::of(group) {
            let decide = |(at, piece): (usize, &Option<&KnownText>)| {
                let place = if at > 0 { Place::Later } else { Place::Beginning };
                defaults.decide_piece(piece.map_or(&[], |piece| &piece.features), place, text.pieces.len())
            };
            let decided: Vec<Decision> = text.pieces.iter().enumerate().map(decide).collect();
            let has = |decision: &Decision, author: &str| decision.authors.iter().any(|left| left == author);
            let whole = decide_whole(&decided, &defaults.settings);
            let is_left = author.is_some_and(|author| has(&whole.decision, author));
            row.texts += 1;
            row.left += u64::from(is_left);
            row.alone += u64::from(is_left && whole.decision.authors.len() == 1);
            row.by_first += u64::from(is_excluded(&decided[0], HUMAN));
            row.excluded += u64::from(is_excluded(&whole.decision, HUMAN));
            let marked: Vec<usize> = (0..decided.len())
                .filter(|&piece| whole.unlike[piece].iter().any(|unlike| unlike == HUMAN))
                .collect();
            row.marked += u64::from(!marked.is_empty());
            let is_found = |&piece: &usize| 2 * text.words(piece).0 > text.words(piece).1;
            row.found += u64::from(marked.iter().any(is_found));
            if author.is_none_or(|author| author == HUMAN) {
                let own = (0..decided.len()).filter(|&piece| text.words(piece).0 == 0);
                for piece in own {
                    row.own += 1;
                    row.own_marked += u64::from(marked.contains(&piece));
                }
            }
        }
        let cell = |applies: bool, count: u64, of: u64| if applies { share(count, of) } else { "–".to_owned() };
        let cells = [
            cell(author.is_some(), row.left, row.texts),
            cell(author.is_some(), row.alone, row.texts),
            cell(true, row.by_first, row.texts),
            cell(true, row.excluded, row.texts),
            cell(true, row.marked, row.texts),
            cell(author.is_none(), row.found, row.texts),
            cell(row.own > 0, row.own_marked, row.own),
        ];
        writeln!(table, "| {} | {} | {} |", group.name, row.texts, cells.join(" | ")).unwrap();
        if author == Some(HUMAN) {
            for (count, alpha) in [(row.marked, ALPHA), (row.excluded, ALPHA_HUMAN)] {
                assert!(
                    clopper_pearson(count, row.texts, 0.999).0 <= alpha,
                    "{count} of {}",
                    row.texts
                );
            }
        }
    }
    documented("long texts in pieces", &table);
}

/// Single pieces of long texts by one author, each at the levels of one text, and what they would be as beginnings.
#[test]
fn later_pieces() {
    let defaults = Defaults::new(built_in());
    let mut table = String::from(
        "\n| texts by | pieces | compared with | n | author retained | author alone |\n|---|---|---|---|---|---|\n",
    );
    for group in &long_texts().groups {
        let Some(author) = author_of_all(group) else { continue };
        let texts = LongText::of(group);
        let later = if author == HUMAN {
            "pieces from anywhere"
        } else {
            "later pieces"
        };
        let beginning = if author == HUMAN { later } else { "beginnings" };
        for (pieces, is_later, place, with) in [
            ("first", false, Place::Beginning, beginning),
            ("later", true, Place::Beginning, beginning),
            ("later", true, Place::Later, later),
        ] {
            if author == HUMAN && is_later && place == Place::Beginning {
                continue;
            }
            let mut row = Row::default();
            for text in &texts {
                let (first, rest) = text.pieces.split_at(1);
                for piece in (if is_later { rest } else { first }).iter().flatten() {
                    row.add(&defaults.decide_piece(&piece.features, place, 1), author);
                }
            }
            let [retained, alone] = [row.retained, row.alone].map(|count| share(count, row.texts));
            writeln!(
                table,
                "| {author} | {pieces} | {with} | {} | {retained} | {alone} |",
                row.texts
            )
            .unwrap();
        }
    }
    documented("later pieces", &table);
}

/// A model's beginning, and a rest that somebody else wrote: the first piece of each long text of a model, and the later
/// pieces of a long text of another author.
#[test]
fn long_texts_that_a_model_only_begins() {
    let defaults = Defaults::new(built_in());
    let long = long_texts();
    let by = |author: &str| {
        let group = long.groups.iter().find(|group| group.name == author).unwrap();
        LongText::of(group)
    };
    let authors = ["model: smollm2-135m-instruct", "model: gemma-3-270m", "people"];
    let texts = authors.map(by);
    let decide = |piece: &Option<&KnownText>, place: Place, pieces: usize| {
        defaults.decide_piece(piece.map_or(&[], |piece| &piece.features), place, pieces)
    };
    let mut table = String::from(
        "\n| begun by | all later pieces by | n | the first is left by the first piece | by all pieces | texts with a piece by \
         the second that is unlike the first | pieces by the first that are so |\n|---|---|---|---|---|---|---|\n",
    );
    for (begins, model) in authors[..2].iter().zip(&texts) {
        let model_name = begins.trim_start_matches("model: ");
        let is_left = |decision: &Decision| !is_excluded(decision, model_name);
        for (goes_on, others) in authors.iter().zip(&texts) {
            let (mut n, mut by_first, mut by_all, mut marked, mut own, mut own_marked) = (0, 0, 0, 0, 0, 0);
            let mut later_tested = 0;
            for (first, rest) in model.iter().zip(others) {
                let all = rest.pieces.len();
                let first = decide(&first.pieces[0], Place::Beginning, all);
                let later = rest.pieces[1..].iter().map(|piece| decide(piece, Place::Later, all));
                let pieces: Vec<Decision> = [first].into_iter().chain(later).collect();
                let whole = decide_whole(&pieces, &defaults.settings);
                let is_marked = |piece: &Vec<String>| piece.iter().any(|unlike| unlike == model_name);
                let tested = |piece: &Decision| {
                    piece
                        .hypotheses
                        .iter()
                        .any(|h| h.author == model_name && h.p_value.is_some())
                };
                later_tested += pieces[1..].iter().filter(|piece| tested(piece)).count();
                n += 1;
                by_first += u64::from(is_left(&pieces[0]));
                by_all += u64::from(is_left(&whole.decision));
                let others = &whole.unlike[usize::from(begins != goes_on)..];
                marked += u64::from(others.iter().any(is_marked));
                let of_model = if begins == goes_on { pieces.len() } else { 1 };
                own += of_model as u64;
                own_marked += whole.unlike[..of_model].iter().filter(|piece| is_marked(piece)).count() as u64;
            }
            let cells =
                [(by_first, n), (by_all, n), (marked, n), (own_marked, own)].map(|(count, of)| share(count, of));
            let goes_on_name = if begins == goes_on {
                "the same"
            } else {
                goes_on.trim_start_matches("model: ")
            };
            writeln!(table, "| {model_name} | {goes_on_name} | {n} | {} |", cells.join(" | ")).unwrap();
            if begins == goes_on {
                assert!(
                    clopper_pearson(n - by_all, n, 0.999).0 <= ALPHA,
                    "{model_name}: {by_all} of {n}"
                );
                assert!(
                    clopper_pearson(marked, n, 0.999).0 <= ALPHA,
                    "{model_name}: {marked} marked of {n}"
                );
                assert!(later_tested > 0, "no later piece of {model_name} is tested");
            }
        }
    }
    documented("texts that a model begins", &table);
}

#[test]
fn the_three_way_table() {
    let defaults = Defaults::new(built_in());
    let mut tables = String::new();
    for words in WORDS {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for held_out in held_out() {
            for group in &held_out.groups {
                let row = rows.entry(row_name(&held_out.author, &group.name)).or_default();
                for (_, text) in one_of_each(group, words) {
                    row.add(&defaults.decide(text), &held_out.author);
                }
            }
        }
        rows.retain(|_, row| row.texts > 0);
        writeln!(tables, "\n**{words} words**\n").unwrap();
        tables
            .push_str("| texts by | n | true author alone | true author retained | wrong author alone | undecided |\n");
        tables.push_str("|---|---|---|---|---|---|\n");
        for (name, row) in &rows {
            writeln!(tables, "| {name} | {} | {} |", row.texts, row.cells()).unwrap();
            row.assert_retained(name.starts_with("people"), &format!("{name} at {words} words"));
        }
    }
    documented("three-way table", &tables);
}

/// The genres of one of the two groups of human-written texts, as `calibration/people.py` has them.
const INFORMATIVE: [&str; 10] = [
    "news",
    "encyclopaedia",
    "learned",
    "government",
    "manual",
    "manual by non-natives",
    "faq",
    "glossary",
    "legal",
    "student essays",
];

/// `--genre`: the text is compared with one group of human-written texts only.
#[test]
fn a_stated_genre() {
    let any = Defaults::new(built_in());
    let mut table = String::from(
        "\n| words | `--genre` | texts by | n | true author alone with it | without | true author retained with it \
         |\n|---|---|---|---|---|---|---|\n",
    );
    for words in [40, 80] {
        for genre in ["essays and fiction", "informative"] {
            let only = |known: Calibration| {
                if known.author == HUMAN {
                    known.only(genre).unwrap()
                } else {
                    known
                }
            };
            let stated = Defaults::new(built_in().into_iter().map(only).collect());
            for held_out in held_out() {
                let is_of_genre = |(document, _): &(&str, _)| {
                    let is_informative = INFORMATIVE.contains(&document.split('/').next().unwrap());
                    held_out.author != HUMAN || is_informative == (genre == "informative")
                };
                let mut rows: BTreeMap<String, [Row; 2]> = BTreeMap::new();
                for group in &held_out.groups {
                    let name = if held_out.author == HUMAN {
                        "people of this kind".to_owned()
                    } else {
                        row_name(&held_out.author, &group.name)
                    };
                    let rows = rows.entry(name).or_default();
                    for (_, text) in one_of_each(group, words).into_iter().filter(is_of_genre) {
                        rows[0].add(&stated.decide(text), &held_out.author);
                        rows[1].add(&any.decide(text), &held_out.author);
                    }
                }
                for (name, [with, without]) in rows {
                    let n = with.texts;
                    let [alone, before, retained] =
                        [with.alone, without.alone, with.retained].map(|count| share(count, n));
                    writeln!(
                        table,
                        "| {words} | {genre} | {name} | {n} | {alone} | {before} | {retained} |"
                    )
                    .unwrap();
                    with.assert_retained(held_out.author == HUMAN, &format!("{genre}, {name} at {words} words"));
                }
            }
        }
    }
    documented("a stated genre", &table);
}

/// People's texts from sources of which the calibration has nothing.
#[test]
fn sources_that_calibrate_nothing() {
    let defaults = Defaults::new(built_in());
    let people = of_people(built_in());
    let documents = people.groups.iter().flat_map(|group| &group.texts);
    let known: BTreeSet<&str> = documents.map(|text| source(&text.document)).collect();
    let mut table = String::from(
        "\n| words | sources | n | true author alone | true author retained | wrong author alone | undecided |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for words in WORDS {
        let mut rows = [Row::default(), Row::default()];
        for group in &of_people(held_out()).groups {
            for (document, text) in one_of_each(group, words) {
                rows[usize::from(known.contains(source(document)))].add(&defaults.decide(text), HUMAN);
            }
        }
        for (row, name) in rows.iter().zip(["new", "known"]) {
            writeln!(table, "| {words} | {name} | {} | {} |", row.texts, row.cells()).unwrap();
            row.assert_retained(true, &format!("{name} sources at {words} words"));
        }
    }
    documented("sources", &table);
}

#[test]
fn texts_that_end_early() {
    let defaults = Defaults::new(built_in());
    let mut table = String::from(
        "\n| texts by | words | n | true author alone | true author retained | wrong author alone | undecided |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for held_out in held_out() {
        // Whole texts, each at its own length.
        for (from, to) in [(20, 80), (80, 150)] {
            let mut row = Row::default();
            for text in held_out.groups.iter().flat_map(|group| &group.texts) {
                let reached = text.features.len().checked_sub(1).map_or(0, |class| LENGTHS[class]);
                if (from..to).contains(&reached) {
                    row.add(&defaults.decide(&text.features), &held_out.author);
                }
            }
            writeln!(
                table,
                "| {} | {from} to {} | {} | {} |",
                held_out.author,
                to - 1,
                row.texts,
                row.cells()
            )
            .unwrap();
        }
    }
    documented("texts that end early", &table);
}

/// Whether a calibration text was cut at 85 words and did not end there: `calibration/make` names such texts so.
fn is_cut(text: &KnownText) -> bool {
    text.id.ends_with("/85") && text.features.len() > LENGTHS.iter().take_while(|length| **length < 80).count()
}

/// The parts that the prompts are divided into, of which each is left out in turn.
const FOLDS: usize = 10;

/// The models' calibration texts that end before the longest length. The answers to a tenth of the prompts are judged while
/// they are left out of their calibration, and then those to the next.
#[test]
fn calibration_texts_that_end_early() {
    let calibrations = built_in();
    let mut table = String::from("\n| texts by | n | author excluded |\n|---|---|---|\n");
    for (author, calibration) in calibrations.iter().enumerate().filter(|(_, c)| c.author != HUMAN) {
        let texts = calibration.groups_at(Place::Whole).flat_map(|group| &group.texts);
        let prompts: BTreeSet<&str> = texts.map(|text| text.document.as_str()).collect();
        let mut rows: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for fold in 0..FOLDS {
            let left_out: BTreeSet<&str> = prompts.iter().copied().skip(fold).step_by(FOLDS).collect();
            let mut poorer = calibrations.clone();
            for group in &mut poorer[author].groups {
                group.texts.retain(|text| !left_out.contains(text.document.as_str()));
            }
            let poorer = Defaults::new(poorer);
            // A text may stand among the beginnings and among the texts that end early.
            let mut early: BTreeMap<(&str, &str), &KnownText> = BTreeMap::new();
            for group in calibration.groups_at(Place::Whole) {
                let texts = group
                    .texts
                    .iter()
                    .filter(|text| left_out.contains(text.document.as_str()));
                let is_early = |text: &&KnownText| text.features.len() < LENGTHS.len() && !is_cut(text);
                early.extend(
                    texts
                        .filter(is_early)
                        .map(|text| ((group.name.as_str(), text.id.as_str()), text)),
                );
            }
            for ((group, _), text) in early {
                let (count, excluded) = rows.entry(group).or_default();
                *count += 1;
                let decision = poorer.decide(&text.features);
                *excluded += u64::from(!decision.authors.contains(&calibration.author));
            }
        }
        for (group, (texts, excluded)) in rows {
            let name = row_name(&calibration.author, group);
            writeln!(table, "| {name} | {texts} | {} |", share(excluded, texts)).unwrap();
        }
    }
    documented("calibration texts that end early", &table);
}

/// What a text's name begins with: the kind of the prompt that it answers, or its genre.
fn kind(text: &KnownText) -> &str {
    let first = text.id.split('/').next().unwrap_or_default();
    first
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches('-')
}

/// The kinds of all texts, in order.
fn kinds(calibration: &Calibration) -> Vec<String> {
    let texts = calibration.groups.iter().flat_map(|group| &group.texts);
    let mut kinds: Vec<String> = texts.map(|text| kind(text).to_owned()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The calibration without the texts of a kind.
fn without(calibration: &Calibration, left_out: &str) -> Calibration {
    let mut calibration = calibration.clone();
    for group in &mut calibration.groups {
        group.texts.retain(|text| kind(text) != left_out);
    }
    calibration.groups.retain(|group| !group.texts.is_empty());
    calibration
}

#[test]
fn each_kind_of_prompt_left_out_in_turn() {
    let calibrations = built_in();
    let defaults = Defaults::new(calibrations.clone());
    let mut table = String::from(
        "\n| kind left out | author | n | author excluded | author alone | author alone, kind not left out |\n\
         |---|---|---|---|---|---|\n",
    );
    for held_out in held_out().iter().filter(|held_out| held_out.author != HUMAN) {
        let author = &held_out.author;
        let place = calibrations.iter().position(|known| known.author == *author).unwrap();
        for left_out in kinds(held_out) {
            let mut poorer = calibrations.clone();
            poorer[place] = without(&calibrations[place], &left_out);
            let poorer = Defaults::new(poorer);
            let (mut row, mut full) = (Row::default(), Row::default());
            // Texts that calibrate are held out too, once their kind is.
            let beginnings = calibrations[place].groups_at(Place::Beginning);
            for group in held_out.groups.iter().chain(beginnings) {
                for text in group.texts.iter().filter(|text| kind(text) == left_out) {
                    if let Some(text) = cut(text, 80) {
                        row.add(&poorer.decide(text), author);
                    }
                }
            }
            for text in held_out.groups.iter().flat_map(|group| &group.texts) {
                if let Some(text) = cut(text, 80).filter(|_| kind(text) == left_out) {
                    full.add(&defaults.decide(text), author);
                }
            }
            writeln!(
                table,
                "| {left_out} | {} | {} | {} | {} | {} |",
                held_out.author,
                row.texts,
                share(row.texts - row.retained, row.texts),
                share(row.alone, row.texts),
                share(full.alone, full.texts)
            )
            .unwrap();
        }
    }
    documented("kinds of prompt", &table);
}

#[test]
fn each_genre_left_out_in_turn() {
    let calibrations = built_in();
    let human = calibrations.iter().position(|known| known.author == HUMAN).unwrap();
    let held_out = of_people(held_out());
    let mut table = format!("\n| genre left out | {} |\n|---|---|---|---|---|---|\n", Person::HEAD);
    for left_out in kinds(&held_out) {
        let mut poorer = calibrations.clone();
        poorer[human] = without(&calibrations[human], &left_out);
        let poorer = Levels::new(poorer);
        let mut person = Person::default();
        for group in held_out.groups.iter().chain(&calibrations[human].groups) {
            let texts = group.texts.iter().filter(|text| kind(text) == left_out);
            for text in texts.filter_map(|text| cut(text, 80)) {
                person.add(&poorer, text);
            }
        }
        writeln!(table, "| {left_out} | {} |", person.cells()).unwrap();
    }
    documented("genres", &table);
}

#[test]
fn models_that_are_not_loaded() {
    let levels = Levels::new(built_in());
    let mut table = format!(
        "\n| texts by | words | {} |\n|---|---|---|---|---|---|---|\n",
        Person::HEAD
    );
    let people = of_people(built_in());
    let originals = people.groups.iter().flat_map(|group| &group.texts);
    let originals: BTreeSet<&str> = originals.map(|text| text.document.as_str()).collect();
    for group in &not_loaded().groups {
        for words in WORDS {
            let mut person = Person::default();
            // A text begins as its original does, so one whose original calibrates is no new text.
            let new = one_of_each(group, words).into_iter();
            for (_, text) in new.filter(|(document, _)| !originals.contains(document)) {
                // Whoever is left alone is wrong, but for a person: that verdict says "or a model that is not loaded".
                person.add(&levels, text);
            }
            writeln!(table, "| {} | {words} | {} |", group.name, person.cells()).unwrap();
        }
    }
    documented("models not loaded", &table);
    documented("areas of models not loaded", &areas(&levels.strict, &originals));
}

/// How well the score of "a person wrote it" tells texts of models that are not loaded from people's.
fn areas(defaults: &Defaults, originals: &BTreeSet<&str>) -> String {
    let score = |text: &[Vec<TextFeatures>]| {
        let decision = defaults.decide(text);
        let person = decision
            .hypotheses
            .into_iter()
            .find(|hypothesis| hypothesis.author == HUMAN);
        let evidence = person.and_then(|person| person.evidence.into_iter().next());
        -evidence.map_or(f64::NAN, |evidence| evidence.statistic)
    };
    let scored = |groups: &[Group], words: usize, is_sought: bool| -> Vec<(f64, bool, String)> {
        let texts = groups.iter().flat_map(|group| one_of_each(group, words));
        texts
            .filter(|(document, _)| !originals.contains(document))
            .map(|(document, text)| (score(text), is_sought, document.to_owned()))
            .collect()
    };
    let people = of_people(held_out());
    let mut table = String::from(
        "\n| texts by | words | n | human-written | AUROC | found at 5% false alarms | at 1% |\n|---|---|---|---|---|---|---|\n",
    );
    for group in &not_loaded().groups {
        for words in WORDS {
            let mut all = scored(std::slice::from_ref(group), words, true);
            let sought = all.len();
            all.extend(scored(&people.groups, words, false));
            let cells = area_cells(&all);
            let people = all.len() - sought;
            writeln!(table, "| {} | {words} | {sought} | {people} | {cells} |", group.name).unwrap();
        }
    }
    table
}

/// The area under the ROC curve with its interval, and what is found at 5% and 1% false alarms; each kind
/// comes from two documents or more. A text has its score, whether it is sought, and its document.
fn area_cells(all: &[(f64, bool, String)]) -> String {
    let texts: Vec<ScoredText> = all
        .iter()
        .map(|(score, is_sought, document)| ScoredText {
            score: *score,
            is_sought: *is_sought,
            document,
        })
        .collect();
    let area = Area::of(&texts).unwrap();
    let (low, high) = area.interval(0.95);
    let [five, one] = [0.05, 0.01].map(|false_alarms| {
        let (found, of) = found_at(&texts, false_alarms);
        share(found, of)
    });
    format!("{:.3} ({low:.3}–{:.3}) | {five} | {one}", area.value, high.min(1.0))
}

/// A data set of texts by a model and by people, with what a probe makes of them that was fitted to no text of its domain, of
/// its models or of its documents.
#[derive(serde::Deserialize)]
struct LeftOut {
    source: String,
    /// Who wrote the text, its document, and its logits at the lengths [`WORDS`] that it reaches.
    texts: Vec<(String, String, [Option<f64>; WORDS.len()])>,
}

#[derive(serde::Deserialize)]
struct AllLeftOut {
    words: [usize; WORDS.len()],
    sources: Vec<LeftOut>,
}

/// Models that continue texts and follow no instructions.
const BASE: [&str; 1] = ["davinci"];

/// A source with fewer texts of a length by the model, or by people, has no row.
const LEAST_TEXTS: usize = 20;

#[test]
fn sources_left_out() {
    let AllLeftOut { words, sources } = serde_json::from_str(include_str!("validity/left-out.json")).unwrap();
    assert_eq!(words, WORDS);
    let mut table = String::from(
        "\n| source | words | n | human-written | AUROC | found at 5% false alarms | at 1% |\n|---|---|---|---|---|---|---|\n",
    );
    let mut row = |name: &str, words: usize, texts: &[(f64, bool, String)]| {
        let sought = texts.iter().filter(|(_, is_sought, _)| *is_sought).count();
        let people = texts.len() - sought;
        if sought.min(people) >= LEAST_TEXTS {
            let cells = area_cells(texts);
            writeln!(table, "| {name} | {words} | {sought} | {people} | {cells} |").unwrap();
        }
    };
    for (class, words) in WORDS.into_iter().enumerate() {
        let mut all = Vec::new();
        for LeftOut { source, texts } in &sources {
            let score = |(label, document, scores): &(String, String, [Option<f64>; WORDS.len()])| {
                Some((scores[class]?, label != HUMAN, document.clone()))
            };
            let scored: Vec<(f64, bool, String)> = texts.iter().filter_map(score).collect();
            row(source, words, &scored);
            if !texts.iter().any(|(label, ..)| BASE.contains(&label.as_str())) {
                all.extend(scored);
            }
        }
        row("**all but base models, one threshold**", words, &all);
    }
    documented("sources left out", &table);
}

//! `whowrote calibrate`: makes a calibration from texts of a known author.

use super::config::author;
use super::help::headings;
use super::{ExitStatus, OutputError, RunArgs, Terminal, fetch_progress};
use crate::judge::{
    AuthorChoice, JudgeError, ModelPool, add_model, authors, continue_texts, read as read_texts, use_threads,
};
use crate::model::catalogue::Catalogue;
use crate::model::chat::unknown_prompt_ids;
use crate::output::OutFile;
use crate::scoring::{Prefix, Scoring};
use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use whowrote_input::disguise::undisguise;
use whowrote_input::{Document, JsonLine, JsonLines, Source, lower_hex, pieces, printable, with_line_feeds};
use whowrote_stats::calibration::{
    Calibration, Group, HUMAN, KnownText, LEAST_DOCUMENTS, Place, least_documents, least_p_value,
};
use whowrote_stats::conformal_scores::{
    LEAST_PIECE, LENGTHS, PIECE, TextFeatures, beginning, text_features, word_ends,
};
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::truncated_likelihood::{LnLikelihoods, members};
use whowrote_stats::verdict::{ALPHA, AuthorSet, DomainCheck, HUMAN_DIVISOR};

/// A text that copies a larger share from its prompt is not its author's writing, and is left out.
const MOST_COPIED: f64 = 0.2;

/// The number of texts that are scored in one call: a few full passes.
const TOGETHER: usize = 32;

/// The arguments of `calibrate`. The program works with [`CalibrateConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
pub struct CalibrateArgs {
    /// Texts of the author: JSONL files with a "text" on each line, text files, or folders of them
    #[arg(value_name = "TEXTS", value_hint = clap::ValueHint::AnyPath, required_unless_present_any = ["later", "whole"])]
    pub texts: Vec<PathBuf>,

    /// Who wrote all of the texts: human, or the name of an author or model
    #[arg(long, value_name = "human|NAME", help_heading = headings::TEXTS)]
    pub author: String,

    /// Field of a JSONL line that names the text's group [default: genre for human, else decoding]
    ///
    /// A text is compared with each group by itself, and no group excludes its author wrongly more often than alpha.
    /// A text file belongs to the group of its folder.
    #[arg(long, value_name = "FIELD", help_heading = headings::TEXTS)]
    pub group: Option<String>,

    /// Use only the JSONL lines with this "part"
    #[arg(long, value_name = "NAME", help_heading = headings::TEXTS)]
    pub part: Option<String>,

    /// Cut the texts into pieces, as `detect` reads them
    ///
    /// Each piece is a text of the calibration, and all pieces of a text are of one document. `detect` compares any piece of
    /// a text with all of a person's. Of a model it compares the first piece with first pieces, and each later piece with
    /// later pieces. Without texts in pieces, it judges a model by the first piece alone.
    #[arg(long, help_heading = headings::TEXTS)]
    pub pieces: bool,

    /// More texts, of which only the pieces after the first are used; may be repeated
    #[arg(long, value_name = "TEXTS", value_hint = clap::ValueHint::AnyPath, help_heading = headings::TEXTS)]
    pub later: Vec<PathBuf>,

    /// Texts that end by themselves, for groups of those below 150 words; may be repeated
    ///
    /// A model may write in another way where it ends early. `detect` compares a text of fewer than 150 words with these
    /// texts and with beginnings, and excludes the model only if it is unlike both.
    #[arg(long, value_name = "TEXTS", value_hint = clap::ValueHint::AnyPath, help_heading = headings::TEXTS)]
    pub whole: Vec<PathBuf>,

    /// Where the texts come from, if their line has no "source"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = headings::TEXTS)]
    pub source: String,

    /// Licence of the texts, if their line has no "licence"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = headings::TEXTS)]
    pub licence: String,

    /// When the texts were written, if their line has no "date"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = headings::TEXTS)]
    pub date: String,

    /// Sampling that the texts are judged under, as for `detect` [default: the author's, or deployed]
    ///
    /// A family of decodings: deployed, any, or one way of sampling. The author's is the one in the catalogue.
    #[arg(long, value_name = "DECODING", help_heading = headings::MODELS)]
    pub decoding: Option<SamplingFamily>,

    /// Model to score with [default: the models of the catalogue's authors]; may be repeated
    ///
    /// The calibration then applies to runs of `detect` with these models, or with some of them.
    #[arg(
        long = "model",
        value_name = "NAME|PATH",
        value_hint = clap::ValueHint::AnyPath,
        help_heading = headings::MODELS,
    )]
    pub models_to_score: Vec<OsString>,

    /// Where models come from and run.
    #[command(flatten)]
    pub run: RunArgs,

    /// File for the calibration [default: standard output]
    #[arg(
        short,
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::OUTPUT,
    )]
    pub output: Option<PathBuf>,

    /// Print no progress
    #[arg(short, long, help_heading = headings::OUTPUT)]
    pub quiet: bool,
}

/// The settings of `calibrate`.
#[derive(Clone, Debug)]
pub struct CalibrateConfig {
    args: CalibrateArgs,
    models: Vec<AuthorChoice>,
    group: String,
    watched: bool,
}

impl CalibrateConfig {
    /// The settings from these arguments.
    ///
    /// # Errors
    /// If the arguments contradict one another, or a model or file does not exist.
    pub fn new(args: CalibrateArgs, terminal: Terminal) -> anyhow::Result<Self> {
        args.run.check()?;
        let group = args.group.clone().unwrap_or_else(|| {
            let usual = if args.author == HUMAN { "genre" } else { "decoding" };
            usual.to_owned()
        });
        let models = args
            .models_to_score
            .iter()
            .map(|name| author(name, "model"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            models,
            group,
            watched: terminal.stderr_is_watched && !args.quiet,
            args,
        })
    }
}

/// A text of the calibration.
#[derive(Clone)]
struct CalibrationText {
    /// Where it stands in what the author wrote, if that matters for this author.
    place: Option<Place>,
    /// The share of it that is copied from its prompt.
    copied: f64,
    /// Whether `generate` cut it before it ended.
    is_cut: bool,
    id: String,
    /// The name of the document it is from, or of the prompt it answers; its own if it shares them with no other text.
    document: String,
    text: String,
    group: String,
    source: String,
    licence: String,
    date: String,
}

impl CalibrationText {
    fn ends_early(&self) -> bool {
        !self.is_cut && word_ends(&self.text).len() < PIECE
    }

    /// Its pieces. Their names have their place among them and the places of their words.
    fn pieces(&self) -> Vec<Self> {
        let cuts = pieces(&self.text, PIECE, LEAST_PIECE);
        let all = cuts.len();
        let mut before = 0;
        let piece = |(at, cut): (usize, Range<usize>)| {
            let text = self.text[cut].to_owned();
            let first = before + 1;
            before += word_ends(&text).len();
            Self {
                place: self.place.map(|_| if at > 0 { Place::Later } else { Place::Beginning }),
                id: format!("{}#{}/{all} (words {first} to {before})", self.id, at + 1),
                text,
                ..self.clone()
            }
        };
        cuts.into_iter().enumerate().map(piece).collect()
    }
}

/// Scores the texts with every model, and writes the calibration.
///
/// # Errors
/// If a text or a model cannot be read, or the calibration cannot be written.
pub fn run(config: &CalibrateConfig) -> anyhow::Result<ExitStatus> {
    let args = &config.args;
    use_threads(args.run.threads)?;
    let mut stderr = anstream::stderr();
    let (known_texts, left_out) = read(config)?;
    if !left_out.is_empty() && !args.quiet {
        let _ = writeln!(stderr, "left out: {}", left_out.join("; "));
    }
    if known_texts.is_empty() {
        bail!(
            "no text is left for the calibration; it needs English prose of at least {} words a text, or {} with --later, and \
             fewer than {PIECE} with --whole",
            LENGTHS[0],
            PIECE + LEAST_PIECE
        );
    }
    // Scoring can take hours. So check the output first.
    let texts = || args.texts.iter().chain(&args.later).chain(&args.whole);
    let inputs = || texts().chain(&args.run.models).map(PathBuf::as_path);
    let output = args.output.as_ref();
    let output = output.map(|path| OutFile::create(path, inputs())).transpose()?;
    let catalogue = Catalogue::load(args.run.models.as_deref())?;
    let is_known =
        args.author == HUMAN || catalogue.author(&args.author).is_some() || catalogue.model(&args.author).is_ok();
    if !is_known && !args.quiet {
        let _ = writeln!(
            stderr,
            "note: the catalogue has no author or model called `{}`; the calibration applies only where it has one, or where \
             --calibration is given with --a or --b and this name",
            printable(&args.author)
        );
    }
    let mut models = Vec::new();
    let sets = if config.models.is_empty() {
        vec![AuthorSet::A, AuthorSet::B]
    } else {
        vec![AuthorSet::A]
    };
    let mut chosen = Vec::new();
    for set in sets {
        chosen.extend(authors(&catalogue, set, &config.models)?);
    }
    catalogue.tell_apart(&mut chosen);
    for model in chosen.into_iter().filter_map(|(model, _)| model) {
        add_model(&mut models, model)?;
    }
    if models.is_empty() {
        bail!("no author of the catalogue has a model that could read the texts; name one with --model");
    }
    continue_texts(&catalogue, &mut models, &args.run.no_chat()?)?;
    let mut pool = ModelPool::fetch(models, args.run.device, args.run.offline, fetch_progress(args.quiet))?;
    let of_author = || {
        catalogue
            .author(&args.author)
            .and_then(|author| author.decoding.clone())
    };
    let decoding = args.decoding.clone().or_else(of_author).unwrap_or_default();
    let family = members(&decoding);
    let scoring = Scoring::at(vec![1.0]).with_penalties_of(&family);
    let mut by_text: Vec<Vec<Vec<TextFeatures>>> = vec![Vec::new(); known_texts.len()];
    let progress = if config.watched {
        ProgressBar::new((known_texts.len() * pool.models.len()) as u64)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} scorings, {eta} left {bar:30}") {
        progress.set_style(style);
    }
    let models = pool.in_turn(|model, identity| {
        let scoring = scoring.clone().with_probe_of(identity);
        let failed = format!("{} could not read its request", model.name());
        let prefix = Prefix::new(unknown_prompt_ids(model).map_err(JudgeError::model(failed))?);
        for (known_texts, by_text) in known_texts.chunks(TOGETHER).zip(by_text.chunks_mut(TOGETHER)) {
            let texts: Vec<&str> = known_texts
                .iter()
                .map(|known_text| beginning(&known_text.text))
                .collect();
            let reads = read_texts(model, &prefix, &texts, &scoring, false)?;
            for (((known_text, text), read), lengths) in known_texts.iter().zip(&texts).zip(reads).zip(by_text) {
                let scores = read.scores.map_err(|reason| JudgeError::TextRefused {
                    origin: known_text.source.clone(),
                    model: model.name().to_owned(),
                    reason,
                })?;
                let uncovered = family.iter().find(|decoding| !LnLikelihoods::covers(&scores, decoding));
                if let Some(decoding) = uncovered {
                    return Err(JudgeError::NotCovered(decoding.clone()));
                }
                let found = text_features(text, &scores, &family);
                lengths.resize_with(found.len(), Vec::new);
                lengths
                    .iter_mut()
                    .zip(found)
                    .for_each(|(models, found)| models.push(found));
                progress.inc(1);
            }
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    let mut groups: Vec<Group> = Vec::new();
    for (known_text, text) in known_texts.into_iter().zip(by_text) {
        let text = KnownText {
            id: known_text.id,
            document: known_text.document,
            features: text,
        };
        let same = |group: &&mut Group| group.name == known_text.group && group.place == known_text.place;
        match groups.iter_mut().find(same) {
            Some(group) => group.texts.push(text),
            None => groups.push(Group {
                name: known_text.group,
                place: known_text.place,
                source: known_text.source,
                licence: known_text.licence,
                date: known_text.date,
                texts: vec![text],
            }),
        }
    }
    groups.sort_by_key(|group| (group.place.map(|place| place as usize), group.name.clone()));
    let calibration = Calibration {
        author: args.author.clone(),
        family: decoding.to_string(),
        models,
        groups,
    };
    if !args.quiet {
        describe(&calibration, &mut stderr);
    }
    let json = calibration.to_json();
    match output {
        None => io::stdout().write_all(json.as_bytes()).map_err(OutputError)?,
        Some(mut file) => {
            let told = file.cannot_write();
            file.write_all(json.as_bytes()).context(told)?;
            file.finish()?;
        }
    }
    Ok(ExitStatus::Done)
}

/// Prints what the calibration can be used for.
fn describe(calibration: &Calibration, out: &mut dyn Write) {
    let level = match calibration.author.as_str() {
        HUMAN => ALPHA / HUMAN_DIVISOR,
        _ => ALPHA,
    };
    let least = least_documents(level, None);
    for group in &calibration.groups {
        let longest = (0..LENGTHS.len()).rev().find(|&class| group.documents(class) >= least);
        let use_ = match longest {
            Some(class) => format!(
                "{} of at least {} words, from {} documents or prompts",
                group.reaching(class),
                LENGTHS[class],
                group.documents(class)
            ),
            None if group.place == Some(Place::Later) => format!(
                "too few to exclude the author at level {level} by later pieces: these would need to be from {least} \
                 documents or prompts"
            ),
            None => format!(
                "too few: to exclude the author at level {level}, a group needs texts from {least} documents or \
                 prompts; while this group is included, the author cannot be excluded"
            ),
        };
        let kind = match group.place {
            Some(Place::Later) => "later pieces",
            Some(Place::Whole) => "texts that end early",
            Some(Place::Beginning) | None => "texts",
        };
        let _ = writeln!(out, "{}: {} {kind}, {use_}", printable(&group.name), group.texts.len());
    }
    if !calibration.covers(Place::Beginning) {
        let _ = writeln!(
            out,
            "there are no beginnings, and without them nobody is tested; add texts from their beginnings"
        );
    }
    describe_comparison(calibration, Place::Beginning, level, out);
    if calibration.author != HUMAN {
        for place in [Place::Later, Place::Whole] {
            if calibration.groups.iter().any(|group| group.place == Some(place)) {
                describe_comparison(calibration, place, level, out);
            }
        }
    }
}

/// Prints what a text, or a later piece of one, is compared with.
fn describe_comparison(calibration: &Calibration, place: Place, level: f64, out: &mut dyn Write) {
    let mut lengths = (0..LENGTHS.len()).rev();
    let Some(class) = lengths.find(|&class| calibration.fewest(class, place) >= LEAST_DOCUMENTS) else {
        return;
    };
    let words = LENGTHS[class];
    let what = match place {
        Place::Beginning => "a text",
        Place::Later => "a later piece",
        Place::Whole => "a text that ends early",
    };
    let (documents, compared) = (
        calibration.fewest(class, place),
        calibration.fewest_compared(class, place),
    );
    let (ranked, score) = if compared >= least_documents(level, None) {
        (compared, "a score that is fitted to the other documents")
    } else {
        (
            documents,
            "scores that are not fitted: for a fitted score, there are too few documents",
        )
    };
    let _ = writeln!(
        out,
        "at {words} words, {what} is ranked among {ranked} documents of the smallest group, by {score}; no p-value is \
         below {:.2}",
        least_p_value(ranked, None)
    );
    if class + 1 < LENGTHS.len() && place != Place::Whole {
        let _ = writeln!(out, "only the first {words} words of {what} are judged");
    }
}

/// All texts of the calibration, and what was left out and why. Texts that are never judged are left out here too.
fn read(config: &CalibrateConfig) -> anyhow::Result<(Vec<CalibrationText>, Vec<String>)> {
    let mut known_texts = Vec::new();
    // A person is compared with texts from anywhere.
    let place = (config.args.author != HUMAN).then_some(Place::Beginning);
    for path in &config.args.texts {
        read_path(config, path, "texts", place, &mut known_texts)?;
    }
    if config.args.pieces {
        known_texts = known_texts.iter().flat_map(CalibrationText::pieces).collect();
    }
    let first = known_texts.len();
    for path in &config.args.later {
        read_path(config, path, "texts", place, &mut known_texts)?;
    }
    let longer = known_texts.split_off(first);
    let longer: Vec<Vec<CalibrationText>> = longer.iter().map(CalibrationText::pieces).collect();
    let single = longer.iter().filter(|pieces| pieces.len() < 2).count();
    known_texts.extend(longer.into_iter().flat_map(|pieces| pieces.into_iter().skip(1)));
    let first = known_texts.len();
    for path in &config.args.whole {
        read_path(config, path, "texts", Some(Place::Whole), &mut known_texts)?;
    }
    let ended = known_texts.split_off(first);
    let all = ended.len();
    known_texts.extend(ended.into_iter().filter(CalibrationText::ends_early));
    let not_early = first + all - known_texts.len();
    let before = known_texts.len();
    known_texts.retain(|known_text: &CalibrationText| word_ends(&known_text.text).len() >= LENGTHS[0]);
    let short = before - known_texts.len();
    let before = known_texts.len();
    known_texts.retain(|known_text| DomainCheck::of(beginning(&known_text.text)).outside().is_none());
    let outside = before - known_texts.len();
    let before = known_texts.len();
    known_texts.retain(|known_text| known_text.copied <= MOST_COPIED);
    let copied = before - known_texts.len();
    let of = if config.args.pieces || !config.args.later.is_empty() {
        "texts or pieces"
    } else {
        "texts"
    };
    let mut left_out = Vec::new();
    if single > 0 {
        left_out.push(format!(
            "{single} texts of --later with fewer than {} words, which have one piece",
            PIECE + LEAST_PIECE
        ));
    }
    if not_early > 0 {
        left_out.push(format!(
            "{not_early} texts of --whole that were cut or have {PIECE} words or more"
        ));
    }
    if short > 0 {
        left_out.push(format!("{short} {of} with fewer than {} words", LENGTHS[0]));
    }
    if outside > 0 {
        left_out.push(format!("{outside} {of} that are not English prose"));
    }
    if copied > 0 {
        left_out.push(format!("{copied} {of} that copy their prompt"));
    }
    Ok((known_texts, left_out))
}

/// The name of a prompt: its `id`, or a digest of the whole, as a calibration holds no text.
fn prompt_name(prompt: &Value) -> Option<String> {
    if prompt.is_null() {
        return None;
    }
    let id = prompt.get("id").and_then(Value::as_str).map(str::to_owned);
    Some(id.unwrap_or_else(|| format!("prompt {:.16}", lower_hex(&Sha256::digest(prompt.to_string())))))
}

/// The name of a text that is a document by itself. The same text given twice is one document.
pub(super) fn alone(text: &str) -> String {
    alone_by_digest(&lower_hex(&Sha256::digest(text)))
}

/// The same, from the SHA-256 of the text.
pub(super) fn alone_by_digest(sha256: &str) -> String {
    format!("text {sha256:.16}")
}

fn read_path(
    config: &CalibrateConfig,
    path: &Path,
    group: &str,
    place: Option<Place>,
    known_texts: &mut Vec<CalibrationText>,
) -> anyhow::Result<()> {
    let args = &config.args;
    let name = printable(&path.to_string_lossy());
    if path.is_dir() {
        let group = path
            .file_name()
            .map_or(group.to_owned(), |name| name.to_string_lossy().into_owned());
        let mut inside: Vec<PathBuf> = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .with_context(|| format!("cannot read the folder `{name}`"))?;
        inside.sort();
        // Skip links, because a folder could contain itself. Skip pipes, because reading one could block.
        inside.retain(|path| !path.is_symlink() && (path.is_file() || path.is_dir()));
        return inside
            .iter()
            .try_for_each(|path| read_path(config, path, &group, place, known_texts));
    }
    if path.extension().is_none_or(|extension| extension != "jsonl") {
        let document = Document::read(&Source::File(path.to_owned()))?;
        let id = path
            .file_name()
            .map_or(name, |name| name.to_string_lossy().into_owned());
        known_texts.push(CalibrationText {
            place,
            copied: 0.0,
            is_cut: false,
            document: alone(&document.text),
            id,
            text: document.text,
            group: group.to_owned(),
            source: args.source.clone(),
            licence: args.licence.clone(),
            date: args.date.clone(),
        });
        return Ok(());
    }
    for line in JsonLines::open(path)?.objects::<Map<String, Value>>() {
        let JsonLine { number, object } = line?;
        let field = |field: &str| object.get(field).and_then(Value::as_str);
        if args.part.is_some() && field("part") != args.part.as_deref() {
            continue;
        }
        let text = field("text").with_context(|| format!("`{name}`, line {number} has no \"text\""))?;
        let id = field("id").map_or_else(|| format!("line {number}"), str::to_owned);
        let or = |name: &str, otherwise: &str| field(name).unwrap_or(otherwise).to_owned();
        known_texts.push(CalibrationText {
            place,
            copied: object.get("copied").and_then(Value::as_f64).unwrap_or(0.0),
            is_cut: field("finish").is_some_and(|finish| finish != "end"),
            document: field("document")
                .map(str::to_owned)
                .or_else(|| prompt_name(object.get("prompt")?))
                .unwrap_or_else(|| alone(text)),
            id,
            text: undisguise(&with_line_feeds(text.into())).text,
            group: or(&config.group, group),
            source: or("source", &args.source),
            licence: or("licence", &args.licence),
            date: or("date", &args.date),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_pieces_of_a_text_are_of_its_document() {
        let text = CalibrationText {
            place: Some(Place::Beginning),
            copied: 0.0,
            is_cut: false,
            id: "essay".to_owned(),
            document: "1: essay".to_owned(),
            text: "We walked there again. ".repeat(60),
            group: String::new(),
            source: String::new(),
            licence: String::new(),
            date: String::new(),
        };
        let pieces = text.pieces();
        let ids: Vec<&str> = pieces.iter().map(|piece| piece.id.as_str()).collect();
        assert_eq!(ids, ["essay#1/2 (words 1 to 152)", "essay#2/2 (words 153 to 240)"]);
        assert!(pieces.iter().all(|piece| piece.document == "1: essay"));
        let places: Vec<_> = pieces.iter().map(|piece| piece.place).collect();
        assert_eq!(places, [Some(Place::Beginning), Some(Place::Later)]);
    }

    #[test]
    fn a_text_given_twice_is_one_document() {
        assert_eq!(alone("We walked there."), alone("We walked there."));
        assert_ne!(alone("We walked there."), alone("We walked here."));
    }

    #[test]
    fn equal_prompts_have_one_name_and_none_of_their_words() {
        let name = |prompt: Value| prompt_name(&prompt);
        assert_eq!(name(json!({"id": "essay-01", "text": "Write."})).unwrap(), "essay-01");
        let of_words = name(json!("Write about snow.")).unwrap();
        assert_eq!(name(json!("Write about snow.")).unwrap(), of_words);
        assert_ne!(name(json!("Write about rain.")).unwrap(), of_words);
        assert!(!of_words.contains("snow"));
        assert_ne!(name(json!({"opening": "It was"})), name(json!({"opening": "It is"})));
        assert_eq!(name(Value::Null), None);
    }
}

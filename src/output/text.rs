//! Reports for reading: the verdict in one sentence, who is excluded and how strongly, who is left, what the verdict
//! rests on, the warnings, and the figures.

use super::{Format, Layout, ReportWriter, text_evaluations, text_runs};
use crate::report::{ModelFigures, ProvenanceReport};
use crate::sentences::{verdicts as sentences, warning};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use textwrap::{WordSplitter, core::display_width};
use whowrote_input::printable;
use whowrote_stats::verdict::{Hypothesis, Verdict};

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "text",
    help: "for reading",
    is_styled: true,
    reports: Some(|layout| Box::new(TextWriter::new(layout))),
    run: Some(text_runs::write),
    evaluation: Some(text_evaluations::write),
    table: None,
};

const HEADING: Style = Style::new().bold();
const VERDICT: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// The number of pieces that are listed.
const PIECES_SHOWN: usize = 20;
/// A table of figures needs at least this width.
const MIN_WIDTH: usize = 40;
/// Longer lines of prose are hard to read.
const MAX_WIDTH: usize = 100;

/// How much of a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Only the verdict's sentence.
    Quiet,
    /// What a reader needs.
    #[default]
    Normal,
    /// The evidence of each test as well.
    Verbose,
}

/// Writes text in lines of at most `width` columns, indented by `indent` spaces.
pub(super) fn wrapped(out: &mut dyn Write, width: usize, indent: usize, style: Style, text: &str) -> io::Result<()> {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(width)
        .initial_indent(&indent)
        .subsequent_indent(&indent)
        // Do not break the names of models at their hyphens.
        .word_splitter(WordSplitter::NoHyphenation);
    for line in textwrap::wrap(text, options) {
        // Style each line by itself, so that a pager shows every line correctly.
        writeln!(out, "{style}{line}{style:#}")?;
    }
    Ok(())
}

/// The nearest readable width.
pub(super) fn readable(width: usize) -> usize {
    width.clamp(MIN_WIDTH, MAX_WIDTH)
}

/// Prints reports for reading. The text has ANSI styles, which must be stripped if the stream is not a terminal.
#[derive(Clone, Copy, Debug)]
pub struct TextWriter {
    detail: Detail,
    width: usize,
    /// Whether no report was printed yet. An empty line separates reports.
    first: bool,
}

impl TextWriter {
    /// A writer that wraps lines at the nearest readable width.
    pub fn new(layout: Layout) -> Self {
        TextWriter {
            detail: layout.detail,
            width: readable(layout.width),
            first: true,
        }
    }

    fn wrapped(&self, out: &mut dyn Write, indent: usize, style: Style, text: &str) -> io::Result<()> {
        wrapped(out, self.width, indent, style, text)
    }

    fn heading(&self, out: &mut dyn Write, text: &str) -> io::Result<()> {
        writeln!(out, "\n{HEADING}{text}{HEADING:#}")
    }

    fn author(&self, out: &mut dyn Write, report: &ProvenanceReport, hypothesis: &Hypothesis) -> io::Result<()> {
        let line = format!(
            "{}: {}",
            sentences::author_and_set(hypothesis),
            sentences::strength(report, hypothesis)
        );
        self.wrapped(out, 2, Style::new(), &line)?;
        if self.detail >= Detail::Verbose {
            for evidence in &hypothesis.evidence {
                self.wrapped(out, 4, FAINT, &sentences::evidence(evidence))?;
            }
        }
        Ok(())
    }

    fn authors(&self, out: &mut dyn Write, report: &ProvenanceReport) -> io::Result<()> {
        for (heading, retained) in [("Excluded", false), ("Not excluded", true)] {
            let mut rows = report.hypotheses.iter().filter(|h| h.retained == retained).peekable();
            if rows.peek().is_some() {
                self.heading(out, heading)?;
            }
            rows.try_for_each(|hypothesis| self.author(out, report, hypothesis))?;
        }
        Ok(())
    }

    /// The pieces that are unlike an author's writing.
    fn pieces(&self, out: &mut dyn Write, report: &ProvenanceReport, author: &str) -> io::Result<()> {
        let mut pieces = sentences::unlike(report, author);
        self.heading(out, &sentences::unlike_heading(author))?;
        for piece in pieces.by_ref().take(PIECES_SHOWN) {
            self.wrapped(out, 2, Style::new(), &sentences::piece(piece))?;
        }
        let more = pieces.count();
        if more > 0 {
            self.wrapped(
                out,
                2,
                Style::new(),
                &format!("and {more} more; --format json lists them"),
            )?;
        }
        self.wrapped(out, 2, Style::new(), &sentences::unlike_means(report, author))
    }

    /// What the verdict rests on.
    fn conditions(&self, out: &mut dyn Write, report: &ProvenanceReport) -> io::Result<()> {
        let Some(decoding) = sentences::decoding(report) else {
            return Ok(());
        };
        self.heading(out, "What this rests on")?;
        self.wrapped(out, 2, Style::new(), &decoding)?;
        self.wrapped(out, 2, Style::new(), &sentences::level(report))
    }

    fn warnings(&self, out: &mut dyn Write, report: &ProvenanceReport) -> io::Result<()> {
        let mut rest = report.warnings.iter().peekable();
        if rest.peek().is_some() {
            writeln!(out, "\n{WARNING}Warnings{WARNING:#}")?;
        }
        rest.try_for_each(|given| self.wrapped(out, 2, Style::new(), &printable(&warning(given))))
    }

    /// A table with a row for each figure and a column for each model. If the width does not hold all models, there are
    /// several tables.
    fn figures(&self, out: &mut dyn Write, report: &ProvenanceReport) -> io::Result<()> {
        let models: Vec<(String, &ModelFigures)> = models_in_order(report)
            .map(|(name, figures)| (printable(name), figures))
            .collect();
        let label = ROWS.iter().map(|(label, _)| display_width(label)).max().unwrap_or(0);
        let column = models
            .iter()
            .map(|(name, _)| display_width(name))
            .max()
            .unwrap_or(0)
            .max(10);
        let side_by_side = (self.width.saturating_sub(2 + label) / (2 + column)).max(1);
        for models in models.chunks(side_by_side) {
            write!(
                out,
                "\n{HEADING}{}{HEADING:#}",
                padded("Figures at temperature 1", 2 + label)
            )?;
            for (name, _) in models {
                write!(out, "  {HEADING}{}{HEADING:#}", right(name, column))?;
            }
            writeln!(out)?;
            for (row, value) in ROWS {
                write!(out, "  {}", padded(row, label))?;
                for (_, figures) in models {
                    write!(out, "  {}", right(&value(figures), column))?;
                }
                writeln!(out)?;
            }
        }
        Ok(())
    }

    fn provenance(&self, out: &mut dyn Write, report: &ProvenanceReport) -> io::Result<()> {
        self.heading(out, "Files")?;
        let input = &report.input;
        writeln!(out, "  {FAINT}text {}{FAINT:#}", input.sha256)?;
        writeln!(
            out,
            "  {FAINT}     {} bytes, {} characters{FAINT:#}",
            input.bytes, input.chars
        )?;
        for (name, figures) in models_in_order(report) {
            if let Some(sha256) = &figures.sha256 {
                writeln!(out, "  {FAINT}{} {sha256}{FAINT:#}", printable(name))?;
            }
        }
        writeln!(out, "  {FAINT}scored in {:.0} ms{FAINT:#}", report.timing.score_ms)
    }
}

/// The models in the order of their authors, so that set A comes first as everywhere in the report.
fn models_in_order(report: &ProvenanceReport) -> impl Iterator<Item = (&String, &ModelFigures)> {
    let place = |name: &str| report.hypotheses.iter().position(|h| h.model.as_deref() == Some(name));
    let mut models: Vec<_> = report.models.iter().collect();
    models.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
    models.into_iter()
}

/// A row of the table: its label with the unit, and its value for one model.
type Row = (&'static str, fn(&ModelFigures) -> String);

const ROWS: [Row; 8] = [
    ("tokens", |f| f.tokens.to_string()),
    ("tokens scored", |f| f.scored_tokens.to_string()),
    ("log-perplexity, nat/token", |f| sentences::figure(f.log_perplexity, 3)),
    ("entropy, nat/token", |f| sentences::figure(f.entropy, 3)),
    ("gap, nat/token", |f| sentences::figure(f.log_perplexity - f.entropy, 3)),
    ("varentropy, nat²/token", |f| sentences::figure(f.varentropy, 3)),
    ("mean log-rank, nat", |f| sentences::figure(f.mean_log_rank, 3)),
    ("bits per byte", |f| sentences::figure(f.bits_per_byte, 3)),
];

/// Pads by display width. `format!` pads by characters, and names may contain wide ones.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(display_width(text))))
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(display_width(text))))
}

impl ReportWriter for TextWriter {
    fn write(&mut self, report: &ProvenanceReport, out: &mut dyn Write) -> io::Result<()> {
        if self.detail == Detail::Quiet {
            return writeln!(out, "{}: {}", sentences::input(report), sentences::verdict(report));
        }
        if !std::mem::take(&mut self.first) {
            writeln!(out)?;
        }
        writeln!(out, "{FAINT}{}{FAINT:#}", sentences::input(report))?;
        if let Some(extraction) = sentences::extraction(report) {
            self.wrapped(out, 0, FAINT, &extraction)?;
        }
        self.wrapped(out, 0, VERDICT, &sentences::verdict(report))?;
        if report.verdict == Verdict::Unable && report.models.is_empty() {
            return Ok(());
        }
        self.authors(out, report)?;
        sentences::authors_with_unlike_pieces(report).try_for_each(|author| self.pieces(out, report, author))?;
        self.conditions(out, report)?;
        self.warnings(out, report)?;
        self.figures(out, report)?;
        if self.detail >= Detail::Verbose {
            self.provenance(out, report)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentences::verdicts::tests::{
        attributed_to_a_model, attributed_to_a_person, undecided, unknown, unreadable,
    };

    fn plain(report: &ProvenanceReport, detail: Detail, width: usize) -> String {
        let mut stripped = anstream::StripStream::new(Vec::new());
        TextWriter::new(Layout { detail, width })
            .write(report, &mut stripped)
            .unwrap();
        String::from_utf8(stripped.into_inner()).unwrap()
    }

    #[test]
    fn undecided_reads_well() {
        insta::assert_snapshot!(plain(&undecided(), Detail::Normal, 80), @r"
        essay.txt
        gemma-3-270m (with temperature=1) did not write this; smollm2-135m-instruct
        (in-house) or a person may have; no test here could exclude a person.

        Excluded
          gemma-3-270m (not sanctioned): at most 1 in a billion of its own texts gives
          evidence this strong (p = 1.2e-31)

        Not excluded
          smollm2-135m-instruct (in-house): nothing speaks against it (p = 1)
          a person: not tested, so never excluded

        What this rests on
          Each model is judged with temperature=1. An excluded model may still have
          written the text with other sampling. Each model read the text after the
          prompt that you gave, if any.
          On texts that meet these conditions, the true author is wrongly excluded at
          most this often: 5% (alpha 0.05).

        Warnings
          Nothing tests whether a person wrote the text, so a person is never excluded:
          there is no calibration of human-written texts with the models that are
          loaded. `whowrote calibrate --author human` makes one.

        Figures at temperature 1     smollm2-135m-instruct           gemma-3-270m
          tokens                                       213                   1207
          tokens scored                                212                   1206
          log-perplexity, nat/token                  3.710                  3.020
          entropy, nat/token                         3.690                  3.517
          gap, nat/token                             0.020                 -0.497
          varentropy, nat²/token                     6.400                  6.400
          mean log-rank, nat                         1.900                  1.900
          bits per byte                              1.180                  1.180
        ");
    }

    #[test]
    fn a_model_reads_well_test_by_test() {
        insta::assert_snapshot!(plain(&attributed_to_a_model(), Detail::Verbose, 80), @r"
        essay.txt
        In-house: of the authors considered here, only smollm2-135m-instruct can have
        written this.

        Excluded
          gemma-3-270m (not sanctioned): at most 1 in 500 of its own texts gives
          evidence this strong (p = 0.0018)
            likelihood-ratio against smollm2-135m-instruct: 6.300 nat, excluded from
            3.000; ln e = 6.30
          a person: only 1 in 200 of the known human-written texts is this unusual for a
          person (p = 0.004)

        Not excluded
          smollm2-135m-instruct (in-house): the evidence against it is too weak to
          exclude it (p = 0.22)
            likelihood-ratio against gemma-3-270m: 1.500 nat, excluded from 3.000; ln e
            = 1.50

        What this rests on
          Each model is judged with temperature=1. An excluded model may still have
          written the text with other sampling. Each model read the text after the
          prompt that you gave, if any. Without a prompt, the text is also compared with
          known human-written texts.
          On texts that meet these conditions, the true author is wrongly excluded at
          most this often: 5% if it is a model (alpha 0.05), 1% if it is a person (alpha
          0.01).

        Figures at temperature 1     smollm2-135m-instruct           gemma-3-270m
          tokens                                       213                   1207
          tokens scored                                212                   1206
          log-perplexity, nat/token                  3.710                  3.020
          entropy, nat/token                         3.690                  3.517
          gap, nat/token                             0.020                 -0.497
          varentropy, nat²/token                     6.400                  6.400
          mean log-rank, nat                         1.900                  1.900
          bits per byte                              1.180                  1.180

        Files
          text abababababababababababababababababababababababababababababababab
               1834 bytes, 1821 characters
          scored in 431 ms
        ");
    }

    #[test]
    fn a_person_reads_well() {
        insta::assert_snapshot!(plain(&attributed_to_a_person(), Detail::Normal, 80), @r"
        essay.txt
        None of the loaded models (with temperature=1) wrote this; a person may have, or
        a model that is not loaded here.

        Excluded
          smollm2-135m-instruct (in-house): at most 1 in a billion of its own texts
          gives evidence this strong (p = 1.1e-20)
          gemma-3-270m (not sanctioned): at most 1 in 200 of its own texts gives
          evidence this strong (p = 0.0041)

        Not excluded
          a person: not tested, so never excluded

        What this rests on
          Each model is judged with temperature=1. An excluded model may still have
          written the text with other sampling. Each model read the text after the
          prompt that you gave, if any.
          On texts that meet these conditions, the true author is wrongly excluded at
          most this often: 5% (alpha 0.05).

        Figures at temperature 1     smollm2-135m-instruct           gemma-3-270m
          tokens                                       213                   1207
          tokens scored                                212                   1206
          log-perplexity, nat/token                  3.710                  3.020
          entropy, nat/token                         3.690                  3.517
          gap, nat/token                             0.020                 -0.497
          varentropy, nat²/token                     6.400                  6.400
          mean log-rank, nat                         1.900                  1.900
          bits per byte                              1.180                  1.180
        ");
    }

    #[test]
    fn an_unknown_author_reads_well_on_a_narrow_terminal() {
        insta::assert_snapshot!(plain(&unknown(), Detail::Normal, 48), @r"
        essay.txt
        Unknown author: smollm2-135m-instruct and
        gemma-3-270m (with temperature=1) did not write
        this.

        Excluded
          smollm2-135m-instruct (in-house): at most 1 in
          a billion of its own texts gives evidence this
          strong (p = 1.1e-20)
          gemma-3-270m (not sanctioned): at most 1 in
          200 of its own texts gives evidence this
          strong (p = 0.0041)

        What this rests on
          Each model is judged with temperature=1. An
          excluded model may still have written the text
          with other sampling. Each model read the text
          after the prompt that you gave, if any.
          On texts that meet these conditions, the true
          author is wrongly excluded at most this often:
          5% (alpha 0.05).

        Figures at temperature 1     smollm2-135m-instruct
          tokens                                       213
          tokens scored                                212
          log-perplexity, nat/token                  3.710
          entropy, nat/token                         3.690
          gap, nat/token                             0.020
          varentropy, nat²/token                     6.400
          mean log-rank, nat                         1.900
          bits per byte                              1.180

        Figures at temperature 1              gemma-3-270m
          tokens                                      1207
          tokens scored                               1206
          log-perplexity, nat/token                  3.020
          entropy, nat/token                         3.517
          gap, nat/token                            -0.497
          varentropy, nat²/token                     6.400
          mean log-rank, nat                         1.900
          bits per byte                              1.180
        ");
    }

    #[test]
    fn what_could_not_be_judged_reads_well() {
        insta::assert_snapshot!(plain(&unreadable(), Detail::Normal, 80), @r"
        essay.pdf
        This text could not be judged: `essay.pdf` is a PDF, not plain text; extract the
        text first, e.g. with `pdftotext`.
        ");
    }

    #[test]
    fn quiet_is_one_line() {
        insta::assert_snapshot!(plain(&undecided(), Detail::Quiet, 40), @r"essay.txt: gemma-3-270m (with temperature=1) did not write this; smollm2-135m-instruct (in-house) or a person may have; no test here could exclude a person.");
    }

    #[test]
    fn no_line_of_prose_is_wider_than_the_terminal() {
        for width in [40, 60, 80, 100] {
            for report in [
                undecided(),
                attributed_to_a_model(),
                attributed_to_a_person(),
                unknown(),
            ] {
                let text = plain(&report, Detail::Normal, width);
                let prose = text.lines().take_while(|line| !line.starts_with("Figures"));
                for line in prose {
                    assert!(display_width(line) <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn reports_stand_apart_by_an_empty_line() {
        let mut out = Vec::new();
        let mut writer = TextWriter::new(Layout {
            detail: Detail::Normal,
            width: 80,
        });
        writer.write(&undecided(), &mut out).unwrap();
        assert!(!out.starts_with(b"\n"));
        let first = out.len();
        writer.write(&undecided(), &mut out).unwrap();
        assert_eq!(&out[first..=first], b"\n");
    }

    #[test]
    fn styles_are_there_for_a_terminal() {
        let mut out = Vec::new();
        TextWriter::new(Layout {
            detail: Detail::Normal,
            width: 80,
        })
        .write(&undecided(), &mut out)
        .unwrap();
        assert!(String::from_utf8(out).unwrap().contains("\u{1b}[1m"));
    }
}

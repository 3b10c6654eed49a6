//! An evaluation for reading: how well scores tell models from people, what became of the texts, and the p-values.

use super::Layout;
use super::text::{readable, wrapped};
use crate::sentences::verdicts::texts as texts_of;
use anstyle::Style;
use std::io::{self, Write};
use textwrap::core::display_width;
use whowrote_evaluation::Evaluation;
use whowrote_evaluation::evaluate::{Estimate, PValueRow, Part, ScoreRow, Share, VerdictRow};
use whowrote_input::printable;

const HEADING: Style = Style::new().bold();

/// Prints an evaluation.
pub(super) fn write(evaluation: &Evaluation, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    let width = readable(layout.width);
    let Evaluation {
        texts,
        documents,
        unable,
        ..
    } = evaluation;
    let documents = match documents {
        1 => "1 document".to_owned(),
        _ => format!("{documents} documents"),
    };
    let mut head = format!("{} from {documents}.", texts_of(*texts as u64));
    if *unable > 0 {
        head += &format!(" {unable} of them could not be judged and have no part in what follows.");
    }
    head += " The intervals, in brackets, are at 95%, by document.";
    wrapped(out, width, 0, Style::new(), &head)?;

    let of_all: Vec<&ScoreRow> = evaluation.scores.iter().filter(|row| row.part == Part::ALL).collect();
    if of_all.is_empty() {
        writeln!(out)?;
        let missing = "Nothing tells models from people here: the texts are all by people, or all by models.";
        wrapped(out, width, 0, Style::new(), missing)?;
    } else {
        heading(out, "Models or people: each score over all texts")?;
        let rows = of_all.iter().map(|row| {
            let mut cells = vec![printable(&row.score.to_string())];
            cells.extend(figures(row));
            let otherwise = if row.is_best { "best" } else { "-" };
            cells.push(row.below_best.as_ref().map_or(otherwise.to_owned(), estimate));
            cells
        });
        let head = ["score", "AUROC", "found at 5% FPR", "at 1% FPR", "below the best by"];
        table(out, &head, rows.collect())?;
    }
    if let Some(best) = best(&of_all) {
        let rows: Vec<Vec<String>> = evaluation
            .scores
            .iter()
            .filter(|row| row.part != Part::ALL && row.score == best.score)
            .map(|row| {
                let mut cells = vec![named(&row.part), row.by_models.to_string(), row.by_people.to_string()];
                cells.extend(figures(row));
                cells
            })
            .collect();
        if !rows.is_empty() {
            heading(
                out,
                &format!("Models or people: {} by part", printable(&best.score.to_string())),
            )?;
            let head = ["texts", "models", "people", "AUROC", "found at 5% FPR", "at 1% FPR"];
            table(out, &head, rows)?;
        }
    }
    heading(out, "Verdicts")?;
    let rows = evaluation.verdicts.iter().map(verdict);
    let head = [
        "texts",
        "by",
        "n",
        "true author alone",
        "retained",
        "wrong alone",
        "undecided",
        "unknown",
    ];
    table(out, &head, rows.collect())?;
    if evaluation.p_values.is_empty() {
        return Ok(());
    }
    heading(out, "P-values of authors for their own texts")?;
    let rows = evaluation.p_values.iter().map(p_values);
    table(
        out,
        &["texts", "of", "n", "at most 0.01", "0.05", "0.1", "0 to 1", "excess"],
        rows.collect(),
    )
}

fn heading(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{HEADING}{text}{HEADING:#}")
}

fn best<'a>(rows: &[&'a ScoreRow]) -> Option<&'a ScoreRow> {
    rows.iter().copied().find(|row| row.is_best)
}

fn named(part: &Part) -> String {
    printable(&part.to_string())
}

fn figures(row: &ScoreRow) -> Vec<String> {
    let area = row.auroc.as_ref().map_or("-".to_owned(), estimate);
    let found = row.found.iter().map(|found| share(&found.share));
    std::iter::once(area).chain(found).collect()
}

fn estimate(estimate: &Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{value:.3} ({low:.3}–{high:.3})")
}

fn share(share: &Share) -> String {
    if share.of == 0 {
        return "-".to_owned();
    }
    let percent = |value: f64| 100.0 * value;
    format!(
        "{:.1}% ({:.1}–{:.1})",
        percent(share.count as f64 / share.of as f64),
        percent(share.low),
        percent(share.high)
    )
}

fn verdict(row: &VerdictRow) -> Vec<String> {
    let mut cells = vec![named(&row.part), printable(&row.label), row.texts.to_string()];
    // An author that was not considered cannot be named.
    let of_author = |of: &Share| match row.author {
        Some(_) => share(of),
        None => "-".to_owned(),
    };
    cells.extend([of_author(&row.alone), of_author(&row.retained)]);
    cells.extend([&row.wrong_alone, &row.undecided, &row.unknown].map(share));
    cells
}

fn p_values(row: &PValueRow) -> Vec<String> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = row.histogram.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: &u64| BARS[(count * (BARS.len() as u64 - 1)).div_ceil(most) as usize];
    let mut cells = vec![named(&row.part), printable(&row.author), row.texts.to_string()];
    cells.extend(row.at_most.iter().map(|at_most| share(&at_most.share)));
    cells.push(row.histogram.iter().map(bar).collect());
    cells.push(format!("{:.3} (p {:.2})", row.excess, row.excess_p_value));
    cells
}

/// Prints a table with the first column to the left and the others to the right.
fn table(out: &mut dyn Write, head: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = all[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| all.iter().map(|row| display_width(&row[column])).max().unwrap_or(0))
        .collect();
    for row in &all {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - display_width(cell));
            line += &match column {
                0 => format!("  {cell}{padding}"),
                _ => format!("  {padding}{cell}"),
            };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

//! Plots of an evaluation, as SVG and PNG. The colours are those of Okabe and Ito (2008), which the colour-blind can tell
//! apart, and every line also has a dash pattern of its own, for print without colours.

use crate::evaluate::{Curve, Evaluation, Part, ScoreRow};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::{Path, PathBuf};

/// What texts in plots are set in. PNG has no fonts of its own.
const FONT: &[u8] = include_bytes!("../data/DejaVuSans.ttf");
const FAMILY: &str = "sans-serif";
const SIZE: (u32, u32) = (1_000, 720);
/// The number of scores that are drawn.
const SCORES: usize = 6;
/// The number of parts that are drawn.
const PARTS: usize = 24;
/// The least share on a logarithmic axis.
const LEAST: f64 = 0.001;
const GREY: RGBColor = RGBColor(170, 170, 170);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];
/// Lengths of a dash and of the gap after it, in pixels. The first line has no gaps.
const DASHES: [(u32, u32); 6] = [(1_000_000, 1), (12, 5), (3, 4), (18, 4), (7, 3), (2, 7)];

/// Why a plot could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the plot `{file}` could not be written ({reason}); check the folder given with --plots")]
pub struct PlotError {
    /// The file.
    pub file: String,
    /// What the library said.
    pub reason: String,
}

type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Writes all plots to a folder; returns their files.
///
/// # Errors
/// If a file cannot be written.
pub fn write(evaluation: &Evaluation, folder: &Path) -> Result<Vec<PathBuf>, PlotError> {
    // It fails only for another font.
    let _ = register_font(FAMILY, FontStyle::Normal, FONT);
    let failed = |path: &Path, reason: String| PlotError {
        file: path.display().to_string(),
        reason,
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error.to_string()))?;
    let mut files = Vec::new();
    macro_rules! plot {
        ($name:literal, $draw:ident) => {
            let path = folder.join(concat!($name, ".svg"));
            let mut svg = String::new();
            $draw(
                evaluation,
                &SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(),
            )
            .map_err(|error| failed(&path, error.to_string()))?;
            std::fs::write(&path, svg).map_err(|error| failed(&path, error.to_string()))?;
            files.push(path);
            let path = folder.join(concat!($name, ".png"));
            $draw(evaluation, &BitMapBackend::new(&path, SIZE).into_drawing_area())
                .map_err(|error| failed(&path, error.to_string()))?;
            files.push(path);
        };
    }
    if !evaluation.curves.is_empty() {
        plot!("roc", roc);
        plot!("found", found);
    }
    if !evaluation.p_values.is_empty() {
        plot!("p-values", p_values);
    }
    Ok(files)
}

/// The ROC curves of the scores with the greatest areas, over all texts. The axis of false alarms is logarithmic, because what
/// is found at few of them decides.
fn roc<DB: DrawingBackend>(evaluation: &Evaluation, root: &DrawingArea<DB, Shift>) -> Drawn<DB> {
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption("Texts by models that are found, by false alarms", (FAMILY, 24))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d((LEAST..1.0).log_scale(), 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc("share of people's texts above the threshold")
        .y_desc("share of models' texts above it")
        .label_style((FAMILY, 15))
        .x_label_formatter(&|share| format!("{share}"))
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new(
        (0..=60)
            .map(|i| LEAST.powf(1.0 - f64::from(i) / 60.0))
            .map(|share| (share, share)),
        GREY,
    ))?;
    let drawn = evaluation.curves.iter().take(SCORES);
    let lines = drawn.map(|curve| (format!("{:.3}  {}", curve.auroc, curve.score), steps(curve)));
    draw_lines(&mut chart, lines, SeriesLabelPosition::LowerRight)?;
    root.present()
}

/// Draws lines, each with a colour and a dash pattern of its own, and says what they are.
fn draw_lines<'a, DB, X, Y>(
    chart: &mut ChartContext<'a, DB, Cartesian2d<X, Y>>,
    lines: impl Iterator<Item = (String, Vec<(f64, f64)>)>,
    at: SeriesLabelPosition,
) -> Drawn<DB>
where
    DB: DrawingBackend + 'a,
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for ((name, points), (colour, (dash, gap))) in lines.zip(COLOURS.into_iter().zip(DASHES)) {
        let style = colour.stroke_width(2);
        let line = DashedLineSeries::new(points, dash, gap, style);
        let key = move |(x, y)| DashedPathElement::new(vec![(x, y), (x + 36, y)], dash, gap, style);
        chart.draw_series(line)?.label(name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(at)
        .background_style(WHITE.mix(0.85))
        .border_style(GREY)
        .label_font((FAMILY, 15))
        .legend_area_size(44)
        .draw()
}

/// The corners of a curve, from the left edge of the plot on.
fn steps(curve: &Curve) -> Vec<(f64, f64)> {
    let mut corners = Vec::with_capacity(2 * curve.points.len());
    let mut height = 0.0;
    for &(alarms, found) in &curve.points {
        if alarms > LEAST {
            corners.push((alarms, height));
        }
        height = found;
        corners.push((alarms.max(LEAST), height));
    }
    corners
}

/// What the best score finds at 5% of false alarms, for each part of the texts, with intervals.
fn found<DB: DrawingBackend>(evaluation: &Evaluation, root: &DrawingArea<DB, Shift>) -> Drawn<DB> {
    root.fill(&WHITE)?;
    let Some(best) = evaluation.curves.first() else {
        return root.present();
    };
    let rows = evaluation.scores.iter().filter(|row| row.score == best.score);
    let rows: Vec<&ScoreRow> = rows.take(PARTS).collect();
    let count = rows.len() as f64;
    let mut chart = ChartBuilder::on(root)
        .caption(format!("Found by {} at 5% of false alarms", best.score), (FAMILY, 24))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(260)
        .build_cartesian_2d(0.0..1.0, -count..0.0)?;
    chart
        .configure_mesh()
        .x_desc("share of models' texts that is found")
        .label_style((FAMILY, 15))
        .disable_y_mesh()
        .y_labels(0)
        .light_line_style(WHITE)
        .draw()?;
    for (place, row) in rows.iter().enumerate() {
        let Some(found) = row.found.first() else { continue };
        let height = -(place as f64) - 0.5;
        let share = found.share.count as f64 / found.share.of.max(1) as f64;
        chart.draw_series([PathElement::new(
            vec![(found.share.low, height), (found.share.high, height)],
            COLOURS[1].stroke_width(2),
        )])?;
        chart.draw_series([Circle::new((share, height), 5, BLACK.filled())])?;
        let shown: String = row.part.to_string().chars().take(34).collect();
        let (x, y) = chart.backend_coord(&(0.0, height));
        let style = TextStyle::from((FAMILY, 15).into_font());
        let style = style.pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Right,
            plotters::style::text_anchor::VPos::Center,
        ));
        root.draw_text(&shown, &style, (x - 10, y))?;
    }
    root.present()
}

/// How many of an author's p-values for its own texts are at most u. The promise is kept where the line is not above the
/// diagonal.
fn p_values<DB: DrawingBackend>(evaluation: &Evaluation, root: &DrawingArea<DB, Shift>) -> Drawn<DB> {
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption("P-values of authors for their own texts", (FAMILY, 24))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc("u")
        .y_desc("share of p-values of at most u")
        .label_style((FAMILY, 15))
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], GREY))?;
    let rows = evaluation.p_values.iter().filter(|row| row.part == Part::ALL);
    let lines = rows.map(|row| {
        let bars = row.histogram.len() as f64;
        let mut below = 0;
        let mut points = vec![(0.0, 0.0)];
        for (bar, count) in row.histogram.iter().enumerate() {
            below += count;
            points.push(((bar + 1) as f64 / bars, below as f64 / row.texts.max(1) as f64));
        }
        (format!("{} ({} texts)", row.author, row.texts), points)
    });
    draw_lines(&mut chart, lines, SeriesLabelPosition::UpperLeft)?;
    root.present()
}

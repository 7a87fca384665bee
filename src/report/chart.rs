//! Lines over optimizer steps, drawn as SVG.
//!
//! plotters draws, without fonts and without bitmaps. It knows one set of colours; the page's style sheet finds its shapes by
//! these colours, and gives them those of the reader's theme. So a chart is right in the light, in the dark, and alone.

use std::ops::Range;

use anyhow::anyhow;
use plotters::prelude::*;

use super::page::number;

/// Size of a drawing. The page shows it at about half of it.
const SIZE: (u32, u32) = (880, 520);
/// Size of letters.
const LETTERS: i32 = 34;
/// Most points of a line.
const MAX_POINTS: usize = 400;
/// Lines of up to so many points show them.
const MAX_DOTS: usize = 40;

/// Numbers on the axes.
const INK: RGBColor = RGBColor(0x33, 0x33, 0x30);
/// Lines behind the curves.
const GRID: RGBColor = RGBColor(0xE0, 0xE0, 0xDC);
/// A level to compare with.
const LEVEL: RGBColor = RGBColor(0x77, 0x77, 0x70);
/// Lines, by their place; told apart by people who do not see all colours.
///
/// Source: Okabe and Ito 2008, Color Universal Design; without black and yellow.
const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
];

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Which colour it has.
    pub colour: usize,
    /// Whether it is drawn dashed.
    pub dashed: bool,
    /// Step and value, by step.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The class of its key in the page.
    pub fn class(&self) -> String {
        format!("series-{}", self.colour % SERIES.len())
    }
}

/// Draws `series`, and a horizontal line at `level`.
///
/// # Errors
/// When it cannot be drawn.
pub fn lines(series: &[Series], level: Option<f64>) -> anyhow::Result<String> {
    let mut svg = String::new();
    // The error of a drawing borrows it.
    draw(&mut svg, series, level).map_err(|error| anyhow!("cannot draw a chart: {error}"))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    series: &[Series],
    level: Option<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || series.iter().flat_map(|series| &series.points);
    let x_range = range(points().map(|(x, _)| *x), 0.0);
    let y_range = range(points().map(|(_, y)| *y).chain(level), 0.06);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .margin_right(36)
        .margin_top(20)
        .x_label_area_size(58)
        .y_label_area_size(120)
        .build_cartesian_2d(x_range.clone(), y_range)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(LEVEL.stroke_width(2))
        .label_style(("sans-serif", LETTERS).into_font().color(&INK))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .draw()?;
    if let Some(level) = level {
        let ends = [(x_range.start, level), (x_range.end, level)];
        chart.draw_series(DashedLineSeries::new(ends, 4, 8, LEVEL.stroke_width(3)))?;
    }
    for one in series {
        let style = SERIES[one.colour % SERIES.len()].stroke_width(4);
        let points = thinned(&one.points);
        if one.dashed {
            chart.draw_series(DashedLineSeries::new(points.clone(), 14, 9, style))?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), style))?;
        }
        if points.len() <= MAX_DOTS {
            let dot = |point| Circle::new(point, 6, style.filled());
            chart.draw_series(points.into_iter().map(dot))?;
        }
    }
    area.present()?;
    Ok(())
}

/// From the least to the most, with some room around; never empty.
fn range(values: impl Iterator<Item = f64>, room: f64) -> Range<f64> {
    let (least, most) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    if least > most {
        return 0.0..1.0;
    }
    if least == most {
        let half = if least == 0.0 { 1.0 } else { least.abs() / 2.0 };
        return least - half..most + half;
    }
    let room = (most - least) * room;
    least - room..most + room
}

/// At most [`MAX_POINTS`] of the points: the first, the last, and the least and the greatest of each stretch between, so that no
/// spike is lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let [first, between @ .., last] = points else { return points.to_vec() };
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let stretch = between.len().div_ceil((MAX_POINTS - 2) / 2);
    let mut kept = vec![*first];
    for points in between.chunks(stretch) {
        let by_value = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        let (least, greatest) = (points.iter().min_by(by_value), points.iter().max_by(by_value));
        let mut ends: Vec<(f64, f64)> = least.into_iter().chain(greatest).copied().collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        ends.dedup();
        kept.extend(ends);
    }
    kept.push(*last);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_knows_every_colour_of_a_chart() {
        let style = include_str!("page.css");
        for colour in SERIES.iter().chain(&[INK, GRID, LEVEL]) {
            let RGBColor(red, green, blue) = colour;
            let found = format!("=\"#{red:02X}{green:02X}{blue:02X}\"]");
            assert!(style.contains(&found), "page.css does not know {found}");
        }
        for at in 0..SERIES.len() {
            assert!(style.contains(&format!(".series-{at}")), "{at}");
        }
    }

    #[test]
    fn a_chart_has_a_line_for_each_series_and_no_background() {
        let one = |colour, dashed| Series {
            name: "loss".into(),
            colour,
            dashed,
            points: vec![(1.0, 3.0), (2.0, 2.0)],
        };
        let svg = lines(&[one(0, false), one(1, true)], Some(2.5)).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for colour in ["#0072B2", "#D55E00", "#777770"] {
            assert!(svg.contains(colour), "{colour}");
        }
        assert!(!svg.contains("<rect"), "the page shows through");
    }

    #[test]
    fn curves_of_no_one_or_equal_points_can_be_drawn() {
        for points in [vec![], vec![(5.0, 1.0)], vec![(0.0, 0.0), (9.0, 0.0)]] {
            let one = Series { name: "lr".into(), colour: 7, dashed: true, points };
            assert!(lines(&[one], None).unwrap().contains("<svg"));
        }
        assert!(lines(&[], None).unwrap().contains("<svg"));
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_ends_and_spikes() {
        let value = |x: u32| if x == 333 { 9.0 } else { f64::from(x % 2) };
        let points = |count: u32| (0..count).map(|x| (f64::from(x), value(x))).collect::<Vec<_>>();
        for count in [0, 1, 399, 400, 401, 799, 800, 100_001] {
            let (all, kept) = (points(count), thinned(&points(count)));
            assert!(kept.len() <= MAX_POINTS, "{count}: {}", kept.len());
            assert_eq!((kept.first(), kept.last()), (all.first(), all.last()), "{count}");
            assert_eq!(kept.contains(&(333.0, 9.0)), count > 333, "{count}");
        }
    }
}

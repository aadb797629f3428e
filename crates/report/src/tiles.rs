//! Single values, gauges and tables.

use crate::axis::number;
use crate::chart::Chart;
use crate::drawing::{At, Drawing, Frame, Stroke, Text, at};
use crate::font;
use crate::graph::{head, latest};

/// Tiles of one size that fill what is below `top`.
fn tiles(chart: &Chart, top: f32) -> Vec<Frame> {
    let (width, height) = chart.size();
    let (width, height) = (width - 16.0, height - top - 8.0);
    let count = chart.series.len();
    if count == 0 || width < 8.0 || height < 8.0 {
        return Vec::new();
    }
    // Tiles are about twice as wide as high.
    let columns = (1..=count).find(|columns| {
        let rows = count.div_ceil(*columns) as f32;
        width / *columns as f32 <= height / rows * 2.5
    });
    let columns = columns.unwrap_or(count);
    let rows = count.div_ceil(columns);
    let (w, h) = (width / columns as f32, height / rows as f32);
    let frame = |index: usize| {
        let (left, top) = (8.0 + (index % columns) as f32 * w, top + (index / columns) as f32 * h);
        Frame { left, top, right: left + w, bottom: top + h }
    };
    (0..count).map(frame).collect()
}

pub(crate) fn values(chart: &Chart) -> Drawing {
    let (mut out, top) = head(chart);
    let palette = chart.theme.palette();
    for (index, frame) in tiles(chart, top).into_iter().enumerate() {
        let series = &chart.series[index];
        let text = latest(series);
        let fits = (frame.width() - 16.0) / font::width(&text, 1.0).max(0.1);
        let size = (frame.height() * 0.45).min(fits).clamp(8.0, 64.0);
        let middle = (frame.left + frame.right) / 2.0;
        let base = (frame.top + frame.bottom) / 2.0 + size * 0.2;
        out.text(Text::new(text, at(middle, base), size, palette.text).middle());
        let label = Text::new(&*series.label, at(middle + 7.0, base + 20.0), 12.0, palette.faint_text);
        let label = label.middle().within(frame.width() - 32.0);
        let left = middle + 7.0 - font::width(&label.text, 12.0) / 2.0 - 14.0;
        let patch = Frame { left, top: base + 11.0, right: left + 10.0, bottom: base + 21.0 };
        out.area(patch.corners(), chart.color(index));
        out.text(label);
    }
    out
}

pub(crate) fn gauges(chart: &Chart) -> Drawing {
    let (mut out, top) = head(chart);
    let palette = chart.theme.palette();
    let (from, to) = (chart.left.min.unwrap_or(0.0), chart.left.max.unwrap_or(100.0));
    for (index, frame) in tiles(chart, top).into_iter().enumerate() {
        let series = &chart.series[index];
        // Half of the arc's width lies outside of its radius, and the lower texts take 40 pixels.
        let radius = (frame.width() / 2.2 - 12.0).min((frame.height() - 56.0) / 1.85).clamp(4.0, 120.0);
        let center = at((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0 - 10.0);
        let share = series.latest().map_or(0.0, |value| (value - from) / (to - from));
        let share = if share.is_finite() { share.clamp(0.0, 1.0) as f32 } else { 0.0 };
        let width = (radius * 0.2).max(2.0);
        out.line(arc(center, radius, 1.0), Stroke { color: palette.grid, width, dash: None });
        if share > 0.0 {
            out.line(arc(center, radius, share), Stroke { color: chart.color(index), width, dash: None });
        }
        let size = (radius * 0.45).clamp(8.0, 48.0);
        out.text(Text::new(latest(series), at(center.x, center.y + size * 0.3), size, palette.text).middle());
        let ends = radius * std::f32::consts::FRAC_1_SQRT_2;
        for (value, x) in [(from, center.x - ends), (to, center.x + ends)] {
            let place = at(x, center.y + ends + width * 0.5 + 14.0);
            out.text(Text::new(number(value), place, 11.0, palette.faint_text).middle());
        }
        let place = at(center.x, center.y + ends + width * 0.5 + 30.0);
        out.text(
            Text::new(&*series.label, place, 12.0, palette.faint_text).middle().within(frame.width() - 8.0),
        );
    }
    out
}

/// That share of an arc of 270°, open below.
fn arc(center: At, radius: f32, share: f32) -> Vec<At> {
    let steps = 64;
    (0..=steps)
        .map(|step| {
            let degrees = 135.0 + 270.0 * share * step as f32 / steps as f32;
            let (sin, cos) = degrees.to_radians().sin_cos();
            at(center.x + radius * cos, center.y + radius * sin)
        })
        .collect()
}

pub(crate) fn table(chart: &Chart) -> Drawing {
    const ROW: f32 = 22.0;
    const COLUMN: f32 = 72.0;
    let (mut out, top) = head(chart);
    let palette = chart.theme.palette();
    let (width, height) = chart.size();
    let heads = ["Minimum", "Maximum", "Average", "Latest"];
    let right = |column: usize| width - 12.0 - (heads.len() - 1 - column) as f32 * COLUMN;
    let rule = |y: f32| vec![at(12.0, y.floor() + 0.5), at(width - 12.0, y.floor() + 0.5)];
    let pen = |color| Stroke { color, width: 1.0, dash: None };
    for (column, head) in heads.into_iter().enumerate() {
        out.text(Text::new(head, at(right(column), top + 14.0), 11.0, palette.faint_text).end());
    }
    out.line(rule(top + ROW), pen(palette.axis));
    for (index, series) in chart.series.iter().enumerate() {
        let base = top + ROW * (index + 1) as f32 + 15.0;
        if base + 8.0 > height {
            break;
        }
        let patch = Frame { left: 12.0, top: base - 9.0, right: 22.0, bottom: base + 1.0 };
        out.area(patch.corners(), chart.color(index));
        let room = (right(0) - COLUMN - 28.0).max(0.0);
        out.text(Text::new(&*series.label, at(28.0, base), 12.0, palette.text).within(room));
        let values: Vec<f64> = series.finite().map(|(_, y)| y).collect();
        let told = |value: f64| if values.is_empty() { "–".to_owned() } else { number(value) };
        let figures = [
            told(values.iter().copied().fold(f64::INFINITY, f64::min)),
            told(values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            told(values.iter().sum::<f64>() / values.len() as f64),
            latest(series),
        ];
        for (column, figure) in figures.into_iter().enumerate() {
            out.text(Text::new(figure, at(right(column), base), 12.0, palette.text).end());
        }
        out.line(rule(base + 7.0), pen(palette.grid));
    }
    out
}

//! The latest values beside one another: bars and pies.

use crate::axis::{YScale, number};
use crate::chart::Chart;
use crate::drawing::{At, Drawing, Frame, Stroke, Text, at};
use crate::graph::{head, latest};
use crate::{font, legend};

pub(crate) fn bars(chart: &Chart) -> Drawing {
    let (mut out, top) = head(chart);
    let palette = chart.theme.palette();
    let (width, height) = chart.size();
    let count = chart.series.len();
    let widest = chart.series.iter().map(|series| font::width(&series.label, 12.0)).fold(0.0, f32::max);
    let frame = Frame {
        left: 12.0 + widest.min(width * 0.4) + 10.0,
        top,
        right: width - 64.0,
        bottom: height - 30.0,
    };
    if count == 0 || frame.width() < 8.0 || frame.height() < 8.0 {
        return out;
    }
    let values = chart.series.iter().filter_map(|series| series.latest()).chain([0.0]);
    let scale = YScale::over(values, chart.left.min, chart.left.max, frame.width() / 1.6);
    let place = |value: f64| {
        let share = (value - scale.from) / (scale.to - scale.from);
        frame.left + frame.width() * share.clamp(0.0, 1.0) as f32
    };
    for tick in &scale.ticks {
        let x = place(tick.value).floor() + 0.5;
        let pen = Stroke { color: palette.grid, width: 1.0, dash: None };
        out.line(vec![at(x, frame.top), at(x, frame.bottom)], pen);
        out.text(Text::new(&*tick.text, at(x, frame.bottom + 16.0), 11.0, palette.faint_text).middle());
    }
    let row = frame.height() / count as f32;
    let thick = (row * 0.6).clamp(1.0, 36.0);
    for (index, series) in chart.series.iter().enumerate() {
        let middle = frame.top + row * (index as f32 + 0.5);
        let label = Text::new(&*series.label, at(frame.left - 8.0, middle + 4.0), 12.0, palette.text).end();
        out.text(label.within(frame.left - 20.0));
        let value = series.latest().unwrap_or(0.0);
        let (zero, end) = (place(0.0), place(value));
        let bar = Frame {
            left: zero.min(end),
            right: zero.max(end),
            top: middle - thick / 2.0,
            bottom: middle + thick / 2.0,
        };
        out.area(bar.corners(), chart.color(index));
        out.text(Text::new(latest(series), at(bar.right + 6.0, middle + 4.0), 12.0, palette.text));
    }
    out
}

pub(crate) fn pie(chart: &Chart) -> Drawing {
    let (mut out, top) = head(chart);
    let palette = chart.theme.palette();
    // A share is of what is positive.
    let values: Vec<f64> =
        chart.series.iter().map(|series| series.latest().unwrap_or(0.0).max(0.0)).collect();
    let sum: f64 = values.iter().sum();
    let labels = chart.series.iter().zip(&values).enumerate().map(|(index, (series, value))| {
        let percent = if sum > 0.0 { value / sum * 100.0 } else { 0.0 };
        (format!("{} ({}, {percent:.1} %)", series.label, number(*value)), chart.color(index))
    });
    let legend = legend::place(chart, labels.collect());
    let (width, height) = chart.size();
    let (width, height) = (width - legend.right, height - legend.bottom - 12.0);
    let radius = ((height - top) / 2.0).min(width / 2.0 - 12.0);
    let center = at(width / 2.0, top + (height - top) / 2.0);
    if radius >= 4.0 && sum > 0.0 {
        let mut from = 0.0;
        for (index, value) in values.iter().enumerate() {
            let to = from + value / sum;
            out.area(sector(center, radius, from as f32, to as f32), chart.color(index));
            from = to;
        }
        // The hole makes it a ring, whose parts are easier to compare.
        out.disc(center, radius * 0.5, palette.background);
        let total =
            Text::new(number(sum), at(center.x, center.y + radius * 0.09), radius * 0.26, palette.text);
        out.text(total.middle());
    }
    legend.draw(chart, top, &mut out);
    out
}

/// From `from` to `to` turns, clockwise from the top.
fn sector(center: At, radius: f32, from: f32, to: f32) -> Vec<At> {
    let steps = ((to - from) * 180.0).ceil().max(1.0);
    let edge = (0..=steps as u32).map(|step| {
        let turns = from + (to - from) * step as f32 / steps;
        let (sin, cos) = (turns * std::f32::consts::TAU).sin_cos();
        at(center.x + radius * sin, center.y - radius * cos)
    });
    std::iter::once(center).chain(edge).collect()
}

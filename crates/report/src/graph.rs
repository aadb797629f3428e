//! Lines, steps and areas between two axes.

use crate::axis::{Tick, YScale, number};
use crate::chart::{Axis, Chart, Dots, Fill, Series, Style, VerticalFill};
use crate::drawing::{Anchor, At, Drawing, Frame, Stroke, Text, at};
use crate::{Color, font, legend};

const TICK: f32 = 11.0;
const LABEL: f32 = 12.0;
pub(crate) const TITLE: f32 = 15.0;

/// Draws background, title and notes; gives the place below them.
pub(crate) fn head(chart: &Chart) -> (Drawing, f32) {
    let palette = chart.theme.palette();
    let mut out = Drawing::new(chart.width, chart.height, palette.background, &*chart.title);
    let room = chart.size().0 - 24.0;
    let mut top = 10.0;
    if !chart.title.is_empty() {
        out.text(Text::new(&*chart.title, at(12.0, top + 14.0), TITLE, palette.text).bold().within(room));
        top += 24.0;
    }
    for note in &chart.notes {
        out.text(Text::new(&**note, at(12.0, top + 11.0), TICK, palette.annotation).within(room));
        top += 16.0;
    }
    (out, top)
}

/// The plot: its frame and what turns values into places.
struct Plot<'a> {
    chart: &'a Chart,
    frame: Frame,
    x: (f64, f64),
    left: YScale,
    right: YScale,
}

impl Plot<'_> {
    fn x(&self, x: f64) -> f32 {
        let (from, to) = self.x;
        self.frame.left + self.frame.width() * share(x, from, to)
    }

    fn y(&self, y: f64, right: bool) -> f32 {
        let scale = if right { &self.right } else { &self.left };
        self.frame.bottom - self.frame.height() * share(y, scale.from, scale.to)
    }
}

/// Where a value lies between two; far outside it stays near, so that no coordinate overflows.
fn share(value: f64, from: f64, to: f64) -> f32 {
    if to > from { ((value - from) / (to - from)).clamp(-20.0, 20.0) as f32 } else { 0.5 }
}

/// What a series is drawn from: its values, in a stack those of all up to it.
struct Layer<'a> {
    series: &'a Series,
    color: Color,
    points: Vec<(f64, f64)>,
    /// The layer below, in a stack.
    floor: Option<Vec<(f64, f64)>>,
}

fn layers(chart: &Chart) -> Vec<Layer<'_>> {
    let mut layers: Vec<Layer<'_>> = Vec::new();
    for (index, series) in chart.series.iter().enumerate() {
        let color = chart.color(index);
        layers.push(Layer { series, color, points: series.finite().collect(), floor: None });
    }
    if chart.stacked {
        for right in [false, true] {
            stack(&mut layers, right);
        }
    }
    layers
}

/// Adds each layer of an axis to those before it. A point that a series does not have counts as zero.
fn stack(layers: &mut [Layer<'_>], right: bool) {
    let of_axis = |layer: &&mut Layer<'_>| layer.series.right == right;
    let mut xs: Vec<f64> = layers
        .iter_mut()
        .filter(of_axis)
        .flat_map(|layer| layer.points.iter().map(|(x, _)| *x).collect::<Vec<_>>())
        .collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let mut below: Vec<(f64, f64)> = xs.iter().map(|x| (*x, 0.0)).collect();
    for layer in layers.iter_mut().filter(of_axis) {
        let mut own = layer.points.iter().copied().peekable();
        let mut summed = below.clone();
        for (x, y) in &mut summed {
            while let Some((_, value)) = own.next_if(|(at, _)| at <= x) {
                *y += value;
            }
        }
        layer.points = summed.clone();
        layer.floor = Some(std::mem::replace(&mut below, summed));
    }
}

pub(crate) fn draw(chart: &Chart) -> Drawing {
    let palette = chart.theme.palette();
    let (mut out, mut top) = head(chart);
    let layers = layers(chart);
    let labels =
        chart.series.iter().enumerate().map(|(index, series)| (series.label.clone(), chart.color(index)));
    let legend = legend::place(chart, labels.filter(|(label, _)| !label.is_empty()).collect());
    let has_right =
        chart.series.iter().any(|series| series.right) || chart.horizontal.iter().any(|line| line.right);
    let (left_label, right_label) = (label(&chart.left), label(&chart.right).filter(|_| has_right));
    if left_label.is_some() || right_label.is_some() {
        top += 18.0;
    }
    let (width, height) = chart.size();
    let x_label = if chart.x.label().is_empty() { 0.0 } else { 16.0 };
    let bottom = height - legend.bottom - 24.0 - x_label;
    top += 6.0;
    let scale = |axis: &Axis, right: bool| {
        let points = layers.iter().filter(|layer| layer.series.right == right);
        let values = points.clone().flat_map(|layer| layer.points.iter().map(|(_, y)| *y));
        let lines = chart.horizontal.iter().filter(|line| line.right == right).flat_map(|line| {
            let other = if let Fill::Between(other) = line.fill { other } else { line.value };
            [line.value, other]
        });
        let zero = (chart.stacked || points.clone().any(|layer| layer.series.area)).then_some(0.0);
        YScale::over(values.chain(lines).chain(zero), axis.min, axis.max, bottom - top)
    };
    let (left, right) = (scale(&chart.left, false), scale(&chart.right, true));
    let widest =
        |scale: &YScale| scale.ticks.iter().map(|tick| font::width(&tick.text, TICK)).fold(0.0, f32::max);
    let frame = Frame {
        left: 12.0 + widest(&left) + 8.0,
        top,
        right: width - legend.right - if has_right { widest(&right) + 20.0 } else { 18.0 },
        bottom,
    };
    if frame.width() >= 8.0 && frame.height() >= 8.0 {
        let ends = chart.x.ends();
        let plot = Plot { chart, frame, x: ends, left, right };
        grid(&plot, has_right, &mut out);
        // A line along the frame's edge shows in its whole width.
        let inside = Frame { top: frame.top - 2.0, bottom: frame.bottom + 2.0, ..frame };
        out.clipped(inside, |out| {
            shades(&plot, out);
            for layer in &layers {
                series(&plot, layer, out);
            }
            lines(&plot, out);
        });
        marks(&plot, &mut out);
        if let Some(text) = left_label {
            out.text(
                Text::new(text, at(12.0, top - 12.0), LABEL, palette.faint_text).within(width / 2.0 - 16.0),
            );
        }
        if let Some(text) = right_label {
            let place = at(frame.right + widest(&plot.right) + 8.0, top - 12.0);
            out.text(Text::new(text, place, LABEL, palette.faint_text).end().within(width / 2.0 - 16.0));
        }
        if x_label > 0.0 {
            let place = at((frame.left + frame.right) / 2.0, frame.bottom + 34.0);
            out.text(
                Text::new(chart.x.label(), place, LABEL, palette.faint_text).middle().within(frame.width()),
            );
        }
    }
    legend.draw(chart, top, &mut out);
    out
}

fn label(axis: &Axis) -> Option<String> {
    axis.label.clone().filter(|label| !label.is_empty())
}

/// A pixel's middle: thin lines stay sharp there.
fn sharp(coordinate: f32) -> f32 {
    coordinate.floor() + 0.5
}

fn grid(plot: &Plot<'_>, has_right: bool, out: &mut Drawing) {
    let (frame, palette) = (plot.frame, plot.chart.theme.palette());
    let pen = |color| Stroke { color, width: 1.0, dash: None };
    let mut side = |ticks: &[Tick], right: bool, rules: bool| {
        for tick in ticks {
            let y = plot.y(tick.value, right);
            if rules {
                let y = sharp(y);
                out.line(vec![at(frame.left, y), at(frame.right, y)], pen(palette.grid));
            }
            let place = if right { at(frame.right + 8.0, y + 4.0) } else { at(frame.left - 8.0, y + 4.0) };
            let text = Text::new(&*tick.text, place, TICK, palette.faint_text);
            out.text(if right { text } else { text.end() });
        }
    };
    side(&plot.left.ticks, false, true);
    if has_right {
        side(&plot.right.ticks, true, false);
    }
    let floor = sharp(frame.bottom);
    out.line(vec![at(frame.left, floor), at(frame.right, floor)], pen(palette.axis));
    let mut free_from = f32::NEG_INFINITY;
    for tick in plot.chart.x.ticks(frame.width()) {
        let x = plot.x(tick.value);
        let half = font::width(&tick.text, TICK) / 2.0;
        out.line(vec![at(sharp(x), frame.bottom), at(sharp(x), frame.bottom + 4.0)], pen(palette.axis));
        // The text stays inside of the picture, and beside its neighbour.
        let middle = x.min(plot.chart.size().0 - half - 2.0).max(half + 2.0);
        if middle - half >= free_from {
            let place = at(middle, frame.bottom + 17.0);
            out.text(Text::new(tick.text, place, TICK, palette.faint_text).middle());
            free_from = middle + half + 8.0;
        }
    }
}

/// What annotations shade.
fn shades(plot: &Plot<'_>, out: &mut Drawing) {
    let (frame, annotation) = (plot.frame, plot.chart.theme.palette().annotation);
    for line in &plot.chart.horizontal {
        let y = plot.y(line.value, line.right);
        let (top, bottom) = match line.fill {
            Fill::None => continue,
            Fill::Above => (frame.top, y),
            Fill::Below => (y, frame.bottom),
            Fill::Between(other) => {
                let other = plot.y(other, line.right);
                (y.min(other), y.max(other))
            }
        };
        let color = line.color.unwrap_or(annotation).with_alpha(36);
        out.area(Frame { top, bottom, ..frame }.corners(), color);
    }
    for line in &plot.chart.vertical {
        let x = plot.x(line.x);
        let (left, right) = match line.fill {
            VerticalFill::None => continue,
            VerticalFill::Before => (frame.left, x),
            VerticalFill::After => (x, frame.right),
            VerticalFill::Between(other) => {
                let other = plot.x(other);
                (x.min(other), x.max(other))
            }
        };
        let color = line.color.unwrap_or(annotation).with_alpha(36);
        out.area(Frame { left, right, ..frame }.corners(), color);
    }
}

/// The lines of annotations.
fn lines(plot: &Plot<'_>, out: &mut Drawing) {
    let (frame, annotation) = (plot.frame, plot.chart.theme.palette().annotation);
    let pen = |color: Option<Color>| Stroke {
        color: color.unwrap_or(annotation),
        width: 1.5,
        dash: Some((6.0, 3.0)),
    };
    for line in &plot.chart.horizontal {
        let other = if let Fill::Between(other) = line.fill { Some(other) } else { None };
        for value in [Some(line.value), other].into_iter().flatten() {
            let y = plot.y(value, line.right);
            out.line(vec![at(frame.left, y), at(frame.right, y)], pen(line.color));
        }
    }
    for line in &plot.chart.vertical {
        let other = if let VerticalFill::Between(other) = line.fill { Some(other) } else { None };
        for x in [Some(line.x), other].into_iter().flatten() {
            let x = plot.x(x);
            out.line(vec![at(x, frame.top), at(x, frame.bottom)], pen(line.color));
        }
    }
}

/// The texts of annotations: above the line at the right end, or at the top beside it.
fn marks(plot: &Plot<'_>, out: &mut Drawing) {
    let (frame, annotation) = (plot.frame, plot.chart.theme.palette().annotation);
    for line in &plot.chart.horizontal {
        let y = plot.y(line.value, line.right);
        if line.label.is_empty() || y < frame.top - 1.0 || y > frame.bottom + 1.0 {
            continue;
        }
        let y = if y - frame.top < 16.0 { y + 13.0 } else { y - 4.0 };
        let text = Text::new(&*line.label, at(frame.right - 4.0, y), TICK, line.color.unwrap_or(annotation));
        let text = text.end().within(frame.width() - 8.0);
        backed(plot, text, out);
    }
    let mut row = 0;
    let mut free_from = f32::NEG_INFINITY;
    let mut vertical: Vec<_> = plot.chart.vertical.iter().filter(|line| !line.label.is_empty()).collect();
    vertical.sort_by(|a, b| a.x.total_cmp(&b.x));
    for line in vertical {
        let x = plot.x(line.x);
        if x < frame.left - 1.0 || x > frame.right + 1.0 {
            continue;
        }
        let text = Text::new(&*line.label, at(0.0, 0.0), TICK, line.color.unwrap_or(annotation));
        let mut text = text.within(frame.width() / 2.0);
        let width = font::width(&text.text, TICK);
        let left = if x + 4.0 + width > frame.right { x - 4.0 - width } else { x + 4.0 };
        // Labels that would touch go to rows below one another.
        row = if left < free_from { (row + 1) % 4 } else { 0 };
        free_from = free_from.max(left + width + 6.0);
        text.at = at(left, frame.top + 12.0 + row as f32 * 15.0);
        backed(plot, text, out);
    }
}

/// Draws a text on a patch that dims the lines behind it.
fn backed(plot: &Plot<'_>, text: Text, out: &mut Drawing) {
    let width = font::width(&text.text, text.size);
    let left = if text.anchor == Anchor::End { text.at.x - width } else { text.at.x };
    let (top, bottom) = (text.at.y - text.size, text.at.y + 3.0);
    let patch = Frame { left: left - 2.0, top, right: left + width + 2.0, bottom };
    out.area(patch.corners(), plot.chart.theme.palette().background.with_alpha(200));
    out.text(text);
}

fn series(plot: &Plot<'_>, layer: &Layer<'_>, out: &mut Drawing) {
    let series = layer.series;
    let place = |(x, y): (f64, f64)| at(plot.x(x), plot.y(y, series.right));
    let runs = runs(&layer.points, series.gap.filter(|_| layer.floor.is_none()));
    let pen = Stroke { color: layer.color, width: 2.0, dash: None };
    for run in runs {
        let upper: Vec<At> = walk(run, series.style).into_iter().map(place).collect();
        if layer.floor.is_some() || series.area {
            let ground = plot.y(0.0, series.right);
            let lower: Vec<At> = match &layer.floor {
                Some(floor) => walk(floor, series.style).into_iter().map(place).collect(),
                None => upper.iter().map(|place| at(place.x, ground)).collect(),
            };
            let corners = upper.iter().copied().chain(lower.into_iter().rev()).collect();
            let alpha = if layer.floor.is_some() { 150 } else { 60 };
            out.area(corners, layer.color.with_alpha(alpha));
        }
        if series.style == Style::Points {
            for place in &upper {
                out.disc(*place, 2.5, layer.color);
            }
            continue;
        }
        let lonely = run.len() == 1;
        if lonely || series.dots == Dots::All {
            for point in run {
                out.disc(place(*point), 3.0, layer.color);
            }
        }
        if !lonely {
            out.line(upper, pen);
        }
    }
}

/// Points that are joined.
fn runs(points: &[(f64, f64)], gap: Option<f64>) -> Vec<&[(f64, f64)]> {
    let apart = |a: &(f64, f64), b: &(f64, f64)| gap.is_none_or(|gap| b.0 - a.0 <= gap);
    points.chunk_by(apart).collect()
}

fn walk(points: &[(f64, f64)], style: Style) -> Vec<(f64, f64)> {
    if style != Style::Steps {
        return points.to_vec();
    }
    let mut way = Vec::with_capacity(points.len() * 2);
    for (index, point) in points.iter().enumerate() {
        if index > 0 {
            way.push((point.0, points[index - 1].1));
        }
        way.push(*point);
    }
    way
}

/// The latest value of a series, as it is written.
pub(crate) fn latest(series: &Series) -> String {
    series.latest().map_or_else(|| "–".to_owned(), number)
}

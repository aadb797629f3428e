//! Legends: a patch of color and a label for each series.

use crate::Color;
use crate::chart::{Chart, Legend};
use crate::drawing::{Drawing, Frame, Text, at};
use crate::font;

pub(crate) const SIZE: f32 = 12.0;
const ROW: f32 = 19.0;
/// From the beginning of the patch to that of the label, and between two entries.
const PATCH: f32 = 16.0;
const SPACE: f32 = 18.0;

struct Entry {
    left: f32,
    top: f32,
    label: String,
    color: Color,
}

/// Where every entry stands, and the room that the legend takes: width at the right, height at the bottom.
pub(crate) struct Placed {
    entries: Vec<Entry>,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
    right_side: bool,
}

/// Lays the legend out. It takes no more than a third of the chart; what does not fit is counted in a last entry.
pub(crate) fn place(chart: &Chart, labels: Vec<(String, Color)>) -> Placed {
    let (width, height) = chart.size();
    let mut placed = Placed { entries: Vec::new(), right: 0.0, bottom: 0.0, right_side: false };
    if labels.is_empty() || chart.legend == Legend::Hidden {
        return placed;
    }
    let total = labels.len();
    let rest = |shown: usize, color: Color| (format!("and {} more", total - shown), color);
    if chart.legend == Legend::Right {
        let widest = labels.iter().map(|(label, _)| font::width(label, SIZE)).fold(0.0, f32::max);
        let room = (widest + PATCH + 4.0).min(width / 3.0);
        let rows = ((height - 60.0) / ROW).max(1.0) as usize;
        for (index, (label, color)) in labels.into_iter().enumerate().take(rows) {
            let last = index + 1 == rows && total > rows;
            let (label, color) = if last { rest(index, color) } else { (label, color) };
            let label = Text::new(label, at(0.0, 0.0), SIZE, color).within(room - PATCH).text;
            placed.entries.push(Entry { left: 0.0, top: index as f32 * ROW, label, color });
        }
        placed.right = room + 12.0;
        placed.right_side = true;
        return placed;
    }
    let room = width - 24.0;
    let rows_max = (height / 3.0 / ROW).max(1.0) as usize;
    let (mut left, mut row) = (0.0, 0);
    for (index, (label, color)) in labels.into_iter().enumerate() {
        let label = Text::new(label, at(0.0, 0.0), SIZE, color).within((room - PATCH).max(0.0)).text;
        let taken = PATCH + font::width(&label, SIZE);
        if left > 0.0 && left + taken > room {
            (left, row) = (0.0, row + 1);
        }
        if row == rows_max {
            if let Some(last) = placed.entries.last_mut() {
                last.label = rest(index - 1, last.color).0;
            }
            break;
        }
        placed.entries.push(Entry { left, top: row as f32 * ROW, label, color });
        left += taken + SPACE;
    }
    placed.bottom = placed.entries.last().map_or(0.0, |last| last.top + ROW) + 4.0;
    placed
}

impl Placed {
    /// Draws it: at the right of the plot from its top on, or at the bottom of the chart.
    pub(crate) fn draw(&self, chart: &Chart, top: f32, out: &mut Drawing) {
        let (width, height) = chart.size();
        let palette = chart.theme.palette();
        let (x, y) = match self.right_side {
            true => (width - self.right, top),
            false => (12.0, height - self.bottom),
        };
        for entry in &self.entries {
            let (left, top) = (x + entry.left, y + entry.top);
            let patch = Frame { left, top: top + 3.0, right: left + 10.0, bottom: top + 13.0 };
            out.area(patch.corners(), entry.color);
            out.text(Text::new(&*entry.label, at(left + PATCH, top + 12.0), SIZE, palette.text));
        }
    }
}

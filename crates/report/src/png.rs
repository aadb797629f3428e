//! Drawings as PNG.

use tiny_skia::{
    FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, Rect, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use crate::Color;
use crate::drawing::{Anchor, At, Drawing, Frame, Shape, Stroke, Text, Weight};
use crate::font;

/// 256 MiB of memory at most.
const PIXELS_MAX: u64 = 1 << 26;

/// The typeface is a light one: a thin line around each letter makes it as dark as text on a screen should be.
const NORMAL: f32 = 0.024;
const BOLD: f32 = 0.075;

pub(crate) fn write(drawing: &Drawing) -> Option<Vec<u8>> {
    if u64::from(drawing.width) * u64::from(drawing.height) > PIXELS_MAX {
        return None;
    }
    let mut pixels = Pixmap::new(drawing.width, drawing.height)?;
    pixels.fill(color(drawing.background));
    let mut mask: Option<Mask> = None;
    for shape in &drawing.shapes {
        let mask_ref = mask.as_ref();
        match shape {
            Shape::Area { corners, color } => {
                if let Some(path) = way(corners, true) {
                    fill(&mut pixels, &path, *color, mask_ref);
                }
            }
            Shape::Line { points, stroke } => {
                if let Some(path) = way(points, false) {
                    line(&mut pixels, &path, stroke, mask_ref);
                }
            }
            Shape::Disc { center, radius, color } => {
                if let Some(path) = PathBuilder::from_circle(center.x, center.y, *radius) {
                    fill(&mut pixels, &path, *color, mask_ref);
                }
            }
            Shape::Text(text) => letters(&mut pixels, text, mask_ref),
            Shape::Clip(frame) => mask = inside(drawing, *frame),
            Shape::ClipEnd => mask = None,
        }
    }
    pixels.encode_png().ok()
}

fn color(color: Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(color.red, color.green, color.blue, color.alpha)
}

fn paint(of: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(color(of));
    paint.anti_alias = true;
    paint
}

fn way(points: &[At], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, at) in points.iter().enumerate() {
        match index {
            0 => builder.move_to(at.x, at.y),
            _ => builder.line_to(at.x, at.y),
        }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

fn fill(pixels: &mut Pixmap, path: &Path, color: Color, mask: Option<&Mask>) {
    pixels.fill_path(path, &paint(color), FillRule::Winding, Transform::identity(), mask);
}

fn line(pixels: &mut Pixmap, path: &Path, stroke: &Stroke, mask: Option<&Mask>) {
    let dash = stroke.dash.and_then(|(dash, gap)| StrokeDash::new(vec![dash, gap], 0.0));
    let pen = tiny_skia::Stroke {
        width: stroke.width,
        line_join: LineJoin::Round,
        line_cap: LineCap::Butt,
        dash,
        ..tiny_skia::Stroke::default()
    };
    pixels.stroke_path(path, &paint(stroke.color), &pen, Transform::identity(), mask);
}

fn letters(pixels: &mut Pixmap, text: &Text, mask: Option<&Mask>) {
    let width = font::width(&text.text, text.size);
    let left = match text.anchor {
        Anchor::Start => text.at.x,
        Anchor::Middle => text.at.x - width / 2.0,
        Anchor::End => text.at.x - width,
    };
    let mut outline = Outline(PathBuilder::new());
    font::outline(&text.text, text.size, left, text.at.y, &mut outline);
    let Some(path) = outline.0.finish() else { return };
    fill(pixels, &path, text.color, mask);
    let share = match text.weight {
        Weight::Normal => NORMAL,
        Weight::Bold => BOLD,
    };
    line(pixels, &path, &Stroke { color: text.color, width: text.size * share, dash: None }, mask);
}

fn inside(drawing: &Drawing, frame: Frame) -> Option<Mask> {
    let mut mask = Mask::new(drawing.width, drawing.height)?;
    let rect = Rect::from_ltrb(frame.left, frame.top, frame.right, frame.bottom)?;
    mask.fill_path(&PathBuilder::from_rect(rect), FillRule::Winding, true, Transform::identity());
    Some(mask)
}

struct Outline(PathBuilder);

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

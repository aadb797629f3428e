//! The one typeface: how wide texts are, and what their letters look like.
//!
//! It is Ubuntu Light (Ubuntu font licence 1.0), which the `epaint_default_fonts` package carries.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static FACE: LazyLock<Face<'static>> = LazyLock::new(|| {
    Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).expect("the embedded typeface is whole")
});

/// What SVG viewers are asked for.
pub(crate) const FAMILY: &str = "Ubuntu, 'Helvetica Neue', Arial, sans-serif";

fn glyph(c: char) -> Option<GlyphId> {
    // Control characters have no width and no look.
    (!c.is_control()).then(|| FACE.glyph_index(c).or_else(|| FACE.glyph_index('?')))?
}

fn advance(glyph: GlyphId) -> f32 {
    f32::from(FACE.glyph_hor_advance(glyph).unwrap_or_default())
}

fn scale(size: f32) -> f32 {
    size / f32::from(FACE.units_per_em())
}

/// Width of a text in pixels.
pub(crate) fn width(text: &str, size: f32) -> f32 {
    text.chars().filter_map(glyph).map(advance).sum::<f32>() * scale(size)
}

/// Gives the outline of each letter to `builder`, with the base line's beginning at `(x, y)`.
pub(crate) fn outline(text: &str, size: f32, x: f32, y: f32, builder: &mut dyn OutlineBuilder) {
    let scale = scale(size);
    let mut placed = Placed { x, y, scale, builder };
    for glyph in text.chars().filter_map(glyph) {
        FACE.outline_glyph(glyph, &mut placed);
        placed.x += advance(glyph) * scale;
    }
}

/// Turns font units, whose y rises, into pixels.
struct Placed<'a> {
    x: f32,
    y: f32,
    scale: f32,
    builder: &'a mut dyn OutlineBuilder,
}

impl Placed<'_> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Placed<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.builder.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

//! The flat list that both writers draw: areas, lines, texts, in the order in which they cover one another.

use crate::Color;
use crate::font;

/// A place in pixels from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    pub x: f32,
    pub y: f32,
}

pub(crate) fn at(x: f32, y: f32) -> At {
    At { x, y }
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Frame {
    pub(crate) fn width(self) -> f32 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> f32 {
        self.bottom - self.top
    }

    pub(crate) fn corners(self) -> Vec<At> {
        let Self { left, top, right, bottom } = self;
        vec![at(left, top), at(right, top), at(right, bottom), at(left, bottom)]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    pub color: Color,
    pub width: f32,
    /// Lengths of dash and gap.
    pub dash: Option<(f32, f32)>,
}

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    #[default]
    Start,
    Middle,
    End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    #[default]
    Normal,
    Bold,
}

/// One line of text; its place is on the base line.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub text: String,
    pub at: At,
    pub size: f32,
    pub color: Color,
    pub anchor: Anchor,
    pub weight: Weight,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Area {
        corners: Vec<At>,
        color: Color,
    },
    Line {
        points: Vec<At>,
        stroke: Stroke,
    },
    Disc {
        center: At,
        radius: f32,
        color: Color,
    },
    Text(Text),
    /// What follows until [`Shape::ClipEnd`] shows only inside.
    Clip(Frame),
    ClipEnd,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    pub width: u32,
    pub height: u32,
    pub(crate) background: Color,
    pub(crate) title: String,
    pub(crate) shapes: Vec<Shape>,
}

impl Drawing {
    /// An empty picture; `title` is what a reader who cannot see it is told.
    pub fn new(width: u32, height: u32, background: Color, title: impl Into<String>) -> Self {
        Self { width, height, background, title: title.into(), shapes: Vec::new() }
    }

    pub fn area(&mut self, corners: Vec<At>, color: Color) {
        self.shapes.push(Shape::Area { corners, color });
    }

    pub fn line(&mut self, points: Vec<At>, stroke: Stroke) {
        self.shapes.push(Shape::Line { points, stroke });
    }

    pub fn disc(&mut self, center: At, radius: f32, color: Color) {
        self.shapes.push(Shape::Disc { center, radius, color });
    }

    pub fn text(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }

    /// What `draw` adds shows only inside of the frame.
    pub fn clipped(&mut self, frame: Frame, draw: impl FnOnce(&mut Self)) {
        self.shapes.push(Shape::Clip(frame));
        draw(self);
        self.shapes.push(Shape::ClipEnd);
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        crate::svg::write(self)
    }

    /// As PNG; `None` without width or height, or with more than 2²⁶ pixels.
    pub fn png(&self) -> Option<Vec<u8>> {
        crate::png::write(self)
    }
}

impl Text {
    pub(crate) fn new(text: impl Into<String>, at: At, size: f32, color: Color) -> Self {
        Self { text: text.into(), at, size, color, anchor: Anchor::Start, weight: Weight::Normal }
    }

    pub(crate) fn middle(self) -> Self {
        Self { anchor: Anchor::Middle, ..self }
    }

    pub(crate) fn end(self) -> Self {
        Self { anchor: Anchor::End, ..self }
    }

    pub(crate) fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    /// The text shortened to that width, with an ellipsis where something is left out.
    pub(crate) fn within(mut self, width: f32) -> Self {
        if font::width(&self.text, self.size) > width {
            while !self.text.is_empty()
                && font::width(&self.text, self.size) + font::width("…", self.size) > width
            {
                self.text.pop();
            }
            self.text.push('…');
        }
        self
    }
}

//! Drawings as SVG: plain elements, two digits after the point, no ids but those of clips.

use std::fmt::Write;

use crate::Color;
use crate::drawing::{Anchor, At, Drawing, Shape, Stroke, Text, Weight};
use crate::font;

pub(crate) fn write(drawing: &Drawing) -> String {
    let mut out = Out(String::with_capacity(4096));
    let (width, height) = (drawing.width, drawing.height);
    out.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"{}\">\n",
        font::FAMILY
    ));
    if !drawing.title.is_empty() {
        out.put(format_args!("<title>{}</title>\n", Escaped(&drawing.title)));
    }
    out.put(format_args!("<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n", drawing.background));
    let mut clips = 0;
    for shape in &drawing.shapes {
        match shape {
            Shape::Area { corners, color } => {
                out.put(format_args!("<path d=\"{}Z\"{}/>\n", Way(corners), Paint("fill", *color)));
            }
            Shape::Line { points, stroke } => out.line(points, stroke),
            Shape::Disc { center, radius, color } => out.put(format_args!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}/>\n",
                Short(center.x),
                Short(center.y),
                Short(*radius),
                Paint("fill", *color)
            )),
            Shape::Text(text) => out.text(text),
            Shape::Clip(frame) => {
                clips += 1;
                out.put(format_args!(
                    "<clipPath id=\"clip{clips}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n<g clip-path=\"url(#clip{clips})\">\n",
                    Short(frame.left),
                    Short(frame.top),
                    Short(frame.width()),
                    Short(frame.height())
                ));
            }
            Shape::ClipEnd => out.put(format_args!("</g>\n")),
        }
    }
    out.put(format_args!("</svg>\n"));
    out.0
}

struct Out(String);

impl Out {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes everything");
    }

    fn line(&mut self, points: &[At], stroke: &Stroke) {
        self.put(format_args!(
            "<path d=\"{}\" fill=\"none\"{} stroke-width=\"{}\" stroke-linejoin=\"round\"",
            Way(points),
            Paint("stroke", stroke.color),
            Short(stroke.width)
        ));
        if let Some((dash, gap)) = stroke.dash {
            self.put(format_args!(" stroke-dasharray=\"{} {}\"", Short(dash), Short(gap)));
        }
        self.put(format_args!("/>\n"));
    }

    fn text(&mut self, text: &Text) {
        self.put(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{}",
            Short(text.at.x),
            Short(text.at.y),
            Short(text.size),
            Paint("fill", text.color)
        ));
        match text.anchor {
            Anchor::Start => {}
            Anchor::Middle => self.put(format_args!(" text-anchor=\"middle\"")),
            Anchor::End => self.put(format_args!(" text-anchor=\"end\"")),
        }
        if text.weight == Weight::Bold {
            self.put(format_args!(" font-weight=\"bold\""));
        }
        self.put(format_args!(">{}</text>\n", Escaped(&text.text)));
    }
}

/// A number with at most two digits after the point.
struct Short(f32);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (f64::from(self.0) * 100.0).round() as i64;
        let (whole, rest) = (hundredths.abs() / 100, hundredths.abs() % 100);
        let sign = if hundredths < 0 { "-" } else { "" };
        match (rest, rest % 10) {
            (0, _) => write!(f, "{sign}{whole}"),
            (_, 0) => write!(f, "{sign}{whole}.{}", rest / 10),
            _ => write!(f, "{sign}{whole}.{rest:02}"),
        }
    }
}

struct Way<'a>(&'a [At]);

impl std::fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, at) in self.0.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            write!(f, "{command}{} {}", Short(at.x), Short(at.y))?;
        }
        Ok(())
    }
}

struct Paint(&'static str, Color);

impl std::fmt::Display for Paint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(what, color) = self;
        write!(f, " {what}=\"{color}\"")?;
        if color.alpha < 255 {
            write!(f, " {what}-opacity=\"{}\"", Short(f32::from(color.alpha) / 255.0))?;
        }
        Ok(())
    }
}

struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars().filter(|c| !c.is_control()) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

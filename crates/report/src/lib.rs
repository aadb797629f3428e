//! Charts: series over time or over numbers, single values, bars, pies and tables.
//!
//! A [`Chart`] says what is to be seen. [`Chart::svg`] and [`Chart::png`] draw it: both go through one [`Drawing`], a flat
//! list of lines, areas and texts, so that a page and an image show the same. The same chart gives the same bytes of SVG
//! everywhere, and the same pixels on one build. Coordinates are floats here, as in every picture; nothing is decided by them.

mod axis;
mod chart;
mod color;
mod drawing;
mod font;
mod graph;
mod legend;
mod png;
mod shares;
mod svg;
mod tiles;

pub use axis::{XScale, number};
pub use chart::{Axis, Chart, Dots, Fill, Horizontal, Legend, Series, Style, Vertical, VerticalFill, View};
pub use color::{Color, Theme};
pub use drawing::{Anchor, At, Drawing, Frame, Stroke, Text, Weight};

#[cfg(test)]
mod tests;

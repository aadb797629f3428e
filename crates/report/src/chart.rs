//! What a chart shows.

use capstan_model::Time;

use crate::drawing::Drawing;
use crate::{Color, Theme, XScale, graph, png, shares, svg, tiles};

/// How the series are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Lines, steps or areas over an x axis.
    #[default]
    Lines,
    /// The latest value of each series in large figures.
    SingleValue,
    /// The latest value of each series as a horizontal bar.
    Bar,
    /// The latest values as shares of a whole.
    Pie,
    /// The latest value of each series on an arc from the left axis' minimum to its maximum.
    Gauge,
    /// Rows of minimum, maximum, average and latest value.
    Table,
}

/// How one series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Line,
    /// Each value holds until the next.
    Steps,
    /// Points only.
    Points,
}

/// Where points are marked on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dots {
    /// A point that no line reaches.
    #[default]
    Lonely,
    All,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub label: String,
    /// `None`: the next of ten hues.
    pub color: Option<Color>,
    /// x and y in ascending order of x; x is in seconds since 1970 on a time axis. Values that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    pub style: Style,
    pub dots: Dots,
    /// Belongs to the right axis.
    pub right: bool,
    /// Points further apart than this are not joined; `None` joins all.
    pub gap: Option<f64>,
    /// Fills what is below the line, a little.
    pub area: bool,
}

/// A vertical axis; what is `None` follows from the values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub label: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legend {
    #[default]
    Bottom,
    Right,
    Hidden,
}

/// What a horizontal line shades.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fill {
    #[default]
    None,
    Above,
    Below,
    /// Up or down to that value, which has a line of its own.
    Between(f64),
}

/// A line at a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Horizontal {
    pub value: f64,
    pub label: String,
    pub color: Option<Color>,
    pub fill: Fill,
    pub right: bool,
}

/// What a vertical line shades.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum VerticalFill {
    #[default]
    None,
    Before,
    After,
    /// As far as that x, which has a line of its own.
    Between(f64),
}

/// A line at an x.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vertical {
    pub x: f64,
    pub label: String,
    pub color: Option<Color>,
    pub fill: VerticalFill,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub title: String,
    pub view: View,
    pub series: Vec<Series>,
    /// Areas on top of one another instead of lines.
    pub stacked: bool,
    pub x: XScale,
    pub left: Axis,
    pub right: Axis,
    pub horizontal: Vec<Horizontal>,
    pub vertical: Vec<Vertical>,
    pub legend: Legend,
    pub theme: Theme,
    /// Something that the reader should know: told below the title.
    pub notes: Vec<String>,
}

impl Chart {
    /// An empty chart of that size over the time from `from` to `to`, in UTC.
    pub fn over_time(width: u32, height: u32, from: Time, to: Time) -> Self {
        let seconds = |time: Time| time.as_micros() as f64 / 1e6;
        Self::new(width, height, XScale::Time { from: seconds(from), to: seconds(to), offset_minutes: 0 })
    }

    /// An empty chart of that size.
    pub fn new(width: u32, height: u32, x: XScale) -> Self {
        Self {
            width,
            height,
            title: String::new(),
            view: View::Lines,
            series: Vec::new(),
            stacked: false,
            x,
            left: Axis::default(),
            right: Axis::default(),
            horizontal: Vec::new(),
            vertical: Vec::new(),
            legend: Legend::Bottom,
            theme: Theme::Light,
            notes: Vec::new(),
        }
    }

    /// The lines, areas and texts that make the picture.
    pub fn draw(&self) -> Drawing {
        match self.view {
            View::Lines => graph::draw(self),
            View::SingleValue => tiles::values(self),
            View::Gauge => tiles::gauges(self),
            View::Table => tiles::table(self),
            View::Bar => shares::bars(self),
            View::Pie => shares::pie(self),
        }
    }

    pub fn svg(&self) -> String {
        svg::write(&self.draw())
    }

    /// `None` for a chart without width or height, or of more than 2²⁶ pixels.
    pub fn png(&self) -> Option<Vec<u8>> {
        png::write(&self.draw())
    }

    pub(crate) fn color(&self, index: usize) -> Color {
        self.series[index].color.unwrap_or_else(|| Color::of_series(index))
    }

    pub(crate) fn size(&self) -> (f32, f32) {
        (self.width as f32, self.height as f32)
    }
}

impl Series {
    /// A line with that label.
    pub fn line(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { label: label.into(), points, ..Self::default() }
    }

    /// Steps with that label.
    pub fn steps(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { style: Style::Steps, ..Self::line(label, points) }
    }

    pub(crate) fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }

    pub(crate) fn latest(&self) -> Option<f64> {
        self.finite().last().map(|(_, y)| y)
    }
}

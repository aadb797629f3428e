//! Colors.

use std::fmt;

/// Red, green, blue and opacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    /// 255 covers.
    pub alpha: u8,
}

/// What series are drawn in when they name no color, in order: ten hues that stay apart on white and on black.
const SERIES: [u32; 10] =
    [0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0x7f7f7f, 0xbcbd22, 0x17becf];

impl Color {
    pub const fn rgb(rgb: u32) -> Self {
        Self { red: (rgb >> 16) as u8, green: (rgb >> 8) as u8, blue: rgb as u8, alpha: 255 }
    }

    /// The color of the `index`-th series.
    pub const fn of_series(index: usize) -> Self {
        Self::rgb(SERIES[index % SERIES.len()])
    }

    /// `#1f77b4`, `#abc`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix('#')?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(hex, 16).ok()?;
        match hex.len() {
            6 => Some(Self::rgb(value)),
            3 => {
                let wide = |digit: u32| digit * 0x11;
                let (red, green, blue) = (value >> 8, (value >> 4) & 15, value & 15);
                Some(Self::rgb(wide(red) << 16 | wide(green) << 8 | wide(blue)))
            }
            _ => None,
        }
    }

    /// The same color, covering that much of what is below (0–255).
    pub const fn with_alpha(self, alpha: u8) -> Self {
        Self { alpha, ..self }
    }
}

/// `#1f77b4`; opacity is told apart.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// Whether a chart stands on white or on black.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Light,
    Dark,
}

/// The colors of everything that is not a series.
pub(crate) struct Palette {
    pub(crate) background: Color,
    pub(crate) text: Color,
    pub(crate) faint_text: Color,
    pub(crate) grid: Color,
    pub(crate) axis: Color,
    pub(crate) annotation: Color,
}

impl Theme {
    pub(crate) fn palette(self) -> Palette {
        match self {
            Self::Light => Palette {
                background: Color::rgb(0xffffff),
                text: Color::rgb(0x16191f),
                faint_text: Color::rgb(0x545b64),
                grid: Color::rgb(0xe7eaec),
                axis: Color::rgb(0x9aa3ad),
                annotation: Color::rgb(0xd13212),
            },
            Self::Dark => Palette {
                background: Color::rgb(0x16191f),
                text: Color::rgb(0xf2f3f3),
                faint_text: Color::rgb(0xa9b3bd),
                grid: Color::rgb(0x2f363f),
                axis: Color::rgb(0x6c7681),
                annotation: Color::rgb(0xff5d64),
            },
        }
    }
}

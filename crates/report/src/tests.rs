//! Charts of every kind, in odd sizes and with odd values.

use capstan_model::Time;

use super::*;

fn minutes(values: &[f64]) -> Vec<(f64, f64)> {
    values.iter().enumerate().map(|(index, value)| (index as f64 * 60.0, *value)).collect()
}

fn sample() -> Chart {
    let reservation = [100.0, 175.0, 175.0, 142.9, 71.4, 71.4, 57.1, 57.1, 57.1, 80.0, 100.0];
    let tasks = [22.0, 34.0, 34.0, 30.0, 22.0, 22.0, 22.0, 22.0, 22.0, 22.0, 22.0];
    Chart {
        title: "Reservation & <tasks>".to_owned(),
        series: vec![
            Series::line("CP-SPOT", minutes(&reservation)),
            Series { right: true, ..Series::steps("TaskCount", minutes(&tasks)) },
        ],
        horizontal: vec![Horizontal {
            value: 100.0,
            label: "target".to_owned(),
            fill: Fill::Above,
            ..Horizontal::default()
        }],
        vertical: vec![Vertical { x: 60.0, label: "interruption".to_owned(), ..Vertical::default() }],
        left: Axis { label: Some("Percent".to_owned()), ..Axis::default() },
        ..Chart::over_time(600, 400, Time::ZERO, Time::from_secs(600))
    }
}

#[test]
fn every_view_is_drawn_in_every_size() {
    use View::{Bar, Gauge, Lines, Pie, SingleValue, Table};
    let odd: [&[f64]; 6] =
        [&[], &[f64::NAN], &[1e300, -1e300], &[0.0], &[f64::INFINITY, 3.0], &[5.0, 5.0, 5.0]];
    for view in [Lines, SingleValue, Bar, Pie, Gauge, Table] {
        for (width, height) in [(1, 1), (20, 300), (300, 20), (600, 400), (2000, 2000)] {
            for legend in [Legend::Bottom, Legend::Right, Legend::Hidden] {
                let mut chart = Chart { width, height, view, legend, ..sample() };
                check(&chart);
                chart.stacked = true;
                chart.series = odd.iter().map(|values| Series::line("odd", minutes(values))).collect();
                check(&chart);
                chart.series.clear();
                check(&chart);
            }
        }
    }
}

/// Every coordinate is a number that pictures can hold.
fn check(chart: &Chart) {
    let svg = chart.svg();
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert_eq!(svg, chart.svg());
}

#[test]
fn a_picture_has_its_size_and_something_on_it() {
    let png = sample().png().unwrap_or_default();
    assert_eq!(png.get(..8), Some(&[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a][..]));
    assert_eq!(png.get(16..24), Some(&[0, 0, 2, 88, 0, 0, 1, 144][..]));
    assert!(png.len() > 5_000, "{}", png.len());
    assert_eq!(Chart { width: 0, ..sample() }.png(), None);
    assert_eq!(Chart { width: 100_000, height: 100_000, ..sample() }.png(), None);
}

#[test]
fn svg_is_well_formed() {
    let svg = sample().svg();
    assert!(svg.contains("Reservation &amp; &lt;tasks&gt;"));
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}

#[test]
fn colors_are_read() {
    let cases = [
        ("#1f77b4", Some(Color::rgb(0x1f77b4))),
        ("#abc", Some(Color::rgb(0xaabbcc))),
        ("1f77b4", None),
        ("#12345", None),
        ("#ggg", None),
        ("", None),
        ("#é1", None),
    ];
    for (text, expected) in cases {
        assert_eq!(Color::parse(text), expected, "{text}");
    }
}

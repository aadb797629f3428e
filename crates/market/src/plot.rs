//! A picture of the model: a few days of some pools, and where its figures lie beside those of the records. The same input
//! gives the same bytes.

use std::fmt::Write as _;

use capstan_model::{Span, Time};

use crate::statistics::{Spread, Statistics};
use crate::{Market, Model, Pool};

const WIDTH: i64 = 960;
const LEFT: i64 = 150;
const RIGHT: i64 = 24;
const PANEL: i64 = 92;
const DAYS: i64 = 4;
const POOLS: [(&str, &str); 4] = [
    ("m5.large", "us-east-1a"),
    ("r5.16xlarge", "us-east-1a"),
    ("r5.16xlarge", "us-east-1b"),
    ("r5.16xlarge", "us-east-1c"),
];

/// A figure of the model over the band of the records; both on a scale from 0 to `scale`.
struct Band {
    name: &'static str,
    model: Spread,
    records: (f64, f64),
    scale: f64,
}

pub(crate) fn picture(seed: u64, figures: &Statistics, start: Time) -> String {
    let bands = bands(figures);
    let height = 60 + PANEL * POOLS.len() as i64 + 70 + 34 * bands.len() as i64 + 20;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut svg, 16, 24, "start", 15, &format!("{DAYS} days of the Spot market model, seed {seed}"));
    text(
        &mut svg,
        16,
        42,
        "start",
        12,
        "bars: instances the account can hold, of the pool's best; line: price, from 10 % to 100 % of On-Demand",
    );
    let market = Market::Model(Model::new(seed));
    let mut top = 56;
    for (kind, zone) in POOLS {
        if let Some(pool) = Pool::find(kind, zone) {
            panel(&mut svg, top, &market, pool, start);
        }
        top += PANEL;
    }
    for day in 0..=DAYS {
        let x = LEFT + (WIDTH - LEFT - RIGHT) * day / DAYS;
        text(&mut svg, x, top + 6, "middle", 11, &(start + Span::from_hours(24 * day)).iso_secs()[..10]);
    }
    top += 40;
    let days = figures.pool_days;
    text(
        &mut svg,
        16,
        top,
        "start",
        15,
        &format!(
            "Figures of {days} pool-days (line and dot: least, median, greatest) in the records' bands (grey)"
        ),
    );
    top += 16;
    for band in bands {
        row(&mut svg, top, &band);
        top += 34;
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, top: i64, market: &Market, pool: Pool, start: Time) {
    let (width, height) = (WIDTH - LEFT - RIGHT, PANEL - 18);
    let end = start + Span::from_hours(24 * DAYS);
    let x = |time: Time| LEFT + width * (time - start).as_secs() / (24 * 3600 * DAYS);
    text(svg, 16, top + 18, "start", 12, &pool.instance_type.name);
    text(svg, 16, top + 34, "start", 12, pool.zone.name);
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"#f4f4f4\"/>"
    );
    let mut changes = vec![(start, market.capacity(pool, start).unwrap_or(0))];
    while let Some(next) = market.next_change(pool, changes[changes.len() - 1].0).filter(|next| *next < end) {
        changes.push((next, market.capacity(pool, next).unwrap_or(0)));
    }
    let most = i64::from(changes.iter().map(|(_, capacity)| *capacity).max().unwrap_or(1).max(1));
    let mut path = format!("M{LEFT} {}", top + height);
    for (at, (time, capacity)) in changes.iter().enumerate() {
        let y = top + height - height * i64::from(*capacity) / most;
        let until = changes.get(at + 1).map_or(end, |(time, _)| *time);
        let _ = write!(path, "L{} {y}L{} {y}", x(*time), x(until));
    }
    let _ = writeln!(svg, "<path d=\"{path}L{} {}Z\" fill=\"#9ecae1\"/>", x(end), top + height);
    let on_demand = pool.on_demand_price().map_or(1, |price| price.0.max(1));
    let prices = market.prices(pool, start, end);
    let mut line = String::new();
    for (at, (time, price)) in prices.iter().enumerate() {
        // A tenth of On-Demand at the bottom, all of it at the top.
        let y = top + height - height * (price.0 * 10 - on_demand) / (on_demand * 9);
        let until = prices.get(at + 1).map_or(end, |(time, _)| *time);
        let _ = write!(line, "{}{} {y}L{} {y}", if at == 0 { 'M' } else { 'L' }, x(*time), x(until));
    }
    let _ = writeln!(svg, "<path d=\"{line}\" fill=\"none\" stroke=\"#d94801\" stroke-width=\"1.5\"/>");
}

fn bands(figures: &Statistics) -> Vec<Band> {
    let exactly = |figure: f64| Spread { least: figure, median: figure, greatest: figure };
    vec![
        Band { name: "availability", model: figures.availability, records: (0.64, 0.94), scale: 1.0 },
        Band { name: "runs up, median h", model: figures.up_hours, records: (0.27, 3.8), scale: 4.0 },
        Band { name: "runs down, median h", model: figures.down_hours, records: (0.12, 0.15), scale: 0.4 },
        Band { name: "zone correlation", model: figures.zone_correlation, records: (0.25, 0.59), scale: 1.0 },
        Band {
            name: "region correlation",
            model: figures.region_correlation,
            records: (0.03, 0.27),
            scale: 1.0,
        },
        Band { name: "company in 3 min", model: exactly(figures.together), records: (0.9, 1.0), scale: 1.0 },
        Band {
            name: "nodes lost of 16",
            model: exactly(figures.drop_nodes),
            records: (6.7, 11.1),
            scale: 16.0,
        },
        Band {
            name: "drops to zero",
            model: exactly(figures.drops_to_zero),
            records: (0.36, 0.72),
            scale: 1.0,
        },
        Band { name: "Spot / On-Demand", model: figures.price_ratio, records: (0.3, 0.59), scale: 1.0 },
    ]
}

fn row(svg: &mut String, top: i64, band: &Band) {
    let width = WIDTH - LEFT - RIGHT;
    let x = |figure: f64| LEFT + (width as f64 * (figure / band.scale).clamp(0.0, 1.0)).round() as i64;
    let (low, high) = (x(band.records.0), x(band.records.1));
    let (least, median, greatest) = (x(band.model.least), x(band.model.median), x(band.model.greatest));
    text(svg, 16, top + 16, "start", 12, band.name);
    let _ = writeln!(
        svg,
        "<rect x=\"{low}\" y=\"{top}\" width=\"{}\" height=\"24\" fill=\"#d9d9d9\"/>\n\
         <path d=\"M{LEFT} {base}H{}\" stroke=\"#999\"/>\n\
         <path d=\"M{least} {middle}H{greatest}\" stroke=\"#2171b5\" stroke-width=\"3\"/>\n\
         <circle cx=\"{median}\" cy=\"{middle}\" r=\"5\" fill=\"#2171b5\"/>",
        high - low,
        LEFT + width,
        base = top + 24,
        middle = top + 12,
    );
    text(svg, LEFT + width, top + 10, "end", 10, &format!("{}", band.scale));
}

fn text(svg: &mut String, x: i64, y: i64, anchor: &str, size: i64, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{words}</text>"
    );
}

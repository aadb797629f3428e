//! Takes the statistics of 1,000 pool-days of the market model: prints the table, and writes `docs/spot-market.svg` and the
//! table in `docs/spot-market.md` anew.
//!
//! `cargo run -p capstan-market --example statistics [SEED]`

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use capstan_market::statistics;

/// Where the table stands in the page.
const BEGIN: &str = "<!-- statistics -->\n";
const END: &str = "<!-- end of statistics -->";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let figures = statistics::measure(seed, 17);
    let text = format!(
        "{} pool-days of {} pools, seed {seed}:\n\n{}",
        figures.pool_days,
        figures.pools,
        statistics::table(&figures)
    );
    print!("{text}");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(docs.join("spot-market.svg"), statistics::picture(seed, &figures))?;
    let page = docs.join("spot-market.md");
    let before = std::fs::read_to_string(&page)?;
    let (head, rest) =
        before.split_once(BEGIN).ok_or("docs/spot-market.md has no place for the statistics")?;
    let (_, tail) = rest.split_once(END).ok_or("docs/spot-market.md has no end of the statistics")?;
    std::fs::write(&page, format!("{head}{BEGIN}{text}{END}{tail}"))?;
    Ok(())
}

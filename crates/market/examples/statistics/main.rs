//! Prints what a model's pools do beside what records of real pools show.

#![allow(clippy::print_stdout, reason = "an example prints")]

use capstan_market::statistics;

fn main() {
    print!("{}", statistics::table(&statistics::measure(1, 17)));
}

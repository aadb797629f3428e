//! `capstan-bench`

#![allow(clippy::print_stdout)]

use capstan_bench::{day, placement};

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    if what.is_empty() || what == "placement" {
        for path in [placement::Path::RunTask, placement::Path::Service] {
            let placed = placement::run(path, 10_000, 100_000);
            println!("{path:?} {placed:?} {:.0}/s", placed.per_second());
        }
    }
    if what.is_empty() || what == "day" {
        println!("{:?}", day::run(day::FULL));
    }
    if what == "small" {
        println!("{:?}", day::run(day::Size { instances: 100, services: 10, hours: 4 }));
    }
}

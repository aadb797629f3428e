//! Random days: users do what they like, invariants hold after every step; when they stop, every service reaches what it
//! wants.

mod support;

use capstan_engine::kernel::Chance;
use capstan_model::Span;
use support::act::{act, build, converge};
use support::world;

fn day(seed: u64, balanced: bool) {
    // The seed is told first: a failing run can be repeated.
    eprintln!("seed {seed}, load balancer {balanced}");
    let mut world = world(seed).checked();
    let mut chance = Chance::new(seed);
    let definitions = build(&mut world, balanced);
    for _ in 0..40 {
        act(&mut world, &mut chance, &definitions);
        let pause = i64::try_from(chance.below("day.pause", 400)).unwrap_or(0);
        world.advance(Span::from_secs(pause));
    }
    converge(&mut world, seed);
}

#[test]
fn random_days_without_a_load_balancer() {
    for seed in 0..20 {
        day(seed, false);
    }
}

#[test]
fn random_days_behind_a_load_balancer() {
    for seed in 100..120 {
        day(seed, true);
    }
}

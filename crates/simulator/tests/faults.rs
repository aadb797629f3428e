//! Rough weather: Spot capacity is taken away in bursts, zones go dark, machines boot slowly or never, messages get lost,
//! come twice and late. Invariants hold after every step; when the weather clears, every service reaches what it wants.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use capstan_engine::ec2::InstanceIndex;
use capstan_engine::kernel::Chance;
use capstan_engine::{Engine, Fact, Input};
use capstan_model::{InstanceId, Span};
use capstan_simulator::{FaultRates, FaultyHosts, Profile, VirtualHosts, World};
use support::act::{act, build, converge};
use support::{config, noon};

type Rough = World<FaultyHosts>;

/// What one run of the weather was like.
#[derive(Debug, Default)]
struct Told {
    hours: i64,
    steps: u64,
    faults: u64,
    interruptions: u64,
    outages: u64,
}

fn alive(world: &Rough, fits: impl Fn(&capstan_engine::ec2::Instance) -> bool) -> Vec<InstanceId> {
    let rows = world.engine().ec2().instances().iter();
    rows.filter(|row| row.is_alive() && fits(row)).map(|row| row.id).collect()
}

/// A pool loses all or most of its capacity at once (spec spot.md §9).
fn burst(world: &mut Rough, chance: &mut Chance, told: &mut Told) {
    let spot = alive(world, capstan_engine::ec2::Instance::is_spot);
    let Some(first) = pick(chance, &spot).copied() else { return };
    let pool = |id: &InstanceId| {
        world.engine().ec2().instances().get(id).map(|row| (row.zone.name, row.instance_type.name.clone()))
    };
    let of_pool: Vec<InstanceId> = spot.iter().filter(|id| pool(id) == pool(&first)).copied().collect();
    for instance in of_pool {
        if chance.below("burst.spared", 5) > 0 {
            told.interruptions += 1;
            let _ = world.input(Input::Fact(Fact::SpotInterruption { instance }));
        }
    }
}

/// A zone loses its power: every machine there dies, and none boots until it is back.
fn outage(world: &mut Rough, chance: &mut Chance, told: &mut Told) -> &'static str {
    told.outages += 1;
    let zones = world.engine().config().region.zones;
    let zone = pick(chance, zones).expect("a region has zones").name;
    world.surroundings().1.set_dark(zone, true);
    for instance in alive(world, |row| row.zone.name == zone) {
        let _ = world.input(Input::Fact(Fact::InstanceTerminated { instance }));
    }
    zone
}

fn pick<'a, T>(chance: &mut Chance, among: &'a [T]) -> Option<&'a T> {
    let at = chance.below("weather.pick", among.len().max(1) as u64);
    among.get(usize::try_from(at).unwrap_or_default())
}

/// About a day of it.
fn weather(seed: u64) -> Told {
    let engine = Engine::new(config(seed), noon());
    let hosts = VirtualHosts::new(seed, Profile::default());
    let mut world = World::with(engine, FaultyHosts::new(seed, hosts, FaultRates::ROUGH)).checked();
    let (mut chance, mut told) = (Chance::new(seed), Told::default());
    let definitions = build(&mut world, seed.is_multiple_of(2));
    let mut dark: Option<(&str, i64)> = None;
    for _ in 0..120 {
        match chance.below("weather.kind", 12) {
            0..6 => act(&mut world, &mut chance, &definitions),
            6..9 => burst(&mut world, &mut chance, &mut told),
            9 if dark.is_none() => dark = Some((outage(&mut world, &mut chance, &mut told), 4)),
            _ => {}
        }
        if let Some((zone, left)) = dark {
            dark = (left > 0).then_some((zone, left - 1));
            if left == 0 {
                world.surroundings().1.set_dark(zone, false);
            }
        }
        let pause = i64::try_from(chance.below("weather.pause", 1_300)).unwrap_or(0);
        world.advance(Span::from_secs(pause));
    }
    let (_, hosts) = world.surroundings();
    hosts.set_rates(FaultRates::NONE);
    if let Some((zone, _)) = dark {
        hosts.set_dark(zone, false);
    }
    told.faults = hosts.faults();
    converge(&mut world, seed);
    told.hours = (world.now() - noon()).as_secs() / 3_600;
    told.steps = world.steps();
    // Nothing that was in the zone is left behind: what EC2 says runs is what the groups count.
    let running = world
        .engine()
        .ec2()
        .instances()
        .keys_by(&InstanceIndex::State(capstan_shapes::ec2::InstanceStateName::Running));
    for id in running {
        assert!(
            world.engine().autoscaling().instances().contains(&id),
            "seed {seed}: {id} belongs to no group"
        );
    }
    told
}

/// Runs seeds on both cores until so many virtual hours have passed, and tells of each.
fn hours(first: u64, wanted: i64) {
    let (next, done) = (AtomicU64::new(first), std::sync::Mutex::new(Told::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while done.lock().expect("nobody panics with it").hours < wanted {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    eprintln!("seed {seed} begins");
                    let told = weather(seed);
                    eprintln!(
                        "seed {seed}: {} hours, {} steps, {} faults, {} interruptions, {} outages",
                        told.hours, told.steps, told.faults, told.interruptions, told.outages
                    );
                    let mut sum = done.lock().expect("nobody panics with it");
                    sum.hours += told.hours;
                    sum.steps += told.steps;
                    sum.faults += told.faults;
                    sum.interruptions += told.interruptions;
                    sum.outages += told.outages;
                }
            });
        }
    });
    let sum = done.into_inner().expect("nobody panicked with it");
    eprintln!(
        "{} virtual hours, {} steps, {} faults, {} interruptions, {} outages: every invariant held, every service came back",
        sum.hours, sum.steps, sum.faults, sum.interruptions, sum.outages
    );
    assert!(sum.interruptions > 0 && sum.outages > 0 && sum.faults > 0, "the weather was fine: {sum:?}");
}

#[test]
fn a_few_days_of_rough_weather() {
    hours(1_000, 100);
}

/// `make simulate`
#[test]
#[ignore = "minutes; make simulate runs it optimised"]
fn ten_thousand_hours_of_rough_weather() {
    hours(0, 10_000);
}

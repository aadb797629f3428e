//! Days on the modelled Spot market: capacity comes and goes by itself, and the service stays up.

mod support;

use capstan_engine::Engine;
use capstan_engine::ec2::{bill, total};
use capstan_market::{Market, Model};
use capstan_model::Span;
use capstan_simulator::{Profile, VirtualHosts, World};
use support::*;

/// What a number of days were like.
#[derive(Debug)]
struct Days {
    interruptions: usize,
    /// Thousandths of the time in which at least 90 % of the tasks ran.
    available: i64,
    spot_runs: u64,
    saved: bool,
}

fn days(seed: u64, count: i64) -> Days {
    eprintln!("seed {seed}");
    let config = capstan_engine::Config { market: Market::Model(Model::scarce(seed)), ..config(seed) };
    let hosts = VirtualHosts::new(seed, Profile::default());
    let mut world = World::with(Engine::new(config, noon()), hosts).checked();
    cluster(&mut world);
    group(&mut world, "ondemand", false, 0, 30);
    group(&mut world, "spot", true, 0, 30);
    provider(&mut world, ON_DEMAND, "ondemand", 100);
    provider(&mut world, SPOT, "spot", 80);
    put_providers(&mut world, &[ON_DEMAND, SPOT], vec![item(ON_DEMAND, 2, 1), item(SPOT, 0, 9)]);
    world.advance(Span::from_mins(1));
    let definition = task_definition(&mut world, "web");
    let target_group = load_balancer(&mut world);
    service(&mut world, &definition, Some(&target_group), 40);
    world.advance(Span::from_mins(30));

    let (mut interrupted, mut up, mut looks) = (std::collections::BTreeSet::new(), 0, 0);
    let end = world.now() + Span::from_hours(24 * count);
    while world.now() < end {
        world.advance(Span::from_mins(1));
        looks += 1;
        let running: usize = running(&world).iter().map(|(_, count)| count).sum();
        up += i64::from(running >= 36);
        let instances = world.engine().ec2().instances().iter();
        interrupted.extend(instances.filter(|row| row.is_evicted()).map(|row| row.id));
    }
    let bill = bill(world.engine());
    let spot = total(bill.iter().filter(|(key, _)| key.spot).map(|(_, sums)| sums));
    assert!(bill.iter().all(|(key, _)| key.group.is_some()), "{bill:?}");
    Days {
        interruptions: interrupted.len(),
        available: up * 1_000 / looks,
        spot_runs: spot.runs,
        saved: spot.cost() < spot.on_demand_cost(),
    }
}

#[test]
fn a_service_survives_the_modelled_market() {
    let mut interruptions = 0;
    for seed in 0..2 {
        let days = days(seed, 1);
        eprintln!("seed {seed}: {days:?}");
        assert!(days.available >= 950, "seed {seed}: {days:?}");
        assert!(days.spot_runs > 0 && days.saved, "seed {seed}: {days:?}");
        interruptions += days.interruptions;
    }
    assert!(interruptions > 0, "a market that takes nothing back proves nothing");
}

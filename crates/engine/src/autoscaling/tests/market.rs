//! Groups under a Spot market: next pools, next zones, failures, rebalancing.

use capstan_market::Trace;

use super::*;
use crate::autoscaling::Risk;
use crate::ec2::{Cause, interrupt};

const FULL: &str = "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available \
                    that matches your request. Launching EC2 instance failed.";

fn traced(rows: &str) -> World {
    let text = format!("time,zone,type,price,capacity\n{rows}");
    World::with(Market::Trace(Trace::parse(&text, START).unwrap()))
}

fn spot_group(
    types: &[&str],
    zones: &[&str],
    strategy: &str,
    desired: i32,
) -> shapes::CreateAutoScalingGroupRequest {
    let overrides = types.iter().map(|name| shapes::LaunchTemplateOverrides {
        instance_type: Some((*name).to_owned()),
        ..Default::default()
    });
    shapes::CreateAutoScalingGroupRequest {
        launch_template: None,
        mixed_instances_policy: Some(shapes::MixedInstancesPolicy {
            launch_template: Some(shapes::LaunchTemplate {
                launch_template_specification: Some(shapes::LaunchTemplateSpecification {
                    launch_template_name: Some("lt".into()),
                    ..Default::default()
                }),
                overrides: Some(overrides.collect()),
            }),
            instances_distribution: Some(shapes::InstancesDistribution {
                on_demand_percentage_above_base_capacity: Some(0),
                spot_allocation_strategy: Some(strategy.to_owned()),
                ..Default::default()
            }),
        }),
        availability_zones: Some(zones.iter().map(|zone| (*zone).to_owned()).collect()),
        ..create_request(0, 20, desired)
    }
}

impl World {
    /// Types of the current instances with their counts.
    fn types(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in self.instances().into_iter().filter(|row| row.is_current()) {
            *counts.entry(&row.instance_type).or_default() += 1;
        }
        counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    fn failures(&self) -> Vec<&str> {
        self.activities().into_iter().filter_map(|each| each.message.as_deref()).collect()
    }
}

const SMALL: &str =
    "+0,us-east-1a,m5.large,0.02,2\n+0,us-east-1a,m5a.large,0.03,1\n+0,us-east-1a,m5d.large,0.05,600\n";

#[test]
fn strategies_choose_by_price_and_capacity() {
    let types = ["m5d.large", "m5.large", "m5a.large"];
    let check = |strategy: &str, desired, expect: &str| {
        let mut world = traced(SMALL);
        world.call(spot_group(&types, &["us-east-1a"], strategy, desired)).unwrap();
        world.mins(2);
        assert_eq!(world.types(), expect, "{strategy}");
        assert_eq!(world.failures(), Vec::<&str>::new(), "{strategy}");
    };
    // The two cheapest in turn, and the next when one is full.
    check("lowest-price", 2, "m5.large 1, m5a.large 1");
    check("lowest-price", 6, "m5.large 2, m5a.large 1, m5d.large 3");
    check("capacity-optimized", 3, "m5d.large 3");
    check("capacity-optimized-prioritized", 3, "m5d.large 3");
    check("price-capacity-optimized", 3, "m5d.large 3");
}

#[test]
fn without_capacity_the_group_goes_to_other_zones_and_tries_again() {
    let rows = "+0,us-east-1a,m5.large,,0\n+0,us-east-1b,m5.large,,3\n+600,us-east-1a,m5.large,,50\n+600,us-east-1b,m5.large,,50\n";
    let mut world = traced(rows);
    world.call(spot_group(&["m5.large"], &["us-east-1a", "us-east-1b"], "lowest-price", 5)).unwrap();
    world.mins(2);
    assert_eq!((world.zones().as_str(), world.failures()), ("bbb", vec![FULL]));
    world.mins(2);
    assert_eq!(world.failures(), [FULL; 2]);
    // Capacity is back after ten minutes: the missing are launched, and the zones balanced.
    world.mins(30);
    assert_eq!(world.zones(), "aabbb");
    assert!(world.failures().len() <= 5);
}

#[test]
fn a_zone_that_recovers_is_balanced_again() {
    let rows = "+0,us-east-1a,m5.large,,0\n+600,us-east-1a,m5.large,,50\n+0,us-east-1b,m5.large,,50\n";
    let mut world = traced(rows);
    world.call(spot_group(&["m5.large"], &["us-east-1a", "us-east-1b"], "lowest-price", 4)).unwrap();
    world.mins(9);
    assert_eq!(world.zones(), "bbbb");
    world.mins(30);
    assert_eq!(world.zones(), "aabb");
}

#[test]
fn a_single_template_tells_ec2_s_own_words() {
    let mut world = traced("+0,us-east-1a,m5.large,0.05,5\n");
    let mut request = spot_group(&["m5.large"], &["us-east-1a"], "lowest-price", 1);
    let policy = request.mixed_instances_policy.as_mut().unwrap();
    policy.instances_distribution.as_mut().unwrap().spot_max_price = Some("0.015".into());
    world.call(request).unwrap();
    assert_eq!(
        world.failures(),
        [
            "Your Spot request price of 0.015 is lower than the minimum required Spot request fulfillment price of 0.05. \
          Launching EC2 instance failed."
        ]
    );
}

#[test]
fn what_the_market_takes_is_replaced() {
    let rows = "+0,us-east-1a,m5.large,,9\n+600,us-east-1a,m5.large,,0\n+0,us-east-1a,m5a.large,0.09,50\n";
    let mut world = traced(rows);
    world.call(spot_group(&["m5.large", "m5a.large"], &["us-east-1a"], "lowest-price", 2)).unwrap();
    let mut request =
        shapes::UpdateAutoScalingGroupRequest { auto_scaling_group_name: "g".into(), ..Default::default() };
    request.desired_capacity = Some(2);
    world.call(request).unwrap();
    world.mins(9);
    assert_eq!(world.types(), "m5.large 1, m5a.large 1");
    // Gone at 12:00, seen 45 s later.
    world.mins(5);
    assert_eq!(world.types(), "m5a.large 2");
    let causes: Vec<String> = world.activities().iter().map(|each| blot(&each.cause)).collect();
    assert!(
        causes.iter().any(|cause| cause.ends_with("indicating it has been terminated or stopped.")),
        "{causes:?}"
    );
    assert!(
        causes
            .iter()
            .any(|cause| cause.ends_with("in response to an unhealthy instance needing to be replaced."))
    );
}

fn rebalancing(rows: &str, desired: i32) -> World {
    let mut world = traced(rows);
    let request = shapes::CreateAutoScalingGroupRequest {
        capacity_rebalance: Some(true),
        ..spot_group(&["m5.large", "m5a.large"], &["us-east-1a"], "lowest-price", desired)
    };
    world.call(request).unwrap();
    world.mins(2);
    world
}

#[test]
fn a_recommendation_brings_the_successor_first() {
    let mut world = rebalancing("+0,us-east-1a,m5.large,0.02,9\n+0,us-east-1a,m5a.large,0.03,50\n", 4);
    assert_eq!(world.types(), "m5.large 2, m5a.large 2");
    let old = world.instances().into_iter().find(|row| &*row.instance_type == "m5.large").unwrap().id;
    let notice = world.now + Span::from_mins(10);
    interrupt(&mut world.engine, old, notice, true, Cause::Experiment);
    world.secs(1);
    // Five while the successor boots, out of the pool that is at risk.
    assert_eq!(
        (world.states().as_str(), world.types().as_str()),
        ("InService 4, Pending 1", "m5.large 2, m5a.large 3")
    );
    assert_eq!(
        world.told(),
        "PreInService: Launching a new EC2 instance: i-…: At T an instance was launched in response to an EC2 Capacity \
         Rebalance recommendation."
    );
    world.mins(2);
    assert_eq!(world.types(), "m5.large 1, m5a.large 3");
    assert!(world.engine.autoscaling().instances().get(&old).is_none());
    world.mins(20);
    assert_eq!((world.states().as_str(), world.group().desired), ("InService 4", 4));
}

#[test]
fn without_a_better_pool_the_group_waits_for_the_notice() {
    let mut world = rebalancing("+0,us-east-1a,m5.large,0.02,900\n+0,us-east-1a,m5a.large,0.03,3\n", 2);
    let old = world.instances().into_iter().find(|row| &*row.instance_type == "m5.large").unwrap().id;
    let notice = world.now + Span::from_mins(10);
    interrupt(&mut world.engine, old, notice, true, Cause::Experiment);
    world.mins(9);
    assert_eq!(world.states(), "InService 2");
    assert_eq!(world.engine.autoscaling().instances().get(&old).unwrap().risk, Risk::Recommendation);
    world.mins(2);
    assert_eq!(
        (world.types().as_str(), world.states().contains("InService 2")),
        ("m5.large 1, m5a.large 1", true)
    );
    assert!(world.engine.autoscaling().instances().get(&old).is_none_or(|row| row.is_terminating()));
    world.mins(20);
    assert_eq!(world.states(), "InService 2");
}

#[test]
fn many_at_once_keep_to_the_headroom() {
    let mut world = rebalancing("+0,us-east-1a,m5.large,0.02,900\n+0,us-east-1a,m5a.large,0.03,900\n", 20);
    let ids: Vec<InstanceId> = world.instances().iter().map(|row| row.id).collect();
    for id in &ids[..6] {
        let now = world.now;
        interrupt(&mut world.engine, *id, now, true, Cause::Capacity);
    }
    world.secs(1);
    // The maximum is 20, a tenth of the desired capacity may come on top.
    assert_eq!(world.states(), "InService 20, Pending 2");
    world.mins(30);
    assert_eq!(world.states(), "InService 20");
}

#[test]
fn without_rebalancing_nothing_happens_before_the_end() {
    let mut world = traced("+0,us-east-1a,m5.large,0.02,900\n");
    world.call(spot_group(&["m5.large"], &["us-east-1a"], "lowest-price", 2)).unwrap();
    world.mins(2);
    let old = world.instances()[0].id;
    let now = world.now;
    interrupt(&mut world.engine, old, now, true, Cause::Capacity);
    world.secs(119);
    assert_eq!(world.states(), "InService 2");
    world.mins(5);
    assert_eq!(world.states(), "InService 2");
    assert!(world.engine.autoscaling().instances().get(&old).is_none());
}

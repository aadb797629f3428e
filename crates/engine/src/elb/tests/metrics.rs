//! What CloudWatch is told.

use capstan_shapes::cloudwatch;

use super::*;
use crate::{ResponseTimes, Traffic};

impl World {
    /// Statistics of the minutes so far, the oldest first: each as `sum/min/max`, with the percentiles asked for behind.
    fn points(&mut self, metric: &str, dimensions: &[(&str, &str)], percentiles: &[&str]) -> Vec<String> {
        let dimensions = dimensions.iter().map(|(name, value)| cloudwatch::Dimension {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        let dimensions: Vec<_> = dimensions.collect();
        let mut asked = cloudwatch::GetMetricStatisticsRequest {
            namespace: "AWS/ApplicationELB".to_owned(),
            metric_name: metric.to_owned(),
            dimensions: Some(dimensions),
            start_time: START - Span::from_mins(1),
            end_time: self.now + Span::from_mins(1),
            period: 60,
            ..cloudwatch::GetMetricStatisticsRequest::default()
        };
        let mut told: Vec<(Time, String)> = Vec::new();
        let simple =
            [cloudwatch::Statistic::Sum, cloudwatch::Statistic::Minimum, cloudwatch::Statistic::Maximum];
        asked.statistics = Some(simple.to_vec());
        for point in self.ok(asked.clone()).datapoints.unwrap_or_default() {
            let [sum, min, max] =
                [point.sum, point.minimum, point.maximum].map(|value| value.expect("asked for"));
            told.push((point.timestamp.expect("a time"), format!("{sum}/{min}/{max}")));
        }
        told.sort();
        if !percentiles.is_empty() {
            asked.statistics = None;
            asked.extended_statistics = Some(percentiles.iter().map(|name| (*name).to_owned()).collect());
            for point in self.ok(asked).datapoints.unwrap_or_default() {
                let values = point.extended_statistics.unwrap_or_default();
                let text =
                    &mut told.iter_mut().find(|(at, _)| Some(*at) == point.timestamp).expect("the same").1;
                for name in percentiles {
                    let value = values.iter().find(|(of, _)| of == name).expect("asked for").1;
                    text.push_str(&format!(" {value}"));
                }
            }
        }
        told.into_iter().map(|(_, text)| text).collect()
    }
}

/// A load balancer with two targets in two zones, one of them healthy, and what both are called in dimensions.
fn serving() -> (World, Traffic, Traffic, [String; 2]) {
    let mut world = World::new();
    let group = world.group("web");
    let balancer = world.balancer("alb");
    world.listener(&balancer, &group);
    let ids = [world.running(), world.running()];
    world.ok(register(&group, vec![target(&ids[0], 80), target(&ids[1], 80), target(&ids[1], 81)]));
    world.report(&group, &ids[0], 80, HealthReport::Healthy);
    let named = |arn: &str, kind: &str| arn.split_once(kind).expect("an ARN of that kind").1.to_owned();
    let labels =
        [named(&balancer, "loadbalancer/"), format!("targetgroup/{}", named(&group, "targetgroup/"))];
    let of_balancer = Traffic { load_balancer: balancer, ..Traffic::default() };
    let of_group = Traffic { target_group: Some(group), ..of_balancer.clone() };
    (world, of_balancer, of_group, labels)
}

#[test]
fn targets_are_counted_each_minute() {
    let (mut world, .., of_group, [balancer, group]) = serving();
    let both = [("LoadBalancer", &*balancer), ("TargetGroup", &*group)];
    world.pass(60);
    assert_eq!(world.points("HealthyHostCount", &both, &[]), ["1/1/1"]);
    assert_eq!(world.points("UnHealthyHostCount", &both, &[]), ["2/2/2"]);
    let arn = of_group.target_group.expect("a group");
    let second = world.health(&arn)[1].0.clone();
    world.report(&arn, &second, 80, HealthReport::Healthy);
    world.pass(60);
    assert_eq!(world.points("HealthyHostCount", &both, &[]), ["1/1/1", "2/2/2"]);
    // Zones have figures of their own, which make up the whole.
    let zones: Vec<String> =
        world.engine.ec2().subnets().iter().map(|subnet| subnet.zone.name.to_owned()).collect();
    let of_zone = |world: &mut World, zone: &str| {
        world.points("HealthyHostCount", &[("AvailabilityZone", zone), both[0], both[1]], &[]).pop()
    };
    let told: Vec<String> = zones.iter().filter_map(|zone| of_zone(&mut world, zone)).collect();
    let sum: f64 = told
        .iter()
        .map(|text| text.split('/').next().expect("a sum").parse::<f64>().expect("a number"))
        .sum();
    assert_eq!(sum, 2.0, "{told:?}");
    // Draining targets are no targets any more, and a group without any has no figures.
    let ids: Vec<_> = world.health(&arn).into_iter().map(|row| target(&row.0, row.1)).collect();
    world.ok(deregister(&arn, ids));
    world.pass(120);
    assert_eq!(world.points("HealthyHostCount", &both, &[]), ["1/1/1", "2/2/2"]);
}

#[test]
fn traffic_becomes_metrics() {
    let (mut world, of_balancer, of_group, [balancer, group]) = serving();
    let both = [("LoadBalancer", &*balancer), ("TargetGroup", &*group)];
    world.pass(59);
    let times = ResponseTimes {
        count: 100,
        sum: 600_000,
        min: 1_100,
        max: 90_000,
        values: vec![(1_000, 50), (5_000, 49), (88_000, 1)],
    };
    let counts = vec![("RequestCount", 100), ("HTTPCode_Target_2XX_Count", 90)];
    let traffic = vec![
        Traffic {
            counts: [
                &counts[..],
                &[
                    ("ProcessedBytes", 1_000_000_000),
                    ("NewConnectionCount", 15),
                    ("HTTPCode_ELB_502_Count", 0),
                ],
            ]
            .concat(),
            response_times: times.clone(),
            ..of_balancer
        },
        Traffic { counts, response_times: times, ..of_group },
    ];
    world.step(Input::Fact(Fact::Traffic(traffic)));
    world.pass(1);
    for dimensions in [&both[..1], &both[..]] {
        assert_eq!(world.points("RequestCount", dimensions, &[]), ["100/1/1"]);
        assert_eq!(world.points("HTTPCode_Target_2XX_Count", dimensions, &[]), ["90/1/1"]);
        assert_eq!(
            world.points("TargetResponseTime", dimensions, &["p50", "p99", "p100"]),
            ["0.6/0.0011/0.09 0.0011 0.005 0.09"]
        );
    }
    assert_eq!(world.points("ProcessedBytes", &both[..1], &[]), ["1000000000/1000000000/1000000000"]);
    assert_eq!(world.points("NewConnectionCount", &both[..1], &[]), ["15/15/15"]);
    assert_eq!(world.points("HTTPCode_ELB_502_Count", &both[..1], &[]).len(), 0, "only when there were some");
    // One of three targets is healthy: all requests were its.
    for dimensions in [&both[1..], &both[..]] {
        assert_eq!(world.points("RequestCountPerTarget", dimensions, &[]), ["100/100/100"]);
    }
    // A gigabyte in a minute is sixty times one in an hour.
    assert_eq!(world.points("ConsumedLCUs", &both[..1], &[]), ["60/60/60"]);
    // A minute in which nothing happened.
    world.pass(60);
    for metric in ["RequestCount", "RequestCountPerTarget"] {
        assert_eq!(world.points(metric, &both, &[]).last().map(String::as_str), Some("0/0/0"), "{metric}");
    }
    assert_eq!(world.points("HTTPCode_Target_2XX_Count", &both, &[]).len(), 1);
}

#[test]
fn one_range_of_times_keeps_its_bounds() {
    let (mut world, of_balancer, _, [balancer, _]) = serving();
    let dimensions = [("LoadBalancer", &*balancer)];
    let mut expected = Vec::new();
    for (times, told) in [
        (
            ResponseTimes { count: 3, sum: 3_120, min: 1_030, max: 1_050, values: vec![(1_024, 3)] },
            "0.00312/0.00103/0.00105 0.00105",
        ),
        (
            ResponseTimes { count: 2, sum: 2_000, min: 1_000, max: 1_000, values: vec![(992, 2)] },
            "0.002/0.001/0.001 0.001",
        ),
    ] {
        let traffic = Traffic { response_times: times, ..of_balancer.clone() };
        world.step(Input::Fact(Fact::Traffic(vec![traffic])));
        world.pass(60);
        expected.push(told);
        assert_eq!(world.points("TargetResponseTime", &dimensions, &["p90"]), expected);
    }
}

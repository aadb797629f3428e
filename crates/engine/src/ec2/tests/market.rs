//! EC2 under a market that changes: capacity, prices, what they do to instances, and what it costs.

use capstan_market::{Market, Model, Trace};
use capstan_model::{InstanceId, MicroDollars, Span};
use capstan_shapes::ec2::{
    CreateFleetRequest, DefaultTargetCapacityType, DescribeSpotPriceHistoryRequest,
    FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetType, GetSpotPlacementScoresRequest,
    InstanceInterruptionBehavior as Behavior, InstanceMarketOptionsRequest, InstanceStateName as State,
    MarketType, Placement, RequestLaunchTemplateData, RunInstancesRequest, SpotAllocationStrategy,
    SpotInstanceType, SpotMarketOptions, SpotOptionsRequest, TargetCapacitySpecificationRequest,
    TerminateInstancesRequest,
};

use super::{START, World, id, refused, template};
use crate::ec2::{bill, total};
use crate::{Effect, Fact, Input};

fn traced(rows: &str) -> World {
    let text = format!("time,zone,type,price,capacity\n{rows}");
    World::with(Market::Trace(Trace::parse(&text, START).unwrap()))
}

impl World {
    fn spot_request(&self, count: i32, max_price: Option<&str>) -> RunInstancesRequest {
        RunInstancesRequest {
            max_count: count,
            placement: Some(Placement { availability_zone: Some("us-east-1a".into()), ..Default::default() }),
            instance_market_options: Some(InstanceMarketOptionsRequest {
                market_type: Some(MarketType::Spot),
                spot_options: Some(SpotMarketOptions {
                    max_price: max_price.map(str::to_owned),
                    ..Default::default()
                }),
            }),
            ..self.one()
        }
    }

    /// Hosts boot and end at once.
    fn settle(&mut self) {
        loop {
            let facts: Vec<Fact> = self
                .effects
                .drain(..)
                .filter_map(|effect| match effect {
                    Effect::LaunchInstance { instance } => Some(Fact::InstanceRunning { instance }),
                    Effect::StopInstance { instance } => Some(Fact::InstanceStopped { instance }),
                    Effect::TerminateInstance { instance } => Some(Fact::InstanceTerminated { instance }),
                    _ => None,
                })
                .collect();
            if facts.is_empty() {
                return;
            }
            for fact in facts {
                let _ = self.step(Input::Fact(fact));
            }
        }
    }

    fn until(&mut self, after_start: i64) {
        let end = START + Span::from_secs(after_start);
        self.settle();
        while let Some(next) = self.engine.next_deadline().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            let _ = self.step(Input::Time);
            self.settle();
        }
        self.now = end;
        let _ = self.step(Input::Time);
        self.settle();
    }

    fn states(&self, ids: &[InstanceId]) -> Vec<State> {
        ids.iter().map(|id| self.engine.ec2().instances().get(id).unwrap().state).collect()
    }

    fn statuses(&self) -> Vec<&'static str> {
        let mut found: Vec<_> = self.engine.ec2().spot_requests().iter().map(|row| row.status).collect();
        found.sort_unstable();
        found
    }
}

#[test]
fn a_pool_that_shrinks_takes_instances_back() {
    let mut world = traced(
        "+0,us-east-1a,m5.large,0.0360,3\n+1800,us-east-1a,m5.large,,1\n+9000,us-east-1a,m5.large,,0\n+9300,us-east-1a,m5.large,,9\n",
    );
    let ids: Vec<InstanceId> = world.launch(world.spot_request(5, None)).unwrap().iter().map(id).collect();
    assert_eq!(ids.len(), 3);
    let full = "InsufficientInstanceCapacity: There is no Spot capacity available that matches your request.";
    assert_eq!(refused(world.launch(world.spot_request(1, None))), full);
    // On-Demand and other pools are not concerned.
    assert!(world.launch(world.one()).is_ok());
    world.until(1799);
    assert_eq!(world.states(&ids), [State::Running; 3]);
    world.until(1800);
    assert_eq!(
        world.statuses(),
        ["fulfilled", "instance-terminated-no-capacity", "instance-terminated-no-capacity"]
    );
    assert_eq!(world.states(&ids), [State::Running; 3]);
    world.until(1920);
    let ended = world.states(&ids).iter().filter(|state| **state == State::Terminated).count();
    assert_eq!(ended, 2);
    world.until(9300);
    assert_eq!(world.statuses(), ["instance-terminated-no-capacity"; 1]);
    assert_eq!(world.launch(world.spot_request(20, None)).unwrap().len(), 9);
    world.until(9300 + 600);
    // Two were taken within their first hour, one after two and a half; nine have run for ten minutes.
    let lines = bill(&world.engine);
    let spot = lines.iter().find(|(key, _)| key.spot).unwrap().1;
    assert_eq!((spot.runs, spot.free_seconds, spot.seconds), (12, 2 * 1920, 9120 + 9 * 600));
    assert_eq!(spot.cost(), MicroDollars((9120 + 5400) * 10));
    let on_demand = lines.iter().find(|(key, _)| !key.spot).unwrap().1;
    assert_eq!((on_demand.seconds, on_demand.cost()), (9900, MicroDollars(264_000)));
    assert_eq!(total(lines.values()).cost(), MicroDollars(264_000 + 145_200));
}

#[test]
fn a_price_above_the_maximum_takes_instances_back() {
    let mut world = traced("+0,us-east-1a,m5.large,0.03,\n+600,us-east-1a,m5.large,0.05,\n");
    let low: Vec<_> = world.launch(world.spot_request(1, Some("0.04"))).unwrap().iter().map(id).collect();
    let open: Vec<_> = world.launch(world.spot_request(1, None)).unwrap().iter().map(id).collect();
    world.until(600);
    assert_eq!(world.statuses(), ["fulfilled", "instance-terminated-by-price"]);
    assert_eq!(
        refused(world.launch(world.spot_request(1, Some("0.04")))),
        "SpotMaxPriceTooLow: Your Spot request price of 0.04 is lower than the minimum required Spot request \
         fulfillment price of 0.05."
    );
    world.until(720);
    assert_eq!((world.states(&low), world.states(&open)), (vec![State::Terminated], vec![State::Running]));
}

#[test]
fn what_was_stopped_for_capacity_is_started_again() {
    let mut world =
        traced("+0,us-east-1a,m5.large,,1\n+600,us-east-1a,m5.large,,0\n+1200,us-east-1a,m5.large,,1\n");
    let mut request = world.spot_request(1, None);
    let options = request.instance_market_options.as_mut().unwrap().spot_options.as_mut().unwrap();
    options.spot_instance_type = Some(SpotInstanceType::Persistent);
    options.instance_interruption_behavior = Some(Behavior::Stop);
    let ids = [id(&world.launch(request).unwrap()[0])];
    world.until(800);
    assert_eq!(
        (world.states(&ids), world.statuses()),
        (vec![State::Stopped], vec!["instance-stopped-no-capacity"])
    );
    world.until(1200);
    assert_eq!((world.states(&ids), world.statuses()), (vec![State::Running], vec!["fulfilled"]));
}

#[test]
fn price_history_is_told_latest_first_and_in_pages() {
    let mut world = traced(
        "+0,us-east-1a,m5.large,0.03,\n+600,us-east-1a,m5.large,0.05,\n+1200,us-east-1b,m5.large,0.04,\n+0,us-east-1b,m5.large,0.035,\n+3600,us-east-1a,m5.large,0.06,\n",
    );
    world.until(1800);
    let ask = |from: i64, token: Option<String>| DescribeSpotPriceHistoryRequest {
        start_time: Some(START + Span::from_secs(from)),
        instance_types: Some(vec!["m5.large".into()]),
        filters: super::filter("availability-zone", "us-east-1?").map(|mut filters| {
            filters[0].values = Some(vec!["us-east-1a".into(), "us-east-1b".into()]);
            filters
        }),
        max_results: Some(2),
        next_token: token,
        ..Default::default()
    };
    let mut told = |from: i64| {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = world.call(ask(from, token)).unwrap();
            found.extend(page.spot_price_history.unwrap().into_iter().map(|each| {
                let after = each.timestamp.unwrap() - START;
                format!(
                    "{} {} {}",
                    after.as_secs(),
                    &each.availability_zone.unwrap()[9..],
                    each.spot_price.unwrap()
                )
            }));
            token = page.next_token;
            if token.is_none() {
                return found;
            }
        }
    };
    assert_eq!(told(0), ["1200 b 0.040000", "600 a 0.050000", "0 a 0.030000", "0 b 0.035000"]);
    // The prices in force when the period begins are told with their own times.
    assert_eq!(told(900), ["1200 b 0.040000", "600 a 0.050000", "0 b 0.035000"]);
    assert_eq!(told(1800), ["1200 b 0.040000", "600 a 0.050000"]);
}

#[test]
fn every_page_of_a_model_s_history_fits_the_next() {
    let mut world = World::with(Market::Model(Model::new(3)));
    let request = |max_results, next_token| DescribeSpotPriceHistoryRequest {
        start_time: Some(START - Span::from_hours(48)),
        instance_types: Some(vec!["m5.large".into(), "c5.large".into()]),
        max_results: Some(max_results),
        next_token,
        ..Default::default()
    };
    let all = world.call(request(1000, None)).unwrap();
    assert!(all.next_token.is_none());
    let all = all.spot_price_history.unwrap();
    assert!(all.len() > 60 && all.is_sorted_by(|a, b| a.timestamp >= b.timestamp));
    let (mut paged, mut token) = (Vec::new(), None);
    loop {
        let page = world.call(request(7, token)).unwrap();
        paged.extend(page.spot_price_history.unwrap());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(paged, all);
}

#[test]
fn scores_follow_capacity() {
    let mut world = traced(
        "+0,us-east-1a,m5.large,,1\n+0,us-east-1a,m5a.large,,1\n+0,us-east-1a,m5d.large,,1\n+0,us-east-1b,m5.large,,900\n",
    );
    let answer = world
        .call(GetSpotPlacementScoresRequest {
            instance_types: Some(["m5.large", "m5a.large", "m5d.large"].map(str::to_owned).to_vec()),
            target_capacity: 12,
            single_availability_zone: Some(true),
            region_names: Some(vec!["us-east-1".into()]),
            ..Default::default()
        })
        .unwrap();
    let scores: Vec<(String, i32)> = answer
        .spot_placement_scores
        .unwrap()
        .into_iter()
        .map(|each| (each.availability_zone_id.unwrap(), each.score.unwrap()))
        .collect();
    assert_eq!(scores.first(), Some(&("use1-az2".to_owned(), 10)));
    assert!(scores.contains(&("use1-az1".to_owned(), 4)), "{scores:?}");
}

#[test]
fn an_instant_fleet_goes_from_pool_to_pool() {
    let mut world = traced(
        "+0,us-east-1a,m5.large,0.02,2\n+0,us-east-1a,m5a.large,0.03,1\n+0,us-east-1a,m5d.large,0.05,600\n",
    );
    let data = RequestLaunchTemplateData {
        image_id: Some(world.image()),
        instance_type: Some("m5.large".into()),
        ..Default::default()
    };
    let lt = template(&mut world, "fleet", data);
    let request = |strategy, total: i32| CreateFleetRequest {
        r#type: Some(FleetType::Instant),
        client_token: Some(format!("{strategy} {total}")),
        launch_template_configs: vec![FleetLaunchTemplateConfigRequest {
            launch_template_specification: Some(FleetLaunchTemplateSpecificationRequest {
                launch_template_id: Some(lt.clone()),
                version: Some("1".into()),
                ..Default::default()
            }),
            overrides: Some(
                ["m5.large", "m5a.large", "m5d.large"]
                    .map(|name| FleetLaunchTemplateOverridesRequest {
                        instance_type: Some(name.into()),
                        availability_zone: Some("us-east-1a".into()),
                        ..Default::default()
                    })
                    .to_vec(),
            ),
        }],
        target_capacity_specification: TargetCapacitySpecificationRequest {
            total_target_capacity: total,
            default_target_capacity_type: Some(DefaultTargetCapacityType::Spot),
            ..Default::default()
        },
        spot_options: Some(SpotOptionsRequest { allocation_strategy: Some(strategy), ..Default::default() }),
        ..Default::default()
    };
    let mut told = |strategy, total| {
        let answer = world.call(request(strategy, total)).unwrap();
        let again = world.call(request(strategy, total)).unwrap();
        assert_eq!(answer, again);
        let (mut found, mut ids) = (Vec::new(), Vec::new());
        for each in answer.instances.unwrap() {
            found.push(format!(
                "{} {}",
                each.instance_type.unwrap(),
                each.instance_ids.as_ref().unwrap().len()
            ));
            ids.extend(each.instance_ids.unwrap());
        }
        let end = TerminateInstancesRequest { instance_ids: ids, ..Default::default() };
        world.call(end).unwrap();
        world.settle();
        found
    };
    assert_eq!(told(SpotAllocationStrategy::LowestPrice, 5), ["m5.large 2", "m5a.large 1", "m5d.large 2"]);
    assert_eq!(told(SpotAllocationStrategy::CapacityOptimized, 5), ["m5d.large 5"]);
    assert_eq!(told(SpotAllocationStrategy::PriceCapacityOptimized, 4), ["m5d.large 4"]);
    assert_eq!(told(SpotAllocationStrategy::Diversified, 3), ["m5.large 1", "m5a.large 1", "m5d.large 1"]);
}

use super::*;
use crate::cloudwatch;

const ECS_POLICY: &str = "ECSManagedAutoScalingPolicy-11111111-2222-3333-4444-555555555555";

fn ecs_policy(target: f64) -> shapes::PutScalingPolicyRequest {
    let dimension =
        |name: &str, value: &str| shapes::MetricDimension { name: name.into(), value: value.into() };
    shapes::PutScalingPolicyRequest {
        auto_scaling_group_name: "g".into(),
        policy_name: ECS_POLICY.into(),
        policy_type: Some("TargetTrackingScaling".into()),
        estimated_instance_warmup: Some(300),
        target_tracking_configuration: Some(shapes::TargetTrackingConfiguration {
            customized_metric_specification: Some(shapes::CustomizedMetricSpecification {
                metric_name: Some("CapacityProviderReservation".into()),
                namespace: Some("AWS/ECS/ManagedScaling".into()),
                dimensions: Some(vec![
                    dimension("CapacityProviderName", "cp"),
                    dimension("ClusterName", "c"),
                ]),
                statistic: Some(shapes::MetricStatistic::Average),
                ..Default::default()
            }),
            target_value: target,
            disable_scale_in: Some(false),
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl World {
    /// Puts the reservation of the minute that ends now, and lets the alarms look at it. The world must stand just
    /// before a whole minute.
    fn minute(&mut self, needed: i64) {
        let running =
            self.engine.autoscaling().instances().count_by(&GroupInstanceIndex::InService("g".into()));
        let value = match (needed, running) {
            (0, 0) => 100.0,
            (_, 0) => 200.0,
            (needed, running) => needed as f64 / running as f64 * 100.0,
        };
        let dimensions = [("CapacityProviderName", "cp"), ("ClusterName", "c")];
        let at = self.now.floor(Span::from_mins(1));
        cloudwatch::put(
            &mut self.engine,
            "AWS/ECS/ManagedScaling",
            "CapacityProviderReservation",
            &dimensions,
            value,
            at,
        );
        self.secs(60);
    }
}

/// A world one second before a whole minute, with an ECS policy on an empty group.
fn with_ecs(target: f64, min: i32, desired: i32) -> World {
    let mut world = World::new();
    world.create(min, 100, desired);
    world.call(ecs_policy(target)).unwrap();
    world.secs(59);
    world
}

#[test]
fn ecs_alarms_are_as_observed() {
    let world = with_ecs(100.0, 0, 0);
    let alarms: Vec<_> = world.engine.cloudwatch().alarms().iter().collect();
    assert_eq!(alarms.len(), 2);
    for (alarm, side, periods) in [(alarms[0], "AlarmHigh", 1), (alarms[1], "AlarmLow", 15)] {
        assert!(alarm.name.starts_with(&format!("TargetTracking-g-{side}-")), "{}", alarm.name);
        let settings = &alarm.settings;
        assert_eq!((settings.threshold, settings.evaluation_periods), (100.0, periods));
        assert_eq!(settings.period, Span::from_mins(1));
        let description = settings.description.as_deref().unwrap();
        assert!(
            description
                .starts_with("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy arn:aws:autoscaling:")
        );
    }
}

/// Desired capacities minute by minute while so many instances are needed.
fn desired_by_minute(world: &mut World, needed: impl Fn(usize, i64) -> i64, minutes: usize) -> Vec<i64> {
    (0..minutes)
        .map(|minute| {
            let running =
                world.engine.autoscaling().instances().count_by(&GroupInstanceIndex::InService("g".into()));
            world.minute(needed(minute, running as i64));
            world.group().desired
        })
        .collect()
}

#[test]
fn ecs_scales_from_nothing_to_three_as_in_the_worked_example() {
    let mut world = with_ecs(100.0, 0, 0);
    // M of each tick: nothing, then N + 3, N + 3, N + 1 …, and at last as many as there are.
    let needed = |tick: usize, running: i64| match tick {
        0 => 0,
        1 | 2 => running + 3,
        3..=7 => running + 1,
        _ => 3,
    };
    let desired = desired_by_minute(&mut world, needed, 30);
    assert_eq!(desired[..9], [0, 2, 2, 2, 2, 2, 3, 3, 3]);
    assert!(desired[9..].iter().all(|desired| *desired == 3));
    let activity = world.activities()[2];
    let cause = blot(&activity.cause);
    assert!(cause.starts_with("At T a monitor alarm TargetTracking-g-AlarmHigh-"), "{cause}");
    assert!(cause.contains(&format!(
        "in state ALARM triggered policy {ECS_POLICY} changing the desired capacity from 2 to 3."
    )));
}

#[test]
fn ecs_with_spare_room_follows_the_worked_example_for_80() {
    let mut world = with_ecs(80.0, 0, 0);
    let needed = |tick: usize, running: i64| match tick {
        0 => 0,
        1 | 2 => running + 3,
        3..=7 => running + 1,
        _ => 4,
    };
    let desired = desired_by_minute(&mut world, needed, 20);
    // The idle provider comes up with two at the first tick already; the rest is one minute earlier than the table.
    assert_eq!(desired[..6], [2, 2, 2, 2, 2, 4]);
    assert_eq!(desired.last(), Some(&5));
}

#[test]
fn a_warm_up_is_told_as_the_reason() {
    let mut world = with_ecs(100.0, 0, 0);
    world.minute(1);
    assert_eq!(world.group().desired, 2);
    world.minute(5);
    let told = world.group().decision.as_ref().unwrap().to_string();
    assert!(
        told.ends_with("scale-out is blocked: an instance is within its warm-up of 300 s for 240 s more"),
        "{told}"
    );
    assert!(told.contains(ECS_POLICY));
    // The launch's activity waits for the warm-up too, which ECS measures from the launch.
    assert_eq!(world.activities()[0].code, shapes::ScalingActivityStatusCode::WaitingForInstanceWarmup);
    world.mins(4);
    assert_eq!(world.activities()[0].code, shapes::ScalingActivityStatusCode::Successful);
}

#[test]
fn ecs_scales_in_seven_five_four_after_fifteen_minutes() {
    let mut world = with_ecs(100.0, 0, 7);
    world.mins(10);
    let desired = desired_by_minute(&mut world, |_, _| 4, 20);
    assert_eq!(desired[..14], [7; 14]);
    assert_eq!(desired[14..], [5, 4, 4, 4, 4, 4]);
    let last = world.activities().into_iter().next_back().unwrap();
    assert!(
        blot(&last.cause)
            .contains("shrinking the capacity from 5 to 4.  At T instance i-… was selected for termination.")
    );
}

#[test]
fn ecs_idles_at_two_with_spare_room_and_at_none_without() {
    let mut world = with_ecs(80.0, 0, 5);
    world.mins(10);
    assert_eq!(desired_by_minute(&mut world, |_, _| 0, 25).last(), Some(&2));
    let mut world = with_ecs(100.0, 0, 3);
    world.mins(10);
    let desired = desired_by_minute(&mut world, |_, _| 0, 20);
    assert_eq!(desired[13..], [3, 2, 1, 0, 0, 0, 0]);
}

#[test]
fn the_generic_case_has_its_own_alarms() {
    let mut world = World::new();
    world.create(1, 10, 1);
    let mut request = ecs_policy(70.0);
    request.policy_name = "cpu".into();
    let configuration = request.target_tracking_configuration.as_mut().unwrap();
    configuration.customized_metric_specification = None;
    configuration.predefined_metric_specification = Some(shapes::PredefinedMetricSpecification {
        predefined_metric_type: shapes::MetricType::ASGAverageCPUUtilization,
        resource_label: None,
    });
    let alarms = world.call(request.clone()).unwrap().alarms.unwrap();
    assert_eq!(alarms.len(), 2);
    let rows: Vec<_> = world.engine.cloudwatch().alarms().iter().collect();
    assert_eq!((rows[0].settings.threshold, rows[0].settings.evaluation_periods), (70.0, 3));
    assert_eq!((rows[1].settings.threshold, rows[1].settings.evaluation_periods), (63.0, 15));
    // Put again: the same alarms. Deleted: none.
    assert_eq!(world.call(request).unwrap().alarms.unwrap(), alarms);
    let delete =
        shapes::DeletePolicyRequest { auto_scaling_group_name: Some("g".into()), policy_name: "cpu".into() };
    world.call(delete).unwrap();
    assert!(world.engine.cloudwatch().alarms().is_empty());
}

fn step(lower: Option<f64>, upper: Option<f64>, scaling_adjustment: i32) -> shapes::StepAdjustment {
    shapes::StepAdjustment {
        metric_interval_lower_bound: lower,
        metric_interval_upper_bound: upper,
        scaling_adjustment,
    }
}

fn step_policy(steps: Vec<shapes::StepAdjustment>) -> shapes::PutScalingPolicyRequest {
    shapes::PutScalingPolicyRequest {
        auto_scaling_group_name: "g".into(),
        policy_name: "steps".into(),
        policy_type: Some("StepScaling".into()),
        adjustment_type: Some("PercentChangeInCapacity".into()),
        step_adjustments: Some(steps),
        estimated_instance_warmup: Some(120),
        ..Default::default()
    }
}

#[test]
fn step_policies_are_executed_with_their_warm_up() {
    let mut world = World::new();
    world.create(0, 100, 10);
    world.mins(5);
    let steps =
        vec![step(Some(0.0), Some(10.0), 0), step(Some(10.0), Some(20.0), 10), step(Some(20.0), None, 30)];
    world.call(step_policy(steps)).unwrap();
    let execute = |value: f64| shapes::ExecutePolicyRequest {
        auto_scaling_group_name: Some("g".into()),
        policy_name: "steps".into(),
        metric_value: Some(value),
        breach_threshold: Some(50.0),
        ..Default::default()
    };
    world.call(execute(60.0)).unwrap();
    assert_eq!(world.group().desired, 11);
    assert!(
        world
            .told()
            .contains("a user request executed policy steps changing the desired capacity from 10 to 11.")
    );
    // The same breach again: the new instance counts as present.
    world.call(execute(62.0)).unwrap();
    assert_eq!(world.group().desired, 11);
    world.mins(3);
    world.call(execute(70.0)).unwrap();
    assert_eq!(world.group().desired, 14);
}

#[test]
fn simple_policies_wait_for_their_cooldown() {
    let mut world = World::new();
    world.create(0, 10, 1);
    world.mins(1);
    let policy = shapes::PutScalingPolicyRequest {
        auto_scaling_group_name: "g".into(),
        policy_name: "one-more".into(),
        adjustment_type: Some("ChangeInCapacity".into()),
        scaling_adjustment: Some(1),
        cooldown: Some(120),
        ..Default::default()
    };
    let arn = world.call(policy).unwrap().policy_arn.unwrap();
    let execute =
        shapes::ExecutePolicyRequest { policy_name: arn, honor_cooldown: Some(true), ..Default::default() };
    world.call(execute.clone()).unwrap();
    assert_eq!(world.group().desired, 2);
    assert!(world.refused(execute.clone()).starts_with("ScalingActivityInProgress: Scaling activity"));
    world.mins(1);
    assert!(world.refused(execute.clone()).starts_with("ScalingActivityInProgress: The cooldown"));
    world.mins(1);
    world.call(execute).unwrap();
    assert_eq!(world.group().desired, 3);
}

#[test]
fn bad_policies_are_refused() {
    let mut world = World::new();
    world.create(0, 10, 0);
    let check = |world: &mut World, request: shapes::PutScalingPolicyRequest, expect: &str| {
        assert_eq!(world.refused(request), format!("ValidationError: {expect}"));
    };
    let gap = vec![step(Some(0.0), Some(10.0), 1), step(Some(20.0), None, 2)];
    check(&mut world, step_policy(gap), "There is a gap between the StepAdjustments");
    let overlap = vec![step(Some(0.0), None, 1), step(Some(20.0), None, 2)];
    check(&mut world, step_policy(overlap), "The StepAdjustments overlap");
    let open = vec![step(Some(-10.0), Some(0.0), 1)];
    check(&mut world, step_policy(open), "With a negative lower bound, one step must have no lower bound");
    let mut none = step_policy(vec![step(Some(0.0), None, 1)]);
    none.auto_scaling_group_name = "none".into();
    check(&mut world, none, "Group none not found");
    let mut both = ecs_policy(100.0);
    both.cooldown = Some(1);
    check(
        &mut world,
        both,
        "AdjustmentType, ScalingAdjustment, Cooldown and StepAdjustments are not supported for policies of type \
         TargetTrackingScaling",
    );
}

/// The record of the FIS page: three of four instances are interrupted, eleven tasks of four to an instance wait.
#[test]
fn an_interruption_grows_the_group_while_the_dead_are_still_counted() {
    let mut world = with_ecs(100.0, 0, 4);
    world.mins(10);
    for id in world.instances().iter().map(|row| row.id).take(3).collect::<Vec<_>>() {
        world.lose(id);
    }
    // Nobody has noticed yet: four are in service, seven are needed, 175.
    world.minute(7);
    assert_eq!(world.group().desired, 7);
    let out = world.activities().into_iter().nth(4).unwrap();
    assert!(blot(&out.cause).ends_with(&format!(
        "in state ALARM triggered policy {ECS_POLICY} changing the desired capacity from 4 to 7.  At T an instance was \
         started in response to a difference between desired and actual capacity, increasing the capacity from 4 to 7."
    )));
    // The health check replaces the three: seven in service, though four suffice.
    world.minute(10);
    assert_eq!(world.states(), "InService 7");
    let desired = desired_by_minute(&mut world, |_, _| 4, 20);
    assert_eq!(desired[..14], [7; 14]);
    assert_eq!(desired[14..17], [5, 4, 4]);
}

//! Application Auto Scaling at work on a service with real capacity behind it (spec application-autoscaling.md).

mod support;

use capstan_model::Span;
use capstan_shapes::application_autoscaling::{self as shapes, ScalableDimension, ServiceNamespace};
use capstan_shapes::{cloudwatch, ecs, sqs};
use capstan_simulator::World;
use support::*;

const QUEUE: &str = "jobs";

fn resource() -> String {
    format!("service/{CLUSTER}/{SERVICE}")
}

/// Ten instances' worth of room, a service with so many tasks, and a scalable target over it.
fn scaled(min: i32, max: i32, desired: i32) -> World {
    let mut world = world(11).checked();
    cluster(&mut world);
    world
        .call(ecs::UpdateClusterSettingsRequest {
            cluster: CLUSTER.to_owned(),
            settings: vec![ecs::ClusterSetting {
                name: Some(ecs::ClusterSettingName::ContainerInsights),
                value: Some("enabled".to_owned()),
            }],
        })
        .expect("Container Insights");
    group(&mut world, "ondemand", false, 4, 4);
    world.advance(Span::from_mins(5));
    let definition = task_definition(&mut world, "web");
    service(&mut world, &definition, None, desired);
    world.advance(Span::from_mins(5));
    register(&mut world, Some(min), Some(max));
    world
}

fn register(world: &mut World, min: Option<i32>, max: Option<i32>) -> String {
    let request = shapes::RegisterScalableTargetRequest {
        resource_id: resource(),
        min_capacity: min,
        max_capacity: max,
        ..Default::default()
    };
    world.call(request).expect("a scalable target").scalable_target_arn.unwrap_or_default()
}

fn metric(value: f64) -> cloudwatch::PutMetricDataRequest {
    cloudwatch::PutMetricDataRequest {
        namespace: "App".to_owned(),
        metric_data: Some(vec![cloudwatch::MetricDatum {
            metric_name: "Load".to_owned(),
            value: Some(value),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

/// So many minutes of that load.
fn load(world: &mut World, value: f64, minutes: i64) {
    for _ in 0..minutes {
        world.call(metric(value)).expect("a point");
        world.advance(Span::from_mins(1));
    }
}

fn tracking(name: &str, target: f64) -> shapes::PutScalingPolicyRequest {
    shapes::PutScalingPolicyRequest {
        policy_name: name.to_owned(),
        resource_id: resource(),
        policy_type: Some(shapes::PolicyType::TargetTrackingScaling),
        target_tracking_scaling_policy_configuration: Some(
            shapes::TargetTrackingScalingPolicyConfiguration {
                target_value: target,
                customized_metric_specification: Some(shapes::CustomizedMetricSpecification {
                    namespace: Some("App".to_owned()),
                    metric_name: Some("Load".to_owned()),
                    statistic: Some(shapes::MetricStatistic::Average),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        ..Default::default()
    }
}

fn desired(world: &mut World) -> i32 {
    describe(world).desired_count.unwrap_or_default()
}

/// Activities, newest first, as `status | description | cause | message | why not`.
fn activities(world: &mut World, not_scaled: bool) -> Vec<String> {
    let request = shapes::DescribeScalingActivitiesRequest {
        resource_id: Some(resource()),
        include_not_scaled_activities: Some(not_scaled),
        ..Default::default()
    };
    let activities = world.call(request).expect("activities").scaling_activities.unwrap_or_default();
    let told = |activity: shapes::ScalingActivity| {
        let reasons = activity.not_scaled_reasons.unwrap_or_default();
        let codes: Vec<String> = reasons.into_iter().map(|reason| reason.code).collect();
        format!(
            "{} | {} | {} | {} | {}",
            activity.status_code,
            activity.description,
            activity.cause,
            activity.status_message.unwrap_or_default(),
            codes.join(" ")
        )
    };
    activities.into_iter().map(told).collect()
}

#[test]
fn target_tracking_scales_out_and_in_with_cooldowns() {
    let mut world = scaled(2, 12, 2);
    let put = world.call(tracking("load", 50.0)).expect("a policy");
    let names: Vec<String> =
        put.alarms.unwrap_or_default().into_iter().map(|alarm| alarm.alarm_name).collect();
    let stem = format!("TargetTracking-{}", resource());
    assert!(names[0].starts_with(&format!("{stem}-AlarmHigh-")), "{names:?}");
    assert!(names[1].starts_with(&format!("{stem}-AlarmLow-")), "{names:?}");
    let low = world.engine().cloudwatch().alarm(&names[1]).expect("the low alarm");
    assert_eq!((low.settings.threshold, low.settings.evaluation_periods), (45.0, 15));
    // Three minutes above the target: 2 × 100 / 50 = 4.
    load(&mut world, 100.0, 3);
    assert_eq!(desired(&mut world), 4);
    // The alarm asks each minute. Within the cooldown the capacity of before counts: nothing is added twice…
    load(&mut world, 100.0, 2);
    assert_eq!(desired(&mut world), 4);
    // …but a larger scale-out goes beyond: 2 × 150 / 50 = 6.
    load(&mut world, 150.0, 1);
    assert_eq!(desired(&mut world), 6);
    // Once the cooldown is over all tasks count: 6 × 60 / 50 = 8.
    load(&mut world, 50.0, 6);
    assert_eq!(desired(&mut world), 6);
    load(&mut world, 60.0, 3);
    assert_eq!(desired(&mut world), 8);
    let told = activities(&mut world, false);
    assert!(
        told[0].contains(&format!(
            "Setting desired count to 8. | monitor alarm {} in state ALARM triggered policy load",
            names[0]
        )),
        "{told:#?}"
    );
    load(&mut world, 50.0, 2);
    let told = activities(&mut world, false);
    assert!(
        told[0].starts_with("Successful") && told[0].contains("Change successfully fulfilled by ecs."),
        "{told:#?}"
    );
    // Fifteen minutes below nine tenths of the target, then one step each five minutes.
    load(&mut world, 25.0, 14);
    assert_eq!(desired(&mut world), 8);
    load(&mut world, 25.0, 1);
    assert_eq!(desired(&mut world), 4);
    load(&mut world, 25.0, 4);
    assert_eq!(desired(&mut world), 4);
    load(&mut world, 25.0, 3);
    assert_eq!(desired(&mut world), 2);
    load(&mut world, 25.0, 6);
    let told = activities(&mut world, true);
    assert!(told[0].contains("AlreadyAtMinCapacity"), "{told:#?}");
    assert!(told[0].contains("Attempting to scale due to alarm triggered"), "{told:#?}");
    // A service takes its target, its policies and their alarms with it.
    let delete = ecs::DeleteServiceRequest {
        cluster: Some(CLUSTER.to_owned()),
        service: SERVICE.to_owned(),
        force: Some(true),
    };
    world.call(delete).expect("deleted");
    let room = world.engine().application_autoscaling();
    assert!(room.targets().is_empty() && room.policies().is_empty());
    assert!(world.engine().cloudwatch().alarm(&names[0]).is_none());
}

#[test]
fn all_policies_must_agree_to_scale_in_and_deployments_hold_it_up() {
    let mut world = scaled(1, 12, 4);
    world.call(tracking("one", 50.0)).expect("a policy");
    let mut other = tracking("other", 50.0);
    if let Some(custom) = other
        .target_tracking_scaling_policy_configuration
        .as_mut()
        .and_then(|configuration| configuration.customized_metric_specification.as_mut())
    {
        custom.metric_name = Some("Other".to_owned());
    }
    world.call(other).expect("a policy");
    load(&mut world, 10.0, 20);
    assert_eq!(desired(&mut world), 4, "a policy without data keeps what there is");
    let delete = shapes::DeleteScalingPolicyRequest {
        policy_name: "other".to_owned(),
        resource_id: resource(),
        ..Default::default()
    };
    // The deployment is young when the alarm asks again.
    world.call(metric(10.0)).expect("a point");
    world.advance(Span::from_secs(40));
    world.call(delete).expect("deleted");
    update(&mut world, |request| request.force_new_deployment = Some(true));
    world.advance(Span::from_secs(20));
    let told = activities(&mut world, true);
    assert!(told[0].contains("TargetServicePutResourceAsUnscalable"), "{told:#?}");
    load(&mut world, 10.0, 10);
    assert_eq!(desired(&mut world), 1);
}

#[test]
fn steps_scale_by_the_breach() {
    let mut world = scaled(2, 10, 4);
    let step = |lower: Option<f64>, upper: Option<f64>, amount: i32| shapes::StepAdjustment {
        metric_interval_lower_bound: lower,
        metric_interval_upper_bound: upper,
        scaling_adjustment: amount,
    };
    let put = shapes::PutScalingPolicyRequest {
        policy_name: "steps".to_owned(),
        resource_id: resource(),
        policy_type: Some(shapes::PolicyType::StepScaling),
        step_scaling_policy_configuration: Some(shapes::StepScalingPolicyConfiguration {
            adjustment_type: Some(shapes::AdjustmentType::ChangeInCapacity),
            step_adjustments: Some(vec![
                step(None, Some(-20.0), -2),
                step(Some(0.0), Some(20.0), 2),
                step(Some(20.0), None, 3),
            ]),
            cooldown: Some(300),
            ..Default::default()
        }),
        ..Default::default()
    };
    let wrong = world.call(put.clone()).expect_err("a gap");
    assert!(wrong.message.contains("gap"), "{wrong}");
    let mut put = put;
    if let Some(configuration) = &mut put.step_scaling_policy_configuration {
        configuration.step_adjustments =
            Some(vec![step(None, Some(0.0), -2), step(Some(0.0), Some(20.0), 2), step(Some(20.0), None, 3)]);
    }
    let arn = world.call(put).expect("a policy").policy_arn;
    let alarm = cloudwatch::PutMetricAlarmRequest {
        alarm_name: "load".to_owned(),
        namespace: Some("App".to_owned()),
        metric_name: Some("Load".to_owned()),
        statistic: Some(cloudwatch::Statistic::Average),
        period: Some(60),
        evaluation_periods: Some(1),
        threshold: Some(50.0),
        comparison_operator: Some(cloudwatch::ComparisonOperator::GreaterThanThreshold),
        alarm_actions: Some(vec![arn.clone()]),
        ok_actions: Some(vec![arn]),
        ..Default::default()
    };
    world.call(alarm).expect("an alarm");
    load(&mut world, 60.0, 1);
    assert_eq!(desired(&mut world), 6);
    // Within the cooldown the larger step counts from before: 4 + 3.
    load(&mut world, 90.0, 1);
    assert_eq!(desired(&mut world), 7);
    load(&mut world, 60.0, 6);
    assert_eq!(desired(&mut world), 9);
    load(&mut world, 60.0, 6);
    assert_eq!(desired(&mut world), 10, "the maximum");
    load(&mut world, 60.0, 6);
    let told = activities(&mut world, true);
    assert!(told[0].contains("AlreadyAtMaxCapacity"), "{told:#?}");
    load(&mut world, 40.0, 1);
    assert_eq!(desired(&mut world), 8);
}

#[test]
fn schedules_and_limits_set_the_count_at_once() {
    let mut world = scaled(1, 10, 2);
    let policies = register(&mut world, Some(3), None);
    assert!(policies.contains(":scalable-target/0ec5"), "{policies}");
    assert_eq!(desired(&mut world), 3);
    let told = activities(&mut world, false);
    assert!(told[0].contains("Setting desired count to 3. | minimum capacity was set to 3"), "{told:#?}");
    let put =
        |name: &str, schedule: &str, min: Option<i32>, max: Option<i32>| shapes::PutScheduledActionRequest {
            scheduled_action_name: name.to_owned(),
            resource_id: resource(),
            schedule: Some(schedule.to_owned()),
            scalable_target_action: Some(shapes::ScalableTargetAction {
                min_capacity: min,
                max_capacity: max,
            }),
            ..Default::default()
        };
    world.call(put("out", "cron(0 13 * * ? *)", Some(6), None)).expect("an action");
    world.call(put("in", "at(2026-01-31T14:00:00)", Some(0), Some(1))).expect("an action");
    let wrong = world.call(put("wrong", "at(2025-01-31T14:00:00)", Some(0), Some(1))).expect_err("the past");
    assert!(wrong.message.contains("no time in the future"), "{wrong}");
    world.advance_to(noon() + Span::from_mins(59));
    assert_eq!(desired(&mut world), 3);
    world.advance(Span::from_mins(2));
    assert_eq!(desired(&mut world), 6);
    let told = activities(&mut world, false);
    assert!(told.iter().any(|line| line.contains("Setting min capacity to 6 and max capacity to 10 | scheduled action name out was triggered | Successfully set")), "{told:#?}");
    world.advance(Span::from_hours(1));
    assert_eq!(desired(&mut world), 1);
    let told = activities(&mut world, false);
    assert!(told[0].contains("maximum capacity was set to 1"), "{told:#?}");
}

/// The batch service of a queue: nothing runs while the queue is empty.
#[test]
fn a_queue_scales_its_batch_service_from_nothing_and_back() {
    let mut world = scaled(0, 8, 0);
    world
        .call(sqs::CreateQueueRequest { queue_name: QUEUE.to_owned(), ..Default::default() })
        .expect("a queue");
    let url = format!("{}/{}/{QUEUE}", world.engine().config().endpoint, world.engine().config().account);
    let stat = |namespace: &str, name: &str, stat: &str, dimensions: &[(&str, &str)]| {
        let dimension = |(name, value): &(&str, &str)| shapes::TargetTrackingMetricDimension {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        Some(shapes::TargetTrackingMetricStat {
            metric: shapes::TargetTrackingMetric {
                namespace: Some(namespace.to_owned()),
                metric_name: Some(name.to_owned()),
                dimensions: Some(dimensions.iter().map(dimension).collect()),
            },
            stat: stat.to_owned(),
            unit: None,
        })
    };
    let mut put = tracking("backlog", 100.0);
    let policy = |expression: &str| {
        vec![
            shapes::TargetTrackingMetricDataQuery {
                id: "m1".to_owned(),
                metric_stat: stat(
                    "AWS/SQS",
                    "ApproximateNumberOfMessagesVisible",
                    "Sum",
                    &[("QueueName", QUEUE)],
                ),
                return_data: Some(false),
                ..Default::default()
            },
            shapes::TargetTrackingMetricDataQuery {
                id: "m2".to_owned(),
                metric_stat: stat(
                    "ECS/ContainerInsights",
                    "RunningTaskCount",
                    "Average",
                    &[("ClusterName", CLUSTER), ("ServiceName", SERVICE)],
                ),
                return_data: Some(false),
                ..Default::default()
            },
            shapes::TargetTrackingMetricDataQuery {
                id: "e1".to_owned(),
                expression: Some(expression.to_owned()),
                return_data: Some(true),
                ..Default::default()
            },
        ]
    };
    let mut with = |world: &mut World, expression: &str| {
        if let Some(configuration) = &mut put.target_tracking_scaling_policy_configuration {
            configuration.customized_metric_specification = Some(shapes::CustomizedMetricSpecification {
                metrics: Some(policy(expression)),
                ..Default::default()
            });
            configuration.scale_out_cooldown = Some(60);
            configuration.scale_in_cooldown = Some(60);
        }
        world.call(put.clone()).expect("a policy");
    };
    with(&mut world, "m1 / m2");
    for batch in 0..50 {
        let entry = |n: i32| sqs::SendMessageBatchRequestEntry {
            id: format!("m{n}"),
            message_body: format!("{batch} {n}"),
            ..Default::default()
        };
        let request =
            sqs::SendMessageBatchRequest { queue_url: url.clone(), entries: (0..10).map(entry).collect() };
        world.call(request).expect("sent");
    }
    // Nothing runs: the division gives no data, and the service stays frozen however long the queue is.
    world.advance(Span::from_mins(20));
    assert_eq!(desired(&mut world), 0);
    let alarms: Vec<&str> =
        world.engine().cloudwatch().alarms().iter().map(|alarm| alarm.state.as_str()).collect();
    assert_eq!(alarms, ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA"]);
    with(&mut world, "IF(m2 > 0, m1 / m2, m1)");
    world.advance(Span::from_mins(8));
    // 500 messages for one task that is not there: five tasks, and with 100 for each of them the target is met.
    assert_eq!(desired(&mut world), 5);
    assert_eq!(describe(&mut world).running_count, Some(5));
    world.call(sqs::PurgeQueueRequest { queue_url: url }).expect("emptied");
    world.advance(Span::from_mins(25));
    assert_eq!(desired(&mut world), 0);
    assert_eq!(describe(&mut world).running_count, Some(0));
}

#[test]
fn only_services_that_exist_are_scaled() {
    let mut world = scaled(0, 4, 1);
    let mut check = |change: &dyn Fn(&mut shapes::RegisterScalableTargetRequest), message: &str| {
        let mut request = shapes::RegisterScalableTargetRequest {
            resource_id: resource(),
            min_capacity: Some(0),
            max_capacity: Some(1),
            ..Default::default()
        };
        change(&mut request);
        let refused = world.call(request).expect_err(message);
        assert!(refused.code == "ValidationException" && refused.message.contains(message), "{refused}");
    };
    check(&|r| r.resource_id = format!("service/{CLUSTER}/none"), "ECS service doesn't exist");
    check(&|r| r.resource_id = "table/a".to_owned(), "service/CLUSTER/SERVICE");
    check(&|r| r.service_namespace = ServiceNamespace::Dynamodb, "dynamodb is not built");
    check(
        &|r| r.scalable_dimension = ScalableDimension::DynamodbTableReadCapacityUnits,
        "Use ecs:service:DesiredCount",
    );
    check(&|r| r.min_capacity = Some(5), "Maximum capacity cannot be less");
    check(&|r| r.min_capacity = Some(-1), "must not be negative");
    let mut forecast = tracking("p", 5.0);
    forecast.policy_type = Some(shapes::PolicyType::PredictiveScaling);
    forecast.target_tracking_scaling_policy_configuration = None;
    let refused = world.call(forecast).expect_err("no forecasts");
    assert!(refused.message.contains("PredictiveScaling are not built"), "{refused}");
    let mut metric = tracking("p", 5.0);
    if let Some(configuration) = &mut metric.target_tracking_scaling_policy_configuration {
        configuration.customized_metric_specification = None;
        configuration.predefined_metric_specification = Some(shapes::PredefinedMetricSpecification {
            predefined_metric_type: shapes::MetricType::RDSReaderAverageCPUUtilization,
            resource_label: None,
        });
    }
    let refused = world.call(metric).expect_err("another namespace's metric");
    assert!(
        refused.message.contains("RDSReaderAverageCPUUtilization is not a predefined metric"),
        "{refused}"
    );
}

use capstan_shapes::elbv2;

use super::*;
use crate::HealthReport;

/// A load balancer over three zones with one target group on it; gives the target group's ARN.
fn balanced(world: &mut World, delay: &str) -> String {
    let subnets: Vec<String> = world
        .engine
        .ec2()
        .subnets()
        .iter()
        .filter(|subnet| ["us-east-1a", "us-east-1b", "us-east-1c"].contains(&subnet.zone.name))
        .map(|subnet| subnet.id.clone())
        .collect();
    let vpc = world.engine.ec2().vpcs().iter().next().unwrap().id.clone();
    let balancer = world
        .call(elbv2::CreateLoadBalancerRequest {
            name: "lb".into(),
            subnets: Some(subnets),
            ..Default::default()
        })
        .unwrap();
    let balancer = balancer.load_balancers.unwrap().remove(0).load_balancer_arn.unwrap();
    let group = world
        .call(elbv2::CreateTargetGroupRequest {
            name: "tg".into(),
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(80),
            vpc_id: Some(vpc),
            ..Default::default()
        })
        .unwrap();
    let arn = group.target_groups.unwrap().remove(0).target_group_arn.unwrap();
    let attribute = elbv2::TargetGroupAttribute {
        key: Some("deregistration_delay.timeout_seconds".into()),
        value: Some(delay.into()),
    };
    let modify = elbv2::ModifyTargetGroupAttributesRequest {
        target_group_arn: arn.clone(),
        attributes: vec![attribute],
    };
    world.call(modify).unwrap();
    let forward = elbv2::Action {
        r#type: elbv2::ActionTypeEnum::Forward,
        target_group_arn: Some(arn.clone()),
        ..Default::default()
    };
    let listener = elbv2::CreateListenerRequest {
        load_balancer_arn: balancer,
        protocol: Some(elbv2::ProtocolEnum::Http),
        port: Some(80),
        default_actions: vec![forward],
        ..Default::default()
    };
    world.call(listener).unwrap();
    arn
}

fn health(world: &mut World, arn: &str, id: InstanceId, health: HealthReport) {
    let fact = Fact::TargetHealth { target_group: arn.to_owned(), target: id.to_string(), port: 80, health };
    let _ = world.step(Input::Fact(fact));
}

fn targets(world: &mut World, arn: &str) -> Vec<String> {
    let ask = elbv2::DescribeTargetHealthRequest { target_group_arn: arn.to_owned(), ..Default::default() };
    let mut told: Vec<String> = world
        .call(ask)
        .unwrap()
        .target_health_descriptions
        .unwrap()
        .into_iter()
        .map(|each| each.target_health.unwrap().state.unwrap().as_str().to_owned())
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn targets_drain_before_their_instances_end() {
    let mut world = World::new();
    let arn = balanced(&mut world, "90");
    let mut request = create_request(0, 10, 2);
    request.target_group_arns = Some(vec![arn.clone()]);
    world.call(request).unwrap();
    world.mins(1);
    assert_eq!(targets(&mut world, &arn), ["initial", "initial"]);
    for id in world.instances().iter().map(|row| row.id).collect::<Vec<_>>() {
        health(&mut world, &arn, id, HealthReport::Healthy);
    }
    let ask = shapes::DescribeLoadBalancerTargetGroupsRequest {
        auto_scaling_group_name: "g".into(),
        ..Default::default()
    };
    let states = world.call(ask).unwrap().load_balancer_target_groups.unwrap();
    assert_eq!(states[0].state.as_deref(), Some("InService"));
    world.desire(1);
    assert!(world.told().starts_with("WaitingForELBConnectionDraining: Terminating EC2 instance"));
    assert_eq!(targets(&mut world, &arn), ["draining", "healthy"]);
    world.secs(89);
    assert_eq!(world.states(), "InService 1, Terminating 1");
    world.secs(1);
    assert_eq!(targets(&mut world, &arn), ["healthy"]);
    world.secs(20);
    assert_eq!(world.states(), "InService 1");
    let detach = shapes::DetachLoadBalancerTargetGroupsRequest {
        auto_scaling_group_name: "g".into(),
        target_group_arns: vec![arn.clone()],
    };
    world.call(detach.clone()).unwrap();
    assert_eq!(targets(&mut world, &arn), ["draining"]);
    assert!(world.refused(detach).contains("Trying to remove Target Groups that are not part of the group"));
    let attach = shapes::AttachLoadBalancerTargetGroupsRequest {
        auto_scaling_group_name: "g".into(),
        target_group_arns: vec![arn.clone()],
    };
    world.call(attach).unwrap();
    assert_eq!(targets(&mut world, &arn), ["initial"]);
}

#[test]
fn a_failing_target_is_replaced_after_its_grace_period() {
    let mut world = World::new();
    let arn = balanced(&mut world, "0");
    let mut request = create_request(0, 10, 2);
    request.target_group_arns = Some(vec![arn.clone()]);
    request.health_check_type = Some("ELB".into());
    request.health_check_grace_period = Some(120);
    world.call(request).unwrap();
    world.mins(1);
    let id = world.instances()[0].id;
    let failing =
        HealthReport::Unhealthy { reason: "Target.Timeout".into(), description: "Request timed out".into() };
    health(&mut world, &arn, id, failing);
    world.secs(80);
    assert_eq!(world.states(), "InService 2");
    world.secs(10);
    assert_eq!(world.instances().iter().filter(|row| row.id == id && row.is_terminating()).count(), 1);
    let terminated =
        world.activities().into_iter().find(|row| row.description.starts_with("Terminating")).unwrap();
    assert!(terminated.cause.ends_with(
        "an instance was taken out of service in response to an ELB system health check failure."
    ));
    world.mins(2);
    assert_eq!(world.states(), "InService 2");
}

#[test]
fn requests_per_target_scale_a_group() {
    let mut world = World::new();
    let arn = balanced(&mut world, "0");
    let mut request = create_request(1, 10, 2);
    request.target_group_arns = Some(vec![arn.clone()]);
    world.call(request).unwrap();
    // Longer than their warm-up.
    world.mins(10);
    for id in world.instances().iter().map(|row| row.id).collect::<Vec<_>>() {
        health(&mut world, &arn, id, HealthReport::Healthy);
    }
    let balancer = world.engine.elb().load_balancers().iter().next().unwrap().arn.to_string();
    let (_, of_balancer) = balancer.split_once("loadbalancer/").unwrap();
    let (_, of_group) = arn.rsplit_once(':').unwrap();
    let policy = shapes::PutScalingPolicyRequest {
        auto_scaling_group_name: "g".into(),
        policy_name: "requests".into(),
        policy_type: Some("TargetTrackingScaling".into()),
        target_tracking_configuration: Some(shapes::TargetTrackingConfiguration {
            predefined_metric_specification: Some(shapes::PredefinedMetricSpecification {
                predefined_metric_type: shapes::MetricType::ALBRequestCountPerTarget,
                resource_label: Some(format!("{of_balancer}/{of_group}")),
            }),
            target_value: 100.0,
            ..Default::default()
        }),
        ..Default::default()
    };
    world.call(policy).unwrap();
    // 600 requests a minute for two targets, where each is to get 100: three such minutes make it six.
    world.secs(59);
    for _ in 0..3 {
        assert_eq!(world.group().desired, 2);
        let traffic = crate::Traffic {
            load_balancer: balancer.clone(),
            target_group: Some(arn.clone()),
            counts: vec![("RequestCount", 600)],
            ..Default::default()
        };
        let _ = world.step(Input::Fact(Fact::Traffic(vec![traffic])));
        world.secs(60);
    }
    assert_eq!(world.group().desired, 6);
}

use super::*;

fn zones_of(request: &mut shapes::CreateAutoScalingGroupRequest, zones: &[&str]) {
    request.availability_zones = Some(zones.iter().map(|&zone| zone.to_owned()).collect());
}

fn update() -> shapes::UpdateAutoScalingGroupRequest {
    shapes::UpdateAutoScalingGroupRequest { auto_scaling_group_name: "g".into(), ..Default::default() }
}

/// Launches one instance after the other, a few minutes apart, and takes one out by the policies given; tells which
/// one it was, counted from the oldest.
fn taken(policies: &[&str]) -> usize {
    let mut world = World::new();
    let mut request = create_request(0, 10, 0);
    zones_of(&mut request, &["us-east-1a"]);
    request.termination_policies = Some(policies.iter().map(|&name| name.to_owned()).collect());
    world.call(request).unwrap();
    let mut order: Vec<InstanceId> = Vec::new();
    for desired in 1..=3 {
        world.desire(desired);
        let new = world.instances().iter().map(|row| row.id).find(|id| !order.contains(id)).unwrap();
        order.push(new);
        world.mins(25);
    }
    world.desire(2);
    let gone = world.instances().iter().find(|row| row.is_terminating()).unwrap().id;
    order.iter().position(|id| *id == gone).unwrap()
}

#[test]
fn policies_take_their_instances() {
    assert_eq!(taken(&["OldestInstance"]), 0);
    assert_eq!(taken(&["NewestInstance"]), 2);
    // Ages 75, 50 and 25 minutes: the second is ten minutes from its next hour.
    assert_eq!(taken(&["ClosestToNextInstanceHour"]), 1);
    assert_eq!(taken(&["Default"]), 1);
    assert_eq!(taken(&["OldestLaunchTemplate", "NewestInstance"]), 2);
}

#[test]
fn the_fullest_zone_comes_before_every_policy() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 2);
    zones_of(&mut request, &["us-east-1a", "us-east-1b"]);
    request.termination_policies = Some(vec!["OldestInstance".into()]);
    world.call(request).unwrap();
    world.mins(10);
    world.desire(3);
    world.mins(10);
    assert_eq!(world.zones(), "aab");
    world.desire(2);
    world.mins(1);
    assert_eq!(world.zones(), "ab");
}

#[test]
fn instances_of_an_older_template_version_go_first() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 1);
    zones_of(&mut request, &["us-east-1a"]);
    request.launch_template.as_mut().unwrap().version = Some("$Latest".into());
    world.call(request).unwrap();
    world.mins(5);
    let version = capstan_shapes::ec2::CreateLaunchTemplateVersionRequest {
        launch_template_name: Some("lt".into()),
        source_version: Some("1".into()),
        launch_template_data: RequestLaunchTemplateData {
            instance_type: Some("t3.small".into()),
            ..Default::default()
        },
        ..Default::default()
    };
    world.call(version).unwrap();
    // The group's types follow its template without anything being told to the group.
    assert_eq!(crate::autoscaling::instance_types(&world.engine, world.group()), ["t3.small"]);
    world.desire(2);
    world.mins(56);
    world.desire(1);
    world.mins(1);
    let left = world.instances()[0];
    assert_eq!(
        (&*left.instance_type, left.origin.as_ref().and_then(Origin::template).unwrap().version.as_str()),
        ("t3.small", "2")
    );
}

#[test]
fn a_new_distribution_is_taken_over_step_by_step() {
    let mut world = World::new();
    let policy = |percent| shapes::MixedInstancesPolicy {
        launch_template: Some(shapes::LaunchTemplate {
            launch_template_specification: Some(shapes::LaunchTemplateSpecification {
                launch_template_name: Some("lt".into()),
                ..Default::default()
            }),
            overrides: None,
        }),
        instances_distribution: Some(shapes::InstancesDistribution {
            on_demand_percentage_above_base_capacity: Some(percent),
            ..Default::default()
        }),
    };
    let mut request = create_request(0, 10, 3);
    request.launch_template = None;
    request.mixed_instances_policy = Some(policy(100));
    world.call(request).unwrap();
    world.mins(1);
    assert!(world.instances().iter().all(|row| !row.spot));
    let change =
        shapes::UpdateAutoScalingGroupRequest { mixed_instances_policy: Some(policy(0)), ..update() };
    world.call(change).unwrap();
    // First one more, then one less.
    assert_eq!(world.states(), "InService 3, Pending 1");
    world.mins(10);
    assert_eq!(world.states(), "InService 3");
    assert!(world.instances().iter().all(|row| row.spot));
}

#[test]
fn a_warm_up_does_not_outlive_its_instance() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 1);
    request.default_instance_warmup = Some(300);
    world.call(request).unwrap();
    world.mins(1);
    assert!(world.told().starts_with("WaitingForInstanceWarmup"));
    world.desire(0);
    world.mins(1);
    assert!(world.activities().iter().all(|row| row.ended.is_some()));
    let delete =
        shapes::DeleteAutoScalingGroupRequest { auto_scaling_group_name: "g".into(), force_delete: None };
    world.call(delete).unwrap();
    assert!(world.engine.autoscaling().groups().is_empty());
}

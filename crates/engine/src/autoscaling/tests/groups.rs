use super::*;

#[test]
fn a_group_comes_up_and_tells_why() {
    let mut world = World::new();
    world.create(0, 10, 3);
    assert_eq!(world.states(), "Pending 3");
    assert_eq!(world.zones(), "abc");
    assert_eq!(
        world.told(),
        "PreInService: Launching a new EC2 instance: i-…: At T a user request created an AutoScalingGroup changing the \
         desired capacity from 0 to 3.  At T an instance was started in response to a difference between desired and \
         actual capacity, increasing the capacity from 0 to 3."
    );
    world.secs(30);
    assert_eq!(world.states(), "InService 3");
    assert!(world.activities().iter().all(|row| row.code == shapes::ScalingActivityStatusCode::Successful));
    let described =
        world.call(shapes::DescribeAutoScalingGroupsRequest::default()).unwrap().auto_scaling_groups;
    let group = &described[0];
    assert_eq!(group.instances.as_ref().unwrap().len(), 3);
    assert_eq!(group.health_check_type, "EC2");
    assert_eq!(group.termination_policies.as_deref(), Some(&["Default".to_owned()][..]));
    let template = group.launch_template.as_ref().unwrap();
    assert_eq!(template.version.as_deref(), Some("$Default"));
    let instance = &group.instances.as_ref().unwrap()[0];
    assert_eq!(instance.launch_template.as_ref().unwrap().version.as_deref(), Some("1"));
    let listed = world.call(shapes::DescribeAutoScalingInstancesRequest::default()).unwrap();
    assert_eq!(listed.auto_scaling_instances.unwrap()[0].health_status, "HEALTHY");
    let id: InstanceId = instance.instance_id.parse().unwrap();
    assert_eq!(world.engine.ec2().instances().get(&id).unwrap().group(), Some("g"));
    assert_eq!(crate::autoscaling::instance_types(&world.engine, world.group()), ["m5.large"]);
}

#[test]
fn desired_capacity_goes_down_by_the_termination_policy() {
    let mut world = World::new();
    world.create(0, 10, 3);
    world.mins(2);
    world.desire(1);
    assert_eq!(world.states(), "InService 1, Terminating 2");
    let told = world.told();
    assert_eq!(
        told,
        "InProgress: Terminating EC2 instance: i-…: At T a user request explicitly set group desired capacity changing the \
         desired capacity from 3 to 1.  At T an instance was taken out of service in response to a difference between \
         desired and actual capacity, shrinking the capacity from 3 to 1.  At T instance i-… was selected for \
         termination.  At T instance i-… was selected for termination."
    );
    world.secs(20);
    assert_eq!(world.states(), "InService 1");
}

#[test]
fn updates_move_the_limits_and_the_desired_capacity() {
    let mut world = World::new();
    world.create(0, 10, 0);
    let update = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        min_size: Some(1),
        max_size: Some(5),
        desired_capacity: Some(3),
        ..Default::default()
    };
    world.call(update).unwrap();
    assert!(world.told().contains(
        "At T a user request update of AutoScalingGroup constraints to min: 1, max: 5, desired: 3 changing the desired \
         capacity from 0 to 3."
    ));
    let update = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        max_size: Some(2),
        ..Default::default()
    };
    world.call(update).unwrap();
    assert_eq!(world.group().desired, 2);
}

#[test]
fn bad_requests_are_refused_in_the_words_of_aws() {
    let mut world = World::new();
    world.create(1, 5, 1);
    let taken = create_request(0, 1, 0);
    assert_eq!(
        world.refused(taken),
        "AlreadyExists: AutoScalingGroup by this name already exists - A group with the name g already exists"
    );
    let other = |change: fn(&mut shapes::CreateAutoScalingGroupRequest)| {
        let mut request = create_request(0, 5, 1);
        request.auto_scaling_group_name = "h".into();
        change(&mut request);
        request
    };
    let check = |world: &mut World, change: fn(&mut shapes::CreateAutoScalingGroupRequest), expect: &str| {
        assert_eq!(world.refused(other(change)), format!("ValidationError: {expect}"));
    };
    check(
        &mut world,
        |request| request.launch_template = None,
        "Valid requests must contain either launchTemplate, launchConfiguration, InstanceId or MixedInstancesPolicy \
         parameter.",
    );
    check(
        &mut world,
        |request| request.desired_capacity = Some(9),
        "Desired capacity:9 must be between the specified min size:0 and max size:5",
    );
    check(
        &mut world,
        |request| request.min_size = 6,
        "Max bound, 5, must be greater than or equal to min bound, 6",
    );
    check(
        &mut world,
        |request| request.availability_zones = None,
        "At least one Availability Zone or VPC Subnet is required.",
    );
    check(
        &mut world,
        |request| request.target_group_arns = Some(vec!["arn:aws:none".into()]),
        "Provided Target Groups may not be valid. Please ensure they exist and try again.",
    );
    check(
        &mut world,
        |request| {
            request.launch_template = Some(shapes::LaunchTemplateSpecification {
                launch_template_name: Some("none".into()),
                ..Default::default()
            });
        },
        "You must use a valid fully-formed launch template. The specified launch template, with template name none, does \
         not exist.",
    );
    let mut desired = shapes::SetDesiredCapacityRequest {
        auto_scaling_group_name: "g".into(),
        desired_capacity: 6,
        honor_cooldown: None,
    };
    assert_eq!(
        world.refused(desired.clone()),
        "ValidationError: New SetDesiredCapacity value 6 is above max value 5 for the AutoScalingGroup."
    );
    desired.auto_scaling_group_name = "none".into();
    assert_eq!(
        world.refused(desired),
        "ValidationError: AutoScalingGroup name not found - AutoScalingGroup none not found"
    );
    let upper = other(|request| request.termination_policies = Some(vec!["DEFAULT".into()]));
    world.call(upper).unwrap();
}

#[test]
fn deletion_waits_for_the_instances_unless_forced() {
    let mut world = World::new();
    world.create(1, 5, 2);
    world.mins(1);
    let mut request =
        shapes::DeleteAutoScalingGroupRequest { auto_scaling_group_name: "g".into(), force_delete: None };
    assert!(
        world
            .refused(request.clone())
            .starts_with("ResourceInUse: You cannot delete an AutoScalingGroup while")
    );
    request.force_delete = Some(true);
    world.call(request).unwrap();
    let described =
        world.call(shapes::DescribeAutoScalingGroupsRequest::default()).unwrap().auto_scaling_groups;
    assert_eq!(described[0].status.as_deref(), Some("Delete in progress"));
    world.secs(20);
    assert!(world.engine.autoscaling().groups().is_empty());
    assert!(world.engine.autoscaling().instances().is_empty());
    let ask = shapes::DescribeScalingActivitiesRequest {
        auto_scaling_group_name: Some("g".into()),
        include_deleted_groups: Some(true),
        ..Default::default()
    };
    let activities = world.call(ask).unwrap().activities;
    assert_eq!(activities.len(), 4);
    assert_eq!(activities[0].auto_scaling_group_state.as_deref(), Some("Deleted"));
    // Six weeks later nobody remembers.
    world.mins(6 * 7 * 24 * 60 + 1);
    assert!(world.activities().is_empty());
}

#[test]
fn mixed_groups_split_and_describe_their_defaults() {
    let mut world = World::new();
    let mut request = create_request(0, 20, 10);
    request.mixed_instances_policy = Some(shapes::MixedInstancesPolicy {
        launch_template: Some(shapes::LaunchTemplate {
            launch_template_specification: request.launch_template.take(),
            overrides: Some(vec![
                shapes::LaunchTemplateOverrides {
                    instance_type: Some("m5.large".into()),
                    ..Default::default()
                },
                shapes::LaunchTemplateOverrides {
                    instance_type: Some("m5a.large".into()),
                    ..Default::default()
                },
            ]),
        }),
        instances_distribution: Some(shapes::InstancesDistribution {
            on_demand_base_capacity: Some(2),
            on_demand_percentage_above_base_capacity: Some(25),
            spot_allocation_strategy: Some("price-capacity-optimized".into()),
            ..Default::default()
        }),
    });
    world.call(request).unwrap();
    world.mins(1);
    assert_eq!(world.instances().iter().filter(|row| !row.spot).count(), 4);
    assert_eq!(world.states(), "InService 10");
    // Down to the base: Spot goes first.
    world.desire(4);
    world.mins(1);
    assert_eq!(world.instances().iter().filter(|row| !row.spot).count(), 3);
    let described =
        world.call(shapes::DescribeAutoScalingGroupsRequest::default()).unwrap().auto_scaling_groups;
    let policy = described[0].mixed_instances_policy.as_ref().unwrap();
    let distribution = policy.instances_distribution.as_ref().unwrap();
    assert_eq!(distribution.on_demand_allocation_strategy.as_deref(), Some("prioritized"));
    assert_eq!(distribution.spot_instance_pools, None);
    assert_eq!(crate::autoscaling::instance_types(&world.engine, world.group()), ["m5.large", "m5a.large"]);
}

#[test]
fn lists_come_in_pages() {
    let mut world = World::new();
    world.create(0, 30, 25);
    world.mins(1);
    world.desire(0);
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let request = shapes::DescribeScalingActivitiesRequest {
            auto_scaling_group_name: Some("g".into()),
            max_records: Some(7),
            next_token: token,
            ..Default::default()
        };
        let reply = world.call(request).unwrap();
        seen.extend(reply.activities);
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 50);
    // In progress first, then newest first.
    assert!(seen[..25].iter().all(|row| row.end_time.is_none()));
    assert!(seen[25..].iter().all(|row| row.end_time.is_some()));
    let request =
        shapes::DescribeAutoScalingGroupsRequest { next_token: Some("x".into()), ..Default::default() };
    assert!(world.refused(request).starts_with("InvalidNextToken"));
}

use super::*;

#[test]
fn a_lost_instance_is_replaced_by_the_health_check() {
    let mut world = World::new();
    world.create(0, 10, 2);
    world.mins(1);
    let id = world.instances()[0].id;
    world.lose(id);
    world.secs(44);
    assert_eq!(world.states(), "InService 2");
    world.secs(1);
    assert_eq!(world.states(), "InService 1");
    assert_eq!(
        world.told(),
        "Successful: Terminating EC2 instance: i-…: At T an instance was taken out of service in response to an EC2 health \
         check indicating it has been terminated or stopped."
    );
    world.secs(2);
    assert_eq!(
        world.told(),
        "PreInService: Launching a new EC2 instance: i-…: At T an instance was launched in response to an unhealthy instance \
         needing to be replaced."
    );
    world.mins(1);
    assert_eq!(world.states(), "InService 2");
}

#[test]
fn an_instance_lost_while_pending_cancels_its_launch() {
    let mut world = World::new();
    world.create(0, 10, 1);
    let id = world.instances()[0].id;
    world.lose(id);
    world.secs(45);
    let launch = world.activities()[0];
    assert_eq!(launch.code, shapes::ScalingActivityStatusCode::Cancelled);
    assert_eq!(
        launch.message.as_deref(),
        Some(
            "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: \
             Client.UserInitiatedShutdown: User initiated shutdown"
        )
    );
    world.mins(1);
    assert_eq!(world.states(), "InService 1");
}

#[test]
fn users_can_mark_an_instance_unhealthy() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 1);
    request.health_check_grace_period = Some(120);
    world.call(request).unwrap();
    world.mins(1);
    let id = world.instances()[0].id;
    let mut mark = shapes::SetInstanceHealthRequest {
        instance_id: id.to_string(),
        health_status: "Unhealthy".into(),
        should_respect_grace_period: None,
    };
    world.call(mark.clone()).unwrap();
    assert_eq!(world.states(), "InService 1");
    mark.should_respect_grace_period = Some(false);
    world.call(mark).unwrap();
    assert_eq!(world.states(), "Terminating 1");
    assert!(world.told().ends_with("in response to a user health-check."));
    world.mins(2);
    assert_eq!(world.states(), "InService 1");
}

#[test]
fn protection_holds_a_scale_in_until_it_is_lifted() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 2);
    request.new_instances_protected_from_scale_in = Some(true);
    world.call(request).unwrap();
    world.mins(1);
    world.desire(0);
    assert_eq!(world.states(), "InService 2");
    let failed = world.activities().into_iter().next_back().unwrap();
    assert_eq!(failed.code, shapes::ScalingActivityStatusCode::Failed);
    assert_eq!(
        failed.message.as_deref(),
        Some(
            "Could not scale to desired capacity because all remaining instances are protected from scale-in."
        )
    );
    let decision = world.group().decision.as_ref().unwrap().verdict.to_string();
    assert_eq!(decision, "2 more than desired, but all remaining instances are protected from scale-in");
    let id = world.instances()[1].id;
    let free = shapes::SetInstanceProtectionRequest {
        instance_ids: vec![id.to_string()],
        auto_scaling_group_name: "g".into(),
        protected_from_scale_in: false,
    };
    world.call(free).unwrap();
    assert_eq!(world.states(), "InService 1, Terminating 1");
    world.mins(1);
    assert_eq!(world.states(), "InService 1");
}

#[test]
fn terminate_in_group_replaces_or_decrements() {
    let mut world = World::new();
    world.create(1, 10, 2);
    world.mins(1);
    let mut request = shapes::TerminateInstanceInAutoScalingGroupRequest {
        instance_id: world.instances()[0].id.to_string(),
        should_decrement_desired_capacity: false,
    };
    let activity = world.call(request.clone()).unwrap().activity.unwrap();
    assert_eq!(
        blot(&activity.cause),
        "At T instance i-… was taken out of service in response to a user request, shrinking the capacity from 2 to 1."
    );
    world.mins(1);
    assert_eq!(world.states(), "InService 2");
    request.instance_id = world.instances()[0].id.to_string();
    request.should_decrement_desired_capacity = true;
    world.call(request.clone()).unwrap();
    world.mins(1);
    assert_eq!((world.states().as_str(), world.group().desired), ("InService 1", 1));
    request.instance_id = world.instances()[0].id.to_string();
    assert!(
        world
            .refused(request.clone())
            .starts_with("ValidationError: Currently, desiredSize equals minSize (1).")
    );
    request.instance_id = "i-00000000000000000".into();
    assert_eq!(
        world.refused(request),
        "ValidationError: Instance Id not found - No managed instance found for instance ID: i-00000000000000000"
    );
}

#[test]
fn instances_stand_by_leave_and_come_back() {
    let mut world = World::new();
    world.create(0, 3, 2);
    world.mins(1);
    let id = world.instances()[0].id;
    let enter = shapes::EnterStandbyRequest {
        instance_ids: Some(vec![id.to_string()]),
        auto_scaling_group_name: "g".into(),
        should_decrement_desired_capacity: true,
    };
    let activity = world.call(enter).unwrap().activities.unwrap().remove(0);
    assert_eq!(activity.description.as_deref(), Some(&*format!("Moving EC2 instance to Standby: {id}")));
    assert_eq!((world.states().as_str(), world.group().desired), ("InService 1, Standby 1", 1));
    let exit = shapes::ExitStandbyRequest {
        instance_ids: Some(vec![id.to_string()]),
        auto_scaling_group_name: "g".into(),
    };
    world.call(exit).unwrap();
    assert_eq!((world.states().as_str(), world.group().desired), ("InService 2", 2));
    let detach = shapes::DetachInstancesRequest {
        instance_ids: Some(vec![id.to_string()]),
        auto_scaling_group_name: "g".into(),
        should_decrement_desired_capacity: false,
    };
    let activity = world.call(detach).unwrap().activities.unwrap().remove(0);
    assert!(blot(&activity.cause).contains(
        "instance i-… was detached in response to a user request, shrinking the capacity from 2 to 1."
    ));
    world.mins(1);
    assert_eq!(world.states(), "InService 2");
    assert!(world.engine.autoscaling().instances().get(&id).is_none());
    let attach = shapes::AttachInstancesRequest {
        instance_ids: Some(vec![id.to_string()]),
        auto_scaling_group_name: "g".into(),
    };
    world.call(attach.clone()).unwrap();
    assert_eq!((world.states().as_str(), world.group().desired), ("InService 3", 3));
    assert!(world.refused(attach).contains("is already part of Auto Scaling group:g."));
}

#[test]
fn suspended_processes_wait_for_their_resumption() {
    let mut world = World::new();
    world.create(0, 10, 2);
    world.mins(1);
    let suspend = |processes: &[&str]| shapes::SuspendProcessesRequest {
        auto_scaling_group_name: "g".into(),
        scaling_processes: Some(processes.iter().map(|&name| name.to_owned()).collect()),
    };
    world.call(suspend(&["Launch", "Terminate"])).unwrap();
    world.desire(4);
    world.desire(1);
    world.mins(5);
    assert_eq!(world.states(), "InService 2");
    let resume =
        shapes::ResumeProcessesRequest { auto_scaling_group_name: "g".into(), scaling_processes: None };
    world.call(resume.clone()).unwrap();
    world.mins(1);
    assert_eq!(world.states(), "InService 1");
    world.call(suspend(&["ReplaceUnhealthy"])).unwrap();
    let id = world.instances()[0].id;
    world.lose(id);
    world.mins(5);
    assert_eq!(world.instances()[0].health.as_str(), "Unhealthy");
    world.call(resume).unwrap();
    world.mins(1);
    assert_eq!(world.states(), "InService 1");
    assert_ne!(world.instances()[0].id, id);
    assert!(
        world
            .refused(suspend(&["Sleep"]))
            .starts_with("ValidationError: Sleep is not a valid scaling process.")
    );
}

#[test]
fn zones_are_balanced_after_they_change() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 4);
    request.availability_zones = Some(vec!["us-east-1a".into()]);
    world.call(request).unwrap();
    world.mins(1);
    assert_eq!(world.zones(), "aaaa");
    let update = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        availability_zones: Some(vec!["us-east-1a".into(), "us-east-1b".into()]),
        ..Default::default()
    };
    world.call(update).unwrap();
    assert_eq!(world.zones(), "aaaab");
    assert!(world.told().ends_with(
        "At T availability zones us-east-1a us-east-1b had 4 0 instances respectively. An instance was launched to aid in \
         balancing the group's zones."
    ));
    world.mins(10);
    assert_eq!(world.zones(), "aabb");
    assert_eq!(world.group().desired, 4);
}

#[test]
fn a_launch_that_fails_is_tried_again() {
    let mut world = World::new();
    let mut request = create_request(0, 10, 1);
    request.availability_zones = Some(vec!["us-east-1e".into()]);
    world.call(request).unwrap();
    let failed = world.activities()[0];
    assert_eq!(
        failed.description,
        "Launching a new EC2 instance.  Status Reason: Your requested instance type (m5.large) is not supported in your \
         requested Availability Zone (us-east-1e). Launching EC2 instance failed."
    );
    world.mins(4);
    assert_eq!(world.activities().len(), 2);
    let update = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        availability_zones: Some(vec!["us-east-1a".into()]),
        ..Default::default()
    };
    world.call(update).unwrap();
    world.mins(1);
    assert_eq!(world.states(), "InService 1");
}

#[test]
fn group_metrics_are_put_every_minute() {
    let mut world = World::new();
    world.create(0, 10, 2);
    let enable = shapes::EnableMetricsCollectionRequest {
        auto_scaling_group_name: "g".into(),
        metrics: Some(vec!["GroupInServiceInstances".into()]),
        granularity: "1Minute".into(),
    };
    world.call(enable).unwrap();
    world.mins(3);
    let ask = capstan_shapes::cloudwatch::GetMetricStatisticsRequest {
        namespace: "AWS/AutoScaling".into(),
        metric_name: "GroupInServiceInstances".into(),
        dimensions: Some(vec![capstan_shapes::cloudwatch::Dimension {
            name: "AutoScalingGroupName".into(),
            value: "g".into(),
        }]),
        start_time: START,
        end_time: world.now,
        period: 60,
        statistics: Some(vec![capstan_shapes::cloudwatch::Statistic::Average]),
        ..Default::default()
    };
    let points = world.call(ask).unwrap().datapoints.unwrap();
    assert_eq!(points.iter().map(|point| point.average.unwrap()).collect::<Vec<_>>(), [2.0, 2.0, 2.0]);
}

use super::*;

fn action(name: &str) -> shapes::PutScheduledUpdateGroupActionRequest {
    shapes::PutScheduledUpdateGroupActionRequest {
        auto_scaling_group_name: "g".into(),
        scheduled_action_name: name.to_owned(),
        ..Default::default()
    }
}

#[test]
fn sizes_change_at_their_times() {
    let mut world = World::new();
    world.create(1, 2, 1);
    let once = shapes::PutScheduledUpdateGroupActionRequest {
        start_time: Some(START + Span::from_mins(90)),
        desired_capacity: Some(2),
        ..action("once")
    };
    world.call(once).unwrap();
    let daily = shapes::PutScheduledUpdateGroupActionRequest {
        recurrence: Some("0 4 * * *".to_owned()),
        time_zone: Some("Etc/GMT-1".to_owned()),
        min_size: Some(4),
        max_size: Some(6),
        ..action("daily")
    };
    world.call(daily).unwrap();
    world.mins(60);
    assert_eq!(world.states(), "InService 1");
    world.mins(60);
    assert_eq!(world.states(), "InService 2");
    assert!(
        world.told().contains("a scheduled action once update of AutoScalingGroup constraints to min: 1, max: 2, desired: 2 changing the desired capacity from 1 to 2."),
        "{}",
        world.told()
    );
    // Four o'clock in that zone is three in UTC. What happened once is forgotten.
    world.mins(65);
    assert_eq!((world.group().min, world.group().max, world.states().as_str()), (4, 6, "InService 4"));
    let left = world.call(shapes::DescribeScheduledActionsRequest::default()).unwrap();
    let left = left.scheduled_update_group_actions.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].start_time, Some(START + Span::from_hours(27)));
    // Suspended, it is skipped.
    let suspend = shapes::SuspendProcessesRequest {
        auto_scaling_group_name: "g".into(),
        scaling_processes: Some(vec!["ScheduledActions".to_owned()]),
    };
    world.call(suspend).unwrap();
    let down = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        min_size: Some(0),
        desired_capacity: Some(0),
        ..Default::default()
    };
    world.call(down).unwrap();
    world.mins(25 * 60);
    assert_eq!(world.group().min, 0);
}

#[test]
fn actions_that_make_no_sense_are_refused() {
    let mut world = World::new();
    world.create(0, 2, 0);
    let mut check = |change: &dyn Fn(&mut shapes::PutScheduledUpdateGroupActionRequest), message: &str| {
        let mut request = action("a");
        request.desired_capacity = Some(1);
        change(&mut request);
        let refused = world.refused(request);
        assert!(refused.contains(message), "{refused}");
    };
    let at = |secs: i64| Some(START + Span::from_secs(secs));
    check(&|_| {}, "StartTime or Recurrence is required");
    check(&|a| a.start_time = at(-1), "in the past");
    check(&|a| (a.start_time, a.end_time) = (at(60), at(30)), "before start time");
    check(&|a| a.recurrence = Some("often".to_owned()), "recurrence string: often is invalid");
    check(&|a| (a.recurrence, a.end_time) = (Some("0 0 1 1 *".to_owned()), at(60)), "never run");
    check(&|a| (a.start_time, a.time_zone) = (at(60), Some("Mars/Base".to_owned())), "TimeZone Mars/Base");
    check(&|a| (a.start_time, a.desired_capacity) = (at(60), None), "At least one of MinSize");
    check(&|a| (a.start_time, a.min_size, a.max_size) = (at(60), Some(3), Some(2)), "MaxSize");
    check(&|a| a.auto_scaling_group_name = "none".to_owned(), "none not found");
    let batch = shapes::BatchPutScheduledUpdateGroupActionRequest {
        auto_scaling_group_name: "g".into(),
        scheduled_update_group_actions: ["good", "bad"]
            .iter()
            .map(|&name| shapes::ScheduledUpdateGroupActionRequest {
                scheduled_action_name: name.to_owned(),
                start_time: at(if name == "good" { 60 } else { -60 }),
                desired_capacity: Some(1),
                ..Default::default()
            })
            .collect(),
    };
    let failed = world.call(batch).unwrap().failed_scheduled_update_group_actions.unwrap();
    let failed: Vec<&str> = failed.iter().map(|each| each.scheduled_action_name.as_str()).collect();
    assert_eq!(failed, ["bad"]);
    let delete = shapes::BatchDeleteScheduledActionRequest {
        auto_scaling_group_name: "g".into(),
        scheduled_action_names: vec!["good".to_owned(), "none".to_owned()],
    };
    let failed = world.call(delete).unwrap().failed_scheduled_actions.unwrap();
    assert_eq!(failed[0].error_message.as_deref(), Some("Scheduled action name not found"));
}

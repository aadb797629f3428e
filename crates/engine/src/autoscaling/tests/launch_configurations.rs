use super::*;
use crate::ec2;

fn configuration(name: &str) -> shapes::CreateLaunchConfigurationRequest {
    shapes::CreateLaunchConfigurationRequest {
        launch_configuration_name: name.to_owned(),
        image_id: Some(ec2::releases()[0].id("us-east-1")),
        instance_type: Some("m5.large".to_owned()),
        key_name: Some("key".to_owned()),
        user_data: Some("IyEvYmluL2Jhc2gK".to_owned()),
        ..Default::default()
    }
}

fn of_configuration(name: &str, desired: i32) -> shapes::CreateAutoScalingGroupRequest {
    shapes::CreateAutoScalingGroupRequest {
        launch_template: None,
        launch_configuration_name: Some(name.to_owned()),
        ..create_request(0, 10, desired)
    }
}

#[test]
fn groups_launch_from_configurations() {
    let mut world = World::new();
    world.call(configuration("one")).unwrap();
    world.call(of_configuration("one", 2)).unwrap();
    world.mins(5);
    assert_eq!(world.states(), "InService 2");
    let shown = world
        .call(shapes::DescribeAutoScalingGroupsRequest::default())
        .unwrap()
        .auto_scaling_groups
        .remove(0);
    assert_eq!(shown.launch_configuration_name.as_deref(), Some("one"));
    assert_eq!(shown.launch_template, None);
    let instance = &shown.instances.unwrap()[0];
    assert_eq!(instance.launch_configuration_name.as_deref(), Some("one"));
    assert_eq!(instance.instance_type.as_deref(), Some("m5.large"));
    let row = world.engine.ec2().instances().iter().next().unwrap();
    assert!(!row.is_spot());
    // The next one is Spot; the old instances stay until something else takes them, and then they go first.
    let mut spot = configuration("two");
    spot.spot_price = Some("0.05".to_owned());
    world.call(spot).unwrap();
    let update = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        launch_configuration_name: Some("two".to_owned()),
        desired_capacity: Some(3),
        termination_policies: Some(vec!["OldestLaunchConfiguration".to_owned()]),
        ..Default::default()
    };
    world.call(update).unwrap();
    world.mins(5);
    assert_eq!(world.states(), "InService 3");
    assert_eq!(world.engine.ec2().instances().iter().filter(|row| row.is_spot()).count(), 1);
    world.desire(1);
    world.mins(5);
    let left = world.instances();
    let origin = left[0].origin.as_ref().and_then(Origin::configuration).map(|name| name.to_string());
    assert_eq!((left.len(), origin.as_deref()), (1, Some("two")));
}

#[test]
fn configurations_are_held_to_their_rules() {
    let mut world = World::new();
    let delete =
        |name: &str| shapes::DeleteLaunchConfigurationRequest { launch_configuration_name: name.to_owned() };
    world.call(configuration("one")).unwrap();
    assert!(
        world.refused(configuration("one")).starts_with("AlreadyExists: Launch Configuration by this name")
    );
    let bare = shapes::CreateLaunchConfigurationRequest { instance_type: None, ..configuration("two") };
    assert!(world.refused(bare).contains("both the ImageId and InstanceType"));
    world.call(of_configuration("one", 0)).unwrap();
    assert!(
        world.refused(delete("one")).starts_with("ResourceInUse: Cannot delete launch configuration one")
    );
    assert!(world.refused(delete("none")).contains("Launch configuration none not found"));
    assert!(world.refused(of_configuration("none", 0)).contains("already exists"));
    let delete_group = shapes::DeleteAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        force_delete: Some(true),
    };
    world.call(delete_group).unwrap();
    assert!(world.refused(of_configuration("none", 0)).contains("Launch configuration none not found"));
    world.call(delete("one")).unwrap();
    let left = world.call(shapes::DescribeLaunchConfigurationsRequest::default()).unwrap();
    assert!(left.launch_configurations.is_empty());
}

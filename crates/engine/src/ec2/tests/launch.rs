//! Launches and ends.

use capstan_model::Span;
use capstan_shapes::ec2::{
    DescribeInstancesRequest, DescribeSubnetsRequest, InstanceMarketOptionsRequest, InstanceStateName,
    LaunchTemplateSpecification, MarketType, Placement, RequestLaunchTemplateData, RunInstancesRequest,
    SpotMarketOptions, Tag, TagSpecification, TerminateInstancesRequest,
};

use crate::{Caller, Effect, Fact, Input};

use super::{World, filter, id, refused, template};

#[test]
fn an_instance_lives_and_is_forgotten() {
    let mut world = World::new();
    let launched = world.launch(world.one()).unwrap();
    let id = id(&launched[0]);
    assert_eq!(launched[0].state.as_ref().unwrap().name, Some(InstanceStateName::Pending));
    assert_eq!(launched[0].state_reason.as_ref().unwrap().code.as_deref(), Some("pending"));
    assert_eq!(world.effects, [Effect::LaunchInstance { instance: id }]);
    world.now += Span::from_secs(20);
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance: id }));
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance: id }));
    assert_eq!(world.engine.ec2().instances().get(&id).unwrap().state, InstanceStateName::Running);
    let end = TerminateInstancesRequest { instance_ids: vec![id.to_string()], ..Default::default() };
    let changes = world.call(end.clone()).unwrap().terminating_instances.unwrap();
    assert_eq!(changes[0].previous_state.as_ref().unwrap().code, Some(16));
    assert_eq!(changes[0].current_state.as_ref().unwrap().code, Some(32));
    assert_eq!(world.effects[1..], [Effect::TerminateInstance { instance: id }]);
    let again = world.call(end).unwrap().terminating_instances.unwrap();
    assert_eq!(again[0].previous_state, again[0].current_state);
    assert_eq!(world.effects.len(), 2);
    let _ = world.step(Input::Fact(Fact::InstanceTerminated { instance: id }));
    let all = world.call(DescribeInstancesRequest::default()).unwrap().reservations.unwrap();
    let ended = &all[0].instances.as_ref().unwrap()[0];
    assert_eq!(ended.state.as_ref().unwrap().name, Some(InstanceStateName::Terminated));
    assert_eq!(
        ended.state_reason.as_ref().unwrap().message.as_deref(),
        Some("Client.UserInitiatedShutdown: User initiated shutdown")
    );
    assert_eq!(ended.state_transition_reason.as_deref(), Some("User initiated (2026-01-01 00:00:20 GMT)"));
    assert_eq!(ended.private_ip_address, None);
    world.now += Span::from_mins(61);
    let _ = world.step(Input::Time);
    assert!(world.engine.ec2().instances().is_empty());
}

#[test]
fn launches_from_a_template() {
    let mut world = World::new();
    let tag = |key: &str, value: &str| Tag { key: Some(key.into()), value: Some(value.into()) };
    let data = RequestLaunchTemplateData {
        image_id: Some(
            "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id".into(),
        ),
        instance_type: Some("m5.large".into()),
        // echo ECS_CLUSTER=a >> /etc/ecs/ecs.config
        user_data: Some("ZWNobyBFQ1NfQ0xVU1RFUj1hID4+IC9ldGMvZWNzL2Vjcy5jb25maWc=".into()),
        tag_specifications: Some(vec![capstan_shapes::ec2::LaunchTemplateTagSpecificationRequest {
            resource_type: Some("instance".into()),
            tags: Some(vec![tag("Name", "template"), tag("Stage", "test")]),
        }]),
        ..Default::default()
    };
    let template = template(&mut world, "web", data);
    let request = RunInstancesRequest {
        min_count: 2,
        max_count: 3,
        instance_type: Some("m5.xlarge".into()),
        launch_template: Some(LaunchTemplateSpecification {
            launch_template_name: Some("web".into()),
            ..Default::default()
        }),
        tag_specifications: Some(vec![TagSpecification {
            resource_type: Some("instance".into()),
            tags: Some(vec![tag("Name", "request"), tag("aws:autoscaling:groupName", "g")]),
        }]),
        instance_market_options: Some(InstanceMarketOptionsRequest {
            market_type: Some(MarketType::Spot),
            spot_options: None,
        }),
        placement: Some(Placement { availability_zone: Some("us-east-1b".into()), ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(
        refused(world.launch(request.clone())),
        "InvalidParameterValue: Tag keys starting with 'aws:' are reserved for internal use"
    );
    let launched = world.call_as(Caller::AUTOSCALING, request).unwrap().instances.unwrap();
    assert_eq!(launched.len(), 3);
    let row = world.engine.ec2().instances().get(&id(&launched[0])).unwrap();
    assert_eq!(row.image, world.image());
    assert_eq!(row.instance_type.name, "m5.xlarge");
    assert_eq!(row.zone.name, "us-east-1b");
    assert_eq!(row.agent_config()["ECS_CLUSTER"], "a");
    assert!(row.runs_ecs_agent());
    assert_eq!(row.group(), Some("g"));
    assert_eq!(row.lifecycle(), "spot");
    let tags: Vec<(&str, &str)> = row.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        tags,
        [
            ("Name", "request"),
            ("Stage", "test"),
            ("aws:autoscaling:groupName", "g"),
            ("aws:ec2launchtemplate:id", template.as_str()),
            ("aws:ec2launchtemplate:version", "1"),
        ]
    );
    let spot = launched[0].spot_instance_request_id.as_ref().unwrap();
    assert_eq!((spot.len(), &spot[..4]), (12, "sir-"));
    let found = world
        .call(DescribeInstancesRequest {
            filters: filter("tag:aws:autoscaling:groupName", "g"),
            ..Default::default()
        })
        .unwrap();
    let reservations = found.reservations.unwrap();
    assert_eq!(reservations.len(), 1);
    assert_eq!(reservations[0].instances.as_ref().unwrap().len(), 3);
    let subnets = world
        .call(DescribeSubnetsRequest {
            filters: filter("availability-zone", "us-east-1b"),
            ..Default::default()
        })
        .unwrap();
    assert_eq!(subnets.subnets.unwrap()[0].available_ip_address_count, Some(4088));
}

#[test]
fn what_cannot_be_launched() {
    let mut world = World::new();
    let one = world.one();
    let zone = |zone: &str| Some(Placement { availability_zone: Some(zone.into()), ..Default::default() });
    let arm = super::super::releases()[1].id("us-east-1");
    let cases = [
        (
            RunInstancesRequest { image_id: Some("ami-0123456789abcdef0".into()), ..one.clone() },
            "InvalidAMIID.NotFound: The image id '[ami-0123456789abcdef0]' does not exist",
        ),
        (
            RunInstancesRequest { image_id: Some("linux".into()), ..one.clone() },
            "InvalidAMIID.Malformed: Invalid id: \"linux\" (expecting \"ami-...\")",
        ),
        (
            RunInstancesRequest { image_id: None, ..one.clone() },
            "MissingParameter: The request must contain the parameter ImageId",
        ),
        (
            RunInstancesRequest { instance_type: Some("m9.large".into()), ..one.clone() },
            "InvalidParameterValue: Invalid value 'm9.large' for InstanceType.",
        ),
        (
            RunInstancesRequest { subnet_id: Some("subnet-1".into()), ..one.clone() },
            "InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist",
        ),
        (
            RunInstancesRequest { security_group_ids: Some(vec!["sg-1".into()]), ..one.clone() },
            "InvalidGroup.NotFound: The security group 'sg-1' does not exist",
        ),
        (
            RunInstancesRequest { placement: zone("us-east-1e"), ..one.clone() },
            "Unsupported: Your requested instance type (m5.large) is not supported in your requested Availability \
             Zone (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing \
             us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f.",
        ),
        (
            RunInstancesRequest { placement: zone("mars-1a"), ..one.clone() },
            "InvalidParameterValue: Invalid availability zone: [mars-1a]",
        ),
        (
            RunInstancesRequest { user_data: Some("#!/bin/bash".into()), ..one.clone() },
            "InvalidUserData.Malformed: Invalid BASE64 encoding of user data.",
        ),
        (
            RunInstancesRequest { min_count: 0, ..one.clone() },
            "InvalidParameterValue: Value (0) for parameter minCount is invalid. Expecting a positive integer.",
        ),
        (
            RunInstancesRequest {
                min_count: 5000,
                max_count: 5000,
                placement: zone("us-east-1a"),
                ..one.clone()
            },
            "InsufficientFreeAddressesInSubnet: There are not enough free addresses in subnet ",
        ),
        (
            RunInstancesRequest {
                launch_template: Some(LaunchTemplateSpecification {
                    launch_template_id: Some("lt-0123".into()),
                    ..Default::default()
                }),
                ..one.clone()
            },
            "InvalidLaunchTemplateId.NotFound: The specified launch template, with template ID lt-0123, does not exist.",
        ),
        (
            RunInstancesRequest { image_id: Some(arm), ..one.clone() },
            "InvalidParameterValue: The architecture 'x86_64' of the specified instance type does not match the \
             architecture 'arm64' of the specified AMI.",
        ),
        (
            RunInstancesRequest {
                instance_market_options: Some(InstanceMarketOptionsRequest {
                    market_type: Some(MarketType::Spot),
                    spot_options: Some(SpotMarketOptions {
                        max_price: Some("0.0001".into()),
                        ..Default::default()
                    }),
                }),
                placement: zone("us-east-1a"),
                ..one.clone()
            },
            "SpotMaxPriceTooLow: Your Spot request price of 0.0001 is lower than the minimum required Spot request \
             fulfillment price of 0.0",
        ),
        (
            RunInstancesRequest { dry_run: Some(true), ..one },
            "DryRunOperation: Request would have succeeded, but DryRun flag is set.",
        ),
    ];
    for (request, message) in cases {
        let answer = refused(world.launch(request));
        assert!(answer.starts_with(message), "{answer}");
    }
    assert!(world.effects.is_empty());
}

#[test]
fn a_client_token_launches_once() {
    let mut world = World::new();
    let request = RunInstancesRequest { client_token: Some("once".into()), ..world.one() };
    let first = world.launch(request.clone()).unwrap();
    assert_eq!(world.launch(request.clone()).unwrap(), first);
    let other = RunInstancesRequest { instance_type: Some("m5.xlarge".into()), ..request };
    assert!(refused(world.launch(other)).starts_with("IdempotentParameterMismatch: "));
    assert_eq!(world.engine.ec2().instances().len(), 1);
}

#[test]
fn an_instance_that_ends_by_itself() {
    let mut world = World::new();
    let instance = id(&world.launch(world.one()).unwrap()[0]);
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance }));
    let _ = world.step(Input::Fact(Fact::InstanceTerminated { instance }));
    let row = world.engine.ec2().instances().get(&instance).unwrap();
    assert_eq!(row.state, InstanceStateName::Terminated);
    assert_eq!(row.state_reason.as_ref().unwrap().code, "Client.InstanceInitiatedShutdown");
}

#[test]
fn termination_protection_is_against_people() {
    let mut world = World::new();
    let request = RunInstancesRequest { disable_api_termination: Some(true), ..world.one() };
    let id = id(&world.launch(request).unwrap()[0]).to_string();
    let end = TerminateInstancesRequest { instance_ids: vec![id], ..Default::default() };
    assert!(refused(world.call(end.clone())).starts_with("OperationNotPermitted: The instance 'i-0"));
    assert!(world.call_as(Caller::AUTOSCALING, end).is_ok());
}

#[test]
fn addresses_come_back_and_are_never_shared() {
    let mut world = World::new();
    let placement = Some(Placement { availability_zone: Some("us-east-1a".into()), ..Default::default() });
    let full = RunInstancesRequest { max_count: 5000, placement, ..world.one() };
    let launched = world.launch(full.clone()).unwrap();
    assert_eq!(launched.len(), 4091);
    let addresses: std::collections::BTreeSet<_> =
        launched.iter().map(|each| each.private_ip_address.clone().unwrap()).collect();
    assert_eq!(addresses.len(), 4091);
    assert!(refused(world.launch(full.clone())).starts_with("InsufficientFreeAddressesInSubnet: "));
    let gone = id(&launched[17]);
    let end = TerminateInstancesRequest { instance_ids: vec![gone.to_string()], ..Default::default() };
    world.call(end).unwrap();
    let _ = world.step(Input::Fact(Fact::InstanceTerminated { instance: gone }));
    let again = world.launch(full).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].private_ip_address, launched[17].private_ip_address);
}

//! EC2 through the one door.

use capstan_model::{InstanceId, Span, Time, region};
use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, CreateLaunchTemplateVersionRequest, DeleteLaunchTemplateRequest,
    DeleteLaunchTemplateVersionsRequest, DescribeInstancesRequest, DescribeLaunchTemplateVersionsRequest,
    DescribeLaunchTemplatesRequest, DescribeSubnetsRequest, Filter, Instance, InstanceMarketOptionsRequest,
    InstanceStateName, LaunchTemplateSpecification, MarketType, ModifyLaunchTemplateRequest, Placement,
    RequestLaunchTemplateData, RunInstancesRequest, SpotMarketOptions, Tag, TagSpecification,
    TerminateInstancesRequest,
};
use capstan_shapes::{Call, Refusal};

use crate::{Caller, Config, Effect, Engine, Fact, Input, Outcome};

const START: Time = Time::from_secs(1_767_225_600);

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Time,
    pub(super) effects: Vec<Effect>,
}

impl World {
    pub(super) fn new() -> Self {
        let config = Config { region: region("us-east-1").unwrap(), ..Config::new(7) };
        Self { engine: Engine::new(config, START), now: START, effects: Vec::new() }
    }

    pub(super) fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        let caller = Caller::User { access_key: "test".into() };
        self.call_as(caller, request)
    }

    pub(super) fn call_as<C: Call>(&mut self, caller: Caller, request: C) -> Result<C::Output, Refusal> {
        let outcome = self.step(Input::Call { caller, request: Box::new(request.into()) });
        outcome.reply.unwrap().map(|response| C::output(response).unwrap())
    }

    pub(super) fn step(&mut self, input: Input) -> Outcome {
        let outcome = self.engine.step(self.now, input);
        self.effects.extend(outcome.effects.iter().cloned());
        outcome
    }

    /// The newest ECS-optimized image for x86.
    pub(super) fn image(&self) -> String {
        super::releases()[0].id(self.engine.config().region.name)
    }

    pub(super) fn launch(&mut self, request: RunInstancesRequest) -> Result<Vec<Instance>, Refusal> {
        self.call(request).map(|response| response.instances.unwrap())
    }

    pub(super) fn one(&self) -> RunInstancesRequest {
        RunInstancesRequest {
            image_id: Some(self.image()),
            instance_type: Some("m5.large".into()),
            min_count: 1,
            max_count: 1,
            ..Default::default()
        }
    }
}

pub(super) fn id(instance: &Instance) -> InstanceId {
    instance.instance_id.as_ref().unwrap().parse().unwrap()
}

pub(super) fn filter(name: &str, value: &str) -> Option<Vec<Filter>> {
    Some(vec![Filter { name: Some(name.into()), values: Some(vec![value.into()]) }])
}

fn template(world: &mut World, name: &str, data: RequestLaunchTemplateData) -> String {
    let request = CreateLaunchTemplateRequest {
        launch_template_name: name.into(),
        launch_template_data: data,
        ..Default::default()
    };
    world.call(request).unwrap().launch_template.unwrap().launch_template_id.unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn an_instance_lives_and_is_forgotten() {
    let mut world = World::new();
    let launched = world.launch(world.one()).unwrap();
    let id = id(&launched[0]);
    assert_eq!(launched[0].state.as_ref().unwrap().name, Some(InstanceStateName::Pending));
    assert_eq!(launched[0].state_reason.as_ref().unwrap().code.as_deref(), Some("pending"));
    assert_eq!(world.effects, [Effect::LaunchInstance { instance: id }]);
    world.now = world.now + Span::from_secs(20);
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
    world.now = world.now + Span::from_mins(61);
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
    let arm = super::releases()[1].id("us-east-1");
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
            "SpotMaxPriceTooLow: Your Spot request price of 0.000100 is lower than the minimum required Spot request \
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
fn template_versions() {
    let mut world = World::new();
    let data = RequestLaunchTemplateData {
        image_id: Some("ami-1".into()),
        instance_type: Some("m5.large".into()),
        ..Default::default()
    };
    let id = template(&mut world, "web", data.clone());
    let twice = CreateLaunchTemplateRequest {
        launch_template_name: "web".into(),
        launch_template_data: data,
        ..Default::default()
    };
    assert_eq!(
        refused(world.call(twice)),
        "InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use."
    );
    for (source, instance_type) in [(Some("1"), "m5.xlarge"), (None, "m5.2xlarge")] {
        let version = world
            .call(CreateLaunchTemplateVersionRequest {
                launch_template_name: Some("web".into()),
                source_version: source.map(ToOwned::to_owned),
                launch_template_data: RequestLaunchTemplateData {
                    instance_type: Some(instance_type.into()),
                    ..Default::default()
                },
                ..Default::default()
            })
            .unwrap();
        let data = version.launch_template_version.unwrap().launch_template_data.unwrap();
        assert_eq!(data.image_id.is_some(), source.is_some());
        assert_eq!(data.instance_type.as_deref(), Some(instance_type));
    }
    let versions = |world: &mut World, versions: &[&str]| -> Result<Vec<i64>, String> {
        let request = DescribeLaunchTemplateVersionsRequest {
            launch_template_id: Some(id.clone()),
            versions: Some(versions.iter().map(ToString::to_string).collect()),
            ..Default::default()
        };
        let found = world.call(request).map_err(|refusal| refusal.to_string())?;
        let found = found.launch_template_versions.unwrap();
        Ok(found.iter().map(|each| each.version_number.unwrap()).collect())
    };
    assert_eq!(versions(&mut world, &[]), Ok(vec![3, 2, 1]));
    assert_eq!(versions(&mut world, &["$Latest", "$Default"]), Ok(vec![3, 1]));
    assert_eq!(
        versions(&mut world, &["9"]),
        Err(format!(
            "InvalidLaunchTemplateId.VersionNotFound: Could not find the specified version 9 for the launch template \
             with ID {id}."
        ))
    );
    let modified = world
        .call(ModifyLaunchTemplateRequest {
            launch_template_id: Some(id.clone()),
            default_version: Some("2".into()),
            ..Default::default()
        })
        .unwrap();
    assert_eq!(modified.launch_template.unwrap().default_version_number, Some(2));
    let delete = |versions: &[&str]| DeleteLaunchTemplateVersionsRequest {
        launch_template_id: Some(id.clone()),
        versions: versions.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    assert!(refused(world.call(delete(&["2"]))).starts_with("OperationNotPermitted: "));
    let deleted = world.call(delete(&["3", "9"])).unwrap();
    assert_eq!(deleted.successfully_deleted_launch_template_versions.unwrap().len(), 1);
    assert_eq!(deleted.unsuccessfully_deleted_launch_template_versions.unwrap().len(), 1);
    assert_eq!(versions(&mut world, &["$Latest"]), Ok(vec![2]));
    world
        .call(DeleteLaunchTemplateRequest { launch_template_name: Some("web".into()), ..Default::default() })
        .unwrap();
    assert_eq!(
        refused(world.call(DescribeLaunchTemplatesRequest {
            launch_template_names: Some(vec!["web".into()]),
            ..Default::default()
        })),
        "InvalidLaunchTemplateName.NotFoundException: At least one of the launch templates specified in the request \
         does not exist."
    );
    assert!(world.engine.ec2().launch_template_versions().is_empty());
}

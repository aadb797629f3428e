//! EC2 through the one door.

use capstan_model::{InstanceId, Span, Time, region};
use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, CreateLaunchTemplateVersionRequest, CreateTagsRequest,
    DeleteLaunchTemplateRequest, DeleteLaunchTemplateVersionsRequest, DeleteTagsRequest,
    DescribeAvailabilityZonesRequest, DescribeImagesRequest, DescribeInstanceStatusRequest,
    DescribeInstanceTypeOfferingsRequest, DescribeInstanceTypesRequest, DescribeInstancesRequest,
    DescribeLaunchTemplateVersionsRequest, DescribeLaunchTemplatesRequest, DescribeRegionsRequest,
    DescribeSecurityGroupsRequest, DescribeSubnetsRequest, DescribeTagsRequest, DescribeVpcsRequest, Filter,
    Instance, InstanceMarketOptionsRequest, InstanceStateName, LaunchTemplateSpecification, LocationType,
    MarketType, ModifyLaunchTemplateRequest, Placement, RequestLaunchTemplateData, RunInstancesRequest,
    SpotMarketOptions, SummaryStatus, Tag, TagSpecification, TerminateInstancesRequest,
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

#[test]
fn describe_instances_filters_and_pages() {
    let mut world = World::new();
    let tagged = |name: &str| {
        Some(vec![TagSpecification {
            resource_type: Some("instance".into()),
            tags: Some(vec![Tag { key: Some("Name".into()), value: Some(name.into()) }]),
        }])
    };
    let web = RunInstancesRequest { max_count: 7, tag_specifications: tagged("web"), ..world.one() };
    let web = world.launch(web).unwrap();
    let spot = RunInstancesRequest {
        instance_market_options: Some(InstanceMarketOptionsRequest {
            market_type: Some(MarketType::Spot),
            spot_options: None,
        }),
        tag_specifications: tagged("db"),
        ..world.one()
    };
    let spot = world.launch(spot).unwrap();
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance: id(&spot[0]) }));
    let address = web[3].private_ip_address.clone().unwrap();
    let cases: [(&str, &str, usize); 12] = [
        ("instance-state-name", "pending", 7),
        ("instance-state-name", "running", 1),
        ("tag:Name", "w*", 7),
        ("tag-key", "Name", 8),
        ("instance-lifecycle", "spot", 1),
        ("instance-type", "m5.*", 8),
        ("private-ip-address", &address, 1),
        ("vpc-id", web[0].vpc_id.as_ref().unwrap(), 8),
        ("subnet-id", "subnet-1", 0),
        ("image-id", &world.image(), 8),
        ("launch-index", "6", 1),
        ("placement-group-name", "*", 0),
    ];
    for (name, value, count) in cases {
        let request = DescribeInstancesRequest { filters: filter(name, value), ..Default::default() };
        let reservations = world.call(request).unwrap().reservations.unwrap();
        let found: usize = reservations.iter().map(|each| each.instances.as_ref().unwrap().len()).sum();
        assert_eq!(found, count, "{name} {value}");
    }
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let request =
            DescribeInstancesRequest { max_results: Some(5), next_token: token, ..Default::default() };
        let page = world.call(request).unwrap();
        for reservation in page.reservations.unwrap() {
            seen.extend(reservation.instances.unwrap().iter().map(id));
        }
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    seen.sort();
    let all: Vec<InstanceId> = world.engine.ec2().instances().iter().map(|row| row.id).collect();
    assert_eq!(seen, all);
    let describe = |ids: &[&str], max_results: Option<i32>, token: Option<&str>| DescribeInstancesRequest {
        instance_ids: Some(ids.iter().map(ToString::to_string).collect()),
        max_results,
        next_token: token.map(ToOwned::to_owned),
        ..Default::default()
    };
    let cases = [
        (
            describe(&["i-0123456789abcdef0"], None, None),
            "InvalidInstanceID.NotFound: The instance ID 'i-0123456789abcdef0' does not exist",
        ),
        (
            describe(&["i-0123456789abcdef0", "i-0123456789abcdef1"], None, None),
            "InvalidInstanceID.NotFound: The instance IDs 'i-0123456789abcdef0, i-0123456789abcdef1' do not exist",
        ),
        (describe(&["i-web"], None, None), "InvalidInstanceID.Malformed: Invalid id: \"i-web\""),
        (
            describe(&["web"], None, None),
            "InvalidInstanceID.Malformed: Invalid id: \"web\" (expecting \"i-...\")",
        ),
        (
            describe(&["i-0123456789abcdef0"], Some(5), None),
            "InvalidParameterCombination: The parameter instancesSet cannot be used with the parameter maxResults",
        ),
        (
            describe(&[], Some(4), None),
            "InvalidParameterValue: Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5.",
        ),
        (describe(&[], None, Some("x")), "InvalidNextToken: The specified NextToken is not valid."),
        (
            DescribeInstancesRequest { filters: filter("colour", "red"), ..Default::default() },
            "InvalidParameterValue: The filter 'colour' is invalid",
        ),
    ];
    for (request, message) in cases {
        assert_eq!(refused(world.call(request)), message);
    }
}

#[test]
fn status_checks_begin_when_an_instance_runs() {
    let mut world = World::new();
    let instance = id(&world.launch(world.one()).unwrap()[0]);
    let mut status = |world: &mut World, all: bool| {
        let request =
            DescribeInstanceStatusRequest { include_all_instances: Some(all), ..Default::default() };
        let statuses = world.call(request).unwrap().instance_statuses.unwrap();
        statuses.first().map(|each| each.instance_status.as_ref().unwrap().status.unwrap())
    };
    assert_eq!(status(&mut world, false), None);
    assert_eq!(status(&mut world, true), Some(SummaryStatus::NotApplicable));
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance }));
    assert_eq!(status(&mut world, false), Some(SummaryStatus::Initializing));
    world.now = world.now + Span::from_mins(2);
    assert_eq!(status(&mut world, false), Some(SummaryStatus::Ok));
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
fn the_default_network() {
    let mut world = World::new();
    let vpcs = world.call(DescribeVpcsRequest { filters: filter("isDefault", "true"), ..Default::default() });
    let vpc = vpcs.unwrap().vpcs.unwrap().remove(0);
    assert_eq!(vpc.cidr_block.as_deref(), Some("172.31.0.0/16"));
    let by_vpc = filter("vpc-id", vpc.vpc_id.as_ref().unwrap());
    let request = DescribeSubnetsRequest { filters: by_vpc.clone(), ..Default::default() };
    let subnets = world.call(request).unwrap().subnets.unwrap();
    let shown: Vec<(String, String, i32)> = subnets
        .into_iter()
        .map(|each| {
            let free = each.available_ip_address_count.unwrap();
            (each.availability_zone.unwrap(), each.cidr_block.unwrap(), free)
        })
        .collect();
    assert_eq!(shown.len(), 6);
    assert_eq!(shown[0], ("us-east-1a".into(), "172.31.0.0/20".into(), 4091));
    assert_eq!(shown[5], ("us-east-1f".into(), "172.31.80.0/20".into(), 4091));
    let request = DescribeSecurityGroupsRequest { filters: by_vpc, ..Default::default() };
    let groups = world.call(request).unwrap().security_groups.unwrap();
    assert_eq!(groups[0].group_name.as_deref(), Some("default"));
    let request = DescribeSubnetsRequest { subnet_ids: Some(vec!["subnet-9".into()]), ..Default::default() };
    assert_eq!(
        refused(world.call(request)),
        "InvalidSubnetID.NotFound: The subnet ID 'subnet-9' does not exist"
    );
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

#[test]
fn tags_come_and_go() {
    let mut world = World::new();
    let instance = id(&world.launch(world.one()).unwrap()[0]);
    let template = template(&mut world, "web", RequestLaunchTemplateData::default());
    let subnet = world.engine.ec2().subnets().iter().next().unwrap().id.clone();
    let tag =
        |key: &str, value: Option<&str>| Tag { key: Some(key.into()), value: value.map(ToOwned::to_owned) };
    let resources = vec![instance.to_string(), template.clone(), subnet];
    let create = |resources: &[String], key: &str, value: &str| CreateTagsRequest {
        resources: resources.to_vec(),
        tags: vec![tag(key, Some(value))],
        ..Default::default()
    };
    world.call(create(&resources, "Name", "web")).unwrap();
    world.call(create(&resources[..1], "Stage", "test")).unwrap();
    world.call_as(Caller::AUTOSCALING, create(&resources[..1], "aws:autoscaling:groupName", "g")).unwrap();
    assert_eq!(
        world.engine.ec2().instances().count_by(&super::InstanceIndex::Group("g".into())),
        1,
        "the index follows the tag"
    );
    let describe = |world: &mut World, name: &str, value: &str| -> Vec<String> {
        let request = DescribeTagsRequest { filters: filter(name, value), ..Default::default() };
        let tags = world.call(request).unwrap().tags.unwrap();
        tags.into_iter().map(|tag| format!("{} {}", tag.resource_type.unwrap(), tag.key.unwrap())).collect()
    };
    assert_eq!(describe(&mut world, "key", "Name").len(), 3);
    assert_eq!(describe(&mut world, "resource-id", &template), ["launch-template Name"]);
    let instance_id = instance.to_string();
    assert_eq!(
        describe(&mut world, "resource-id", &instance_id),
        ["instance Name", "instance Stage", "instance aws:autoscaling:groupName"]
    );
    let delete = |resources: &[String], tags: Vec<Tag>| DeleteTagsRequest {
        resources: resources.to_vec(),
        tags: Some(tags),
        ..Default::default()
    };
    world.call(delete(&resources, vec![tag("Name", Some("db"))])).unwrap();
    assert_eq!(describe(&mut world, "key", "Name").len(), 3);
    world.call(delete(&resources, vec![tag("Name", None)])).unwrap();
    assert_eq!(describe(&mut world, "key", "Name").len(), 0);
    world.call(delete(&resources, vec![])).unwrap();
    assert_eq!(describe(&mut world, "resource-id", &instance_id), ["instance aws:autoscaling:groupName"]);
    let cases = [
        (create(&["i-0123456789abcdef0".into()], "a", "b"), "InvalidInstanceID.NotFound: "),
        (create(&["thing-1".into()], "a", "b"), "InvalidID: The ID 'thing-1' is not valid"),
        (create(&resources[..1], "aws:x", "b"), "InvalidParameterValue: Tag keys starting with 'aws:'"),
        (create(&resources[..1], "", "b"), "InvalidParameterValue: Tag key cannot be empty"),
    ];
    for (request, message) in cases {
        let answer = refused(world.call(request));
        assert!(answer.starts_with(message), "{answer}");
    }
    let many = (0..51).map(|n| tag(&format!("k{n}"), Some(""))).collect();
    let request = CreateTagsRequest { resources, tags: many, ..Default::default() };
    assert!(refused(world.call(request)).starts_with("TagLimitExceeded: "));
}

#[test]
fn zones_regions_types_and_images() {
    let mut world = World::new();
    let zones = world.call(DescribeAvailabilityZonesRequest::default()).unwrap().availability_zones.unwrap();
    assert_eq!(zones.len(), 6);
    assert_eq!(zones[2].zone_id.as_deref(), Some("use1-az4"));
    let regions = world.call(DescribeRegionsRequest::default()).unwrap().regions.unwrap();
    assert!(regions.iter().any(|region| region.endpoint.as_deref() == Some("ec2.eu-west-1.amazonaws.com")));

    let request =
        DescribeInstanceTypesRequest { instance_types: Some(vec!["m5.large".into()]), ..Default::default() };
    let large = world.call(request).unwrap().instance_types.unwrap().remove(0);
    assert_eq!(large.v_cpu_info.unwrap().default_v_cpus, Some(2));
    assert_eq!(large.memory_info.unwrap().size_in_mib, Some(8192));
    assert_eq!(large.network_info.unwrap().maximum_network_interfaces, Some(3));
    let request = DescribeInstanceTypesRequest {
        instance_types: Some(vec!["m5.large".into(), "m9.large".into()]),
        ..Default::default()
    };
    assert_eq!(
        refused(world.call(request)),
        "InvalidInstanceType: The following supplied instance types do not exist: [m9.large]"
    );
    let page = world.call(DescribeInstanceTypesRequest::default()).unwrap();
    assert_eq!((page.instance_types.unwrap().len(), page.next_token.is_some()), (100, true));
    let request = DescribeInstanceTypesRequest {
        filters: filter("processor-info.supported-architecture", "arm64"),
        ..Default::default()
    };
    let arm = world.call(request).unwrap().instance_types.unwrap();
    assert!(arm.iter().any(|each| each.instance_type.as_deref() == Some("m6g.large")));

    let offerings = |world: &mut World, kind: LocationType| -> Vec<String> {
        let request = DescribeInstanceTypeOfferingsRequest {
            location_type: Some(kind),
            filters: filter("instance-type", "m5.large"),
            ..Default::default()
        };
        let found = world.call(request).unwrap().instance_type_offerings.unwrap();
        found.into_iter().map(|each| each.location.unwrap()).collect()
    };
    assert_eq!(offerings(&mut world, LocationType::Region), ["us-east-1"]);
    let letters = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"];
    assert_eq!(offerings(&mut world, LocationType::AvailabilityZone), letters);
    assert!(!offerings(&mut world, LocationType::AvailabilityZoneId).contains(&"use1-az3".to_owned()));

    let images = |world: &mut World, owner: &str, name: &str| {
        let request = DescribeImagesRequest {
            owners: Some(vec![owner.into()]),
            filters: filter("name", name),
            ..Default::default()
        };
        world.call(request).unwrap().images.unwrap()
    };
    let ecs = images(&mut world, "amazon", "amzn2-ami-ecs-hvm-*-x86_64-ebs");
    assert_eq!(ecs.len(), 1);
    assert_eq!(ecs[0].image_id, Some(world.image()));
    assert_eq!(images(&mut world, "591542846629", "al2023-ami-ecs-hvm-*").len(), 2);
    assert_eq!(images(&mut world, "self", "*").len(), 0);
    let request =
        DescribeImagesRequest { image_ids: Some(vec!["ami-0123456789abcdef0".into()]), ..Default::default() };
    assert_eq!(
        refused(world.call(request)),
        "InvalidAMIID.NotFound: The image id '[ami-0123456789abcdef0]' does not exist"
    );
    let request = DescribeImagesRequest { dry_run: Some(true), ..Default::default() };
    assert_eq!(world.call(request).unwrap_err().status, 412);
}

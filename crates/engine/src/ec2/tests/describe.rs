//! Describe calls.

use capstan_model::{InstanceId, Span};
use capstan_shapes::ec2::{
    DescribeAvailabilityZonesRequest, DescribeImagesRequest, DescribeInstanceStatusRequest,
    DescribeInstanceTypeOfferingsRequest, DescribeInstanceTypesRequest, DescribeInstancesRequest,
    DescribeRegionsRequest, DescribeSecurityGroupsRequest, DescribeSubnetsRequest, DescribeVpcsRequest,
    InstanceMarketOptionsRequest, LocationType, MarketType, RunInstancesRequest, SummaryStatus, Tag,
    TagSpecification,
};

use crate::{Fact, Input};

use super::{World, filter, id, refused};

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
    let status = |world: &mut World, all: bool| {
        let request =
            DescribeInstanceStatusRequest { include_all_instances: Some(all), ..Default::default() };
        let statuses = world.call(request).unwrap().instance_statuses.unwrap();
        statuses.first().map(|each| each.instance_status.as_ref().unwrap().status.unwrap())
    };
    assert_eq!(status(&mut world, false), None);
    assert_eq!(status(&mut world, true), Some(SummaryStatus::NotApplicable));
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance }));
    assert_eq!(status(&mut world, false), Some(SummaryStatus::Initializing));
    world.now += Span::from_mins(2);
    assert_eq!(status(&mut world, false), Some(SummaryStatus::Ok));
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

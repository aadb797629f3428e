//! Launch configurations: created, described, deleted, and the instances that they ask for.

use capstan_shapes::{Refusal, autoscaling as shapes, ec2};

use super::rows::{LaunchConfiguration, Name, Source};
use super::{invalid, invalid_token};
use crate::kernel::{page, recast};
use crate::{Caller, Engine};

/// Launch configurations of an account in a region (Auto Scaling quotas).
pub(super) const PER_REGION_MAX: usize = 200;

/// The launch configuration of that name.
pub(super) fn find<'a>(cx: &'a Engine, name: &str) -> Result<&'a LaunchConfiguration, Refusal> {
    cx.autoscaling.launch_configurations.get(&Name::from(name)).ok_or_else(|| {
        invalid(format!("Launch configuration name not found - Launch configuration {name} not found"))
    })
}

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateLaunchConfigurationRequest,
) -> Result<shapes::CreateLaunchConfigurationResponse, Refusal> {
    let name: Name = request.launch_configuration_name.as_str().into();
    if request.instance_id.is_some() {
        return Err(invalid(
            "Launch configurations cannot be made of an instance here: leave InstanceId out and give ImageId and \
             InstanceType.",
        ));
    }
    if request.image_id.is_none() || request.instance_type.is_none() {
        return Err(invalid(
            "Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.",
        ));
    }
    let table = &cx.autoscaling.launch_configurations;
    if table.contains(&name) {
        return Err(Refusal::of(
            &shapes::ALREADY_EXISTS_FAULT,
            format!(
                "Launch Configuration by this name already exists - A launch configuration already exists with the name {name}"
            ),
        ));
    }
    if table.len() >= PER_REGION_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!("The number of launch configurations would exceed the limit of {PER_REGION_MAX}."),
        ));
    }
    let uuid = cx.chance.uuid("autoscaling.launch-configuration-id");
    let arn = cx.arn("autoscaling", format!("launchConfiguration:{uuid}:launchConfigurationName/{name}"));
    let row = LaunchConfiguration { name, arn: arn.into(), created: cx.now, given: request };
    cx.autoscaling.launch_configurations.insert(row);
    Ok(shapes::CreateLaunchConfigurationResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteLaunchConfigurationRequest,
) -> Result<shapes::DeleteLaunchConfigurationResponse, Refusal> {
    let name = find(cx, &request.launch_configuration_name)?.name.clone();
    let of = |source: &Source| matches!(source, Source::Configuration(used) if *used == name);
    if let Some(group) = cx.autoscaling.groups.iter().find(|group| of(&group.source)) {
        return Err(Refusal::of(
            &shapes::RESOURCE_IN_USE_FAULT,
            format!(
                "Cannot delete launch configuration {name} because it is attached to AutoScalingGroup {}",
                group.name
            ),
        ));
    }
    cx.autoscaling.launch_configurations.remove(&name);
    Ok(shapes::DeleteLaunchConfigurationResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeLaunchConfigurationsRequest,
) -> Result<shapes::DescribeLaunchConfigurationsResponse, Refusal> {
    let names = request.launch_configuration_names.unwrap_or_default();
    let wanted =
        |row: &&LaunchConfiguration| names.is_empty() || names.iter().any(|name| **name == *row.name);
    let rows = cx.autoscaling.launch_configurations.iter().filter(wanted);
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(100);
    let page = page(rows, |row| row.name.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| invalid_token())?;
    Ok(shapes::DescribeLaunchConfigurationsResponse {
        launch_configurations: page.items.into_iter().map(shape).collect(),
        next_token: page.next,
    })
}

fn shape(row: &LaunchConfiguration) -> shapes::LaunchConfiguration {
    let given = &row.given;
    let shown: shapes::LaunchConfiguration =
        recast(given.clone(), &shapes::CREATE_LAUNCH_CONFIGURATION_REQUEST, &shapes::LAUNCH_CONFIGURATION);
    // What was not given is told as empty.
    shapes::LaunchConfiguration {
        launch_configuration_arn: Some(row.arn.to_string()),
        created_time: row.created,
        key_name: Some(given.key_name.clone().unwrap_or_default()),
        security_groups: Some(given.security_groups.clone().unwrap_or_default()),
        classic_link_vpc_security_groups: Some(Vec::new()),
        user_data: Some(given.user_data.clone().unwrap_or_default()),
        kernel_id: Some(given.kernel_id.clone().unwrap_or_default()),
        ramdisk_id: Some(given.ramdisk_id.clone().unwrap_or_default()),
        block_device_mappings: Some(given.block_device_mappings.clone().unwrap_or_default()),
        instance_monitoring: Some(shapes::InstanceMonitoring { enabled: Some(is_monitored(given)) }),
        ebs_optimized: Some(given.ebs_optimized.unwrap_or(false)),
        ..shown
    }
}

/// Detailed monitoring is on unless it is switched off (API reference, CreateLaunchConfiguration).
fn is_monitored(given: &shapes::CreateLaunchConfigurationRequest) -> bool {
    given.instance_monitoring.as_ref().and_then(|monitoring| monitoring.enabled).unwrap_or(true)
}

/// The RunInstances request for an instance in that subnet (`None`: in the zone that the caller adds).
pub(super) fn instances(row: &LaunchConfiguration, subnet: Option<String>) -> ec2::RunInstancesRequest {
    let mut given = row.given.clone();
    let profile = given.iam_instance_profile.take();
    let groups = given.security_groups.take().unwrap_or_default();
    let (group_ids, group_names): (Vec<String>, Vec<String>) =
        groups.into_iter().partition(|group| group.starts_with("sg-"));
    let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    for mapping in given.block_device_mappings.iter_mut().flatten() {
        // A flag here, a text there.
        mapping.no_device = None;
    }
    let spot = row.given.spot_price.clone();
    let monitored = is_monitored(&given);
    let base: ec2::RunInstancesRequest =
        recast(given, &shapes::CREATE_LAUNCH_CONFIGURATION_REQUEST, &ec2::RUN_INSTANCES_REQUEST);
    let mut request = ec2::RunInstancesRequest {
        monitoring: Some(ec2::RunInstancesMonitoringEnabled { enabled: monitored }),
        iam_instance_profile: profile.map(|profile| match profile.starts_with("arn:") {
            true => ec2::IamInstanceProfileSpecification { arn: Some(profile), name: None },
            false => ec2::IamInstanceProfileSpecification { arn: None, name: Some(profile) },
        }),
        instance_market_options: spot.map(|price| ec2::InstanceMarketOptionsRequest {
            market_type: Some(ec2::MarketType::Spot),
            spot_options: Some(ec2::SpotMarketOptions {
                max_price: Some(price),
                spot_instance_type: Some(ec2::SpotInstanceType::OneTime),
                ..Default::default()
            }),
        }),
        security_groups: some(group_names),
        ..base
    };
    match row.given.associate_public_ip_address {
        // It is a setting of the interface, which then has subnet and security groups too.
        Some(associate) if subnet.is_some() => {
            request.network_interfaces = Some(vec![ec2::InstanceNetworkInterfaceSpecification {
                device_index: Some(0),
                associate_public_ip_address: Some(associate),
                groups: some(group_ids),
                subnet_id: subnet,
                ..Default::default()
            }]);
        }
        _ => {
            request.security_group_ids = some(group_ids);
            request.subnet_id = subnet;
        }
    }
    request
}

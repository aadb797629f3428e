//! What the room reads of EC2: networks and instances.

use std::net::Ipv4Addr;

use capstan_model::InstanceId;
use capstan_shapes::{Refusal, ec2, elbv2 as shapes};

use super::rows::LoadBalancerSubnet;
use super::{invalid_configuration, validation};
use crate::Engine;

/// Free addresses that a subnet needs for a load balancer (ELB guide, subnets for your load balancer).
const ADDRESSES_MIN: u32 = 8;

/// The VPC and the zones of subnets: at least two zones, one subnet in each, all in one VPC.
pub(super) fn subnets(cx: &Engine, ids: &[String]) -> Result<(String, Vec<LoadBalancerSubnet>), Refusal> {
    let mut found: Vec<LoadBalancerSubnet> = Vec::new();
    let mut vpc: Option<&str> = None;
    for id in ids {
        let Some(subnet) = cx.ec2.subnets().get(id) else {
            let message = format!("The subnet ID '{id}' is not valid");
            return Err(Refusal::of(&shapes::SUBNET_NOT_FOUND_EXCEPTION, message));
        };
        if vpc.is_some_and(|vpc| vpc != subnet.vpc) {
            let message = format!("The subnets '{}' are not in the same VPC", ids.join(", "));
            return Err(Refusal::of(&shapes::INVALID_SUBNET_EXCEPTION, message));
        }
        vpc = Some(&subnet.vpc);
        if cx.ec2.free_addresses(subnet) < ADDRESSES_MIN {
            let message = format!(
                "Not enough IP space available in {id}. ELB requires at least {ADDRESSES_MIN} free IP addresses in each \
                 subnet."
            );
            return Err(Refusal::of(&shapes::INVALID_SUBNET_EXCEPTION, message));
        }
        if found.iter().any(|known| known.zone == subnet.zone.name) {
            return Err(invalid_configuration(
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            ));
        }
        found.push(LoadBalancerSubnet { zone: subnet.zone.name.to_owned(), subnet: id.clone() });
    }
    let Some(vpc) = vpc.filter(|_| found.len() >= 2) else {
        return Err(validation("At least two subnets in two different Availability Zones must be specified"));
    };
    found.sort_unstable();
    Ok((vpc.to_owned(), found))
}

/// The groups, or the VPC's default group when there are none.
pub(super) fn security_groups(
    cx: &Engine,
    vpc: &str,
    ids: Option<Vec<String>>,
) -> Result<Vec<String>, Refusal> {
    let groups = cx.ec2.security_groups();
    let ids = ids.unwrap_or_default();
    if ids.is_empty() {
        let default = groups.iter().find(|group| group.vpc == vpc && group.name == "default");
        return Ok(default.map(|group| group.id.clone()).into_iter().collect());
    }
    let unknown = |id: &&String| groups.get(id).is_none_or(|group| group.vpc != vpc);
    match ids.iter().find(unknown) {
        Some(id) => {
            let message = format!("The security group '{id}' does not exist in VPC '{vpc}'");
            Err(Refusal::of(&shapes::INVALID_SECURITY_GROUP_EXCEPTION, message))
        }
        None => Ok(ids),
    }
}

pub(super) fn check_vpc(cx: &Engine, vpc: &str) -> Result<(), Refusal> {
    if cx.ec2.vpcs().contains(&vpc.to_owned()) {
        return Ok(());
    }
    Err(validation(format!("The VPC ID '{vpc}' is not found")))
}

/// The zone of a running instance.
pub(super) fn instance_zone(cx: &Engine, id: &str) -> Result<String, Refusal> {
    let invalid = |message: String| Refusal::of(&shapes::INVALID_TARGET_EXCEPTION, message);
    let instance = id.parse::<InstanceId>().ok().and_then(|id| cx.ec2.instances().get(&id));
    let Some(instance) = instance else {
        return Err(invalid(format!("Instance ID '{id}' is not valid")));
    };
    if instance.state != ec2::InstanceStateName::Running {
        return Err(invalid(format!(
            "The following targets are not in a running state and cannot be registered: '{id}'"
        )));
    }
    Ok(instance.zone.name.to_owned())
}

/// The zone of the VPC's subnet that an address lies in.
pub(super) fn address_zone(cx: &Engine, vpc: &str, address: Ipv4Addr) -> Option<String> {
    let mut subnets = cx.ec2.subnets().iter().filter(|subnet| subnet.vpc == vpc);
    subnets.find(|subnet| subnet.cidr.contains(address)).map(|subnet| subnet.zone.name.to_owned())
}

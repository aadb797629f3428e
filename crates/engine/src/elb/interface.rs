//! Network interfaces of load balancers: one in each subnet, which Elastic Load Balancing has EC2 make and delete. By them
//! a subnet and a security group know that they are in use.

use capstan_shapes::ec2::{
    CreateNetworkInterfaceRequest, DeleteNetworkInterfaceRequest, ModifyNetworkInterfaceAttributeRequest,
};

use super::Name;
use crate::{Caller, Engine};

/// Brings the interfaces of a load balancer to its subnets and groups.
pub(super) fn settle(cx: &mut Engine, arn: &Name) {
    let Some(row) = cx.elb.load_balancers.get(arn).cloned() else { return };
    let mut interfaces = row.interfaces;
    let wanted = |subnet: &String| row.subnets.iter().any(|each| each.subnet == *subnet);
    let gone: Vec<String> = interfaces.keys().filter(|subnet| !wanted(subnet)).cloned().collect();
    for subnet in gone {
        interfaces.remove(&subnet).into_iter().for_each(|id| delete(cx, id));
    }
    for network_interface_id in interfaces.values().cloned() {
        let request = ModifyNetworkInterfaceAttributeRequest {
            network_interface_id,
            groups: Some(row.security_groups.clone()),
            ..Default::default()
        };
        // One that the user has taken away is not missed: nothing goes through it.
        let _answer = cx.call(Caller::ELB, request);
    }
    let description = arn.split_once(":loadbalancer/").map_or("", |(_, name)| name);
    for each in row.subnets.iter().map(|each| &each.subnet) {
        if interfaces.contains_key(each) {
            continue;
        }
        let request = CreateNetworkInterfaceRequest {
            subnet_id: each.clone(),
            description: Some(format!("ELB {description}")),
            groups: Some(row.security_groups.clone()),
            ..Default::default()
        };
        // `network::subnets` has seen to free addresses.
        let made = cx.call(Caller::ELB, request).ok().and_then(|made| made.network_interface);
        if let Some(id) = made.and_then(|interface| interface.network_interface_id) {
            interfaces.insert(each.clone(), id);
        }
    }
    if let Some(mut row) = cx.elb.load_balancers.edit(arn) {
        row.interfaces = interfaces;
    }
}

pub(super) fn delete(cx: &mut Engine, network_interface_id: String) {
    let request = DeleteNetworkInterfaceRequest { network_interface_id, dry_run: None };
    let _answer = cx.call(Caller::ELB, request);
}

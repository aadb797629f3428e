//! VPC endpoints and key pairs.

use capstan_shapes::ec2::{self as shapes, State};
use capstan_shapes::{Blob, Refusal};
use serde_json::{Map, Value as Json, json};

use super::super::super::resource::{Handler, Progress, Resource, always, call, never, scalar};
use super::super::common::{attributes, changed, done_if, texts};
use super::{flag, specification, update_tags};
use crate::Engine;
use crate::ec2::VpcEndpoint;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::EC2::KeyPair",
        inert: Some("kept and told; nothing listens for SSH"),
        create: create_key,
        update: never,
        delete: |cx, resource| {
            let key_name = Some(resource.physical_id.clone());
            call(cx, shapes::DeleteKeyPairRequest { key_name, key_pair_id: None, dry_run: None })?;
            Ok(Progress::Done)
        },
        stable: always,
        attributes: |cx, resource| {
            let mut keys = cx.ec2().key_pairs().iter();
            let Some(row) = keys.find(|row| row.name == resource.physical_id) else { return Map::new() };
            attributes([("KeyFingerprint", row.fingerprint.clone()), ("KeyPairId", row.id.clone())])
        },
    },
    Handler {
        type_name: "AWS::EC2::VPCEndpoint",
        inert: super::NO_PACKETS,
        create,
        update,
        delete,
        stable: |cx, resource| Ok(done_if(row(cx, resource).is_none_or(|row| row.state == State::Available))),
        attributes: read,
    },
];

fn row<'a>(cx: &'a Engine, resource: &Resource) -> Option<&'a VpcEndpoint> {
    cx.ec2().network().endpoints().get(&resource.physical_id)
}

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateVpcEndpointRequest = resource.request(&[])?;
    request.tag_specifications = specification("vpc-endpoint", resource);
    request.client_token = Some(resource.request_token.clone());
    // Off unless the template says so (CloudFormation guide, AWS::EC2::VPCEndpoint).
    request.private_dns_enabled.get_or_insert(false);
    let made = call(cx, request)?.vpc_endpoint;
    Ok(made.and_then(|endpoint| endpoint.vpc_endpoint_id).unwrap_or_default())
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let moved = |property: &str| {
        let (before, after) = (texts(old, property), texts(new, property));
        let only = |these: &[String], others: &[String]| {
            let only: Vec<String> = these.iter().filter(|id| !others.contains(id)).cloned().collect();
            (!only.is_empty()).then_some(only)
        };
        (only(&after, &before), only(&before, &after))
    };
    let (add_route_table_ids, remove_route_table_ids) = moved("RouteTableIds");
    let (add_subnet_ids, remove_subnet_ids) = moved("SubnetIds");
    let (add_security_group_ids, remove_security_group_ids) = moved("SecurityGroupIds");
    let policy = changed(old, new, "PolicyDocument");
    let request = shapes::ModifyVpcEndpointRequest {
        vpc_endpoint_id: new.physical_id.clone(),
        reset_policy: (policy && new.get("PolicyDocument").is_none()).then_some(true),
        policy_document: new.get("PolicyDocument").filter(|_| policy).map(scalar),
        add_route_table_ids,
        remove_route_table_ids,
        add_subnet_ids,
        remove_subnet_ids,
        add_security_group_ids,
        remove_security_group_ids,
        private_dns_enabled: changed(old, new, "PrivateDnsEnabled")
            .then(|| flag(new, "PrivateDnsEnabled").unwrap_or(false)),
        ..Default::default()
    };
    call(cx, request)?;
    update_tags(cx, old, new)
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    match row(cx, resource).map(|row| row.state) {
        None => Ok(Progress::Done),
        Some(State::Deleting) => Ok(Progress::InProgress),
        Some(_) => {
            let vpc_endpoint_ids = vec![resource.physical_id.clone()];
            call(cx, shapes::DeleteVpcEndpointsRequest { vpc_endpoint_ids, dry_run: None })?;
            Ok(Progress::InProgress)
        }
    }
}

fn read(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let request = shapes::DescribeVpcEndpointsRequest {
        vpc_endpoint_ids: Some(vec![resource.physical_id.clone()]),
        ..Default::default()
    };
    let told = call(cx, request).ok().and_then(|told| told.vpc_endpoints?.into_iter().next());
    let Some(told) = told else { return Map::new() };
    let created = told.creation_timestamp.map(|time| time.iso_millis()).unwrap_or_default();
    let entry = |entry: shapes::DnsEntry| {
        format!("{}:{}", entry.hosted_zone_id.unwrap_or_default(), entry.dns_name.unwrap_or_default())
    };
    let entries: Vec<String> = told.dns_entries.unwrap_or_default().into_iter().map(entry).collect();
    let mut attributes = attributes([("CreationTimestamp", created), ("Id", resource.physical_id.clone())]);
    attributes.insert("DnsEntries".to_owned(), json!(entries));
    attributes
        .insert("NetworkInterfaceIds".to_owned(), json!(told.network_interface_ids.unwrap_or_default()));
    attributes
}

/// A key pair that the template gives no public key for is made; AWS keeps its private half in Parameter Store.
fn create_key(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.text("KeyName").unwrap_or_default().to_owned();
    match resource.text("PublicKeyMaterial") {
        Some(material) => {
            let request = shapes::ImportKeyPairRequest {
                key_name: name.clone(),
                public_key_material: Blob(material.as_bytes().to_vec().into()),
                tag_specifications: specification("key-pair", resource),
                dry_run: None,
            };
            call(cx, request)?;
        }
        None => {
            let mut request: shapes::CreateKeyPairRequest = resource.request(&[])?;
            request.tag_specifications = specification("key-pair", resource);
            call(cx, request)?;
        }
    }
    Ok(name)
}

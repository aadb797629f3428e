//! Elastic IP addresses.

use capstan_shapes::Refusal;
use capstan_shapes::ec2 as shapes;
use serde_json::{Map, Value as Json};

use super::super::super::resource::{Handler, Progress, Resource, always, call, never};
use super::super::common::{attributes, changed, or_undo};
use super::{id_as, retag, specification};
use crate::Engine;
use crate::ec2::Address;

/// Nothing listens at a public address.
const NO_LISTENER: Option<&str> =
    Some("the address is told and nothing answers there: tasks run on this machine");

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::EC2::EIP",
        inert: NO_LISTENER,
        create: allocate,
        update,
        delete: release,
        stable: always,
        attributes: address_attributes,
    },
    Handler {
        type_name: "AWS::EC2::EIPAssociation",
        inert: NO_LISTENER,
        create: |cx, resource| {
            let mut request: shapes::AssociateAddressRequest = resource.request(&[("EIP", "PublicIp")])?;
            request.allow_reassociation = Some(true);
            Ok(call(cx, request)?.association_id.unwrap_or_default())
        },
        update: never,
        delete: |cx, resource| disassociate(cx, &resource.physical_id),
        stable: always,
        attributes: |_, resource| id_as(resource, "Id"),
    },
];

/// `Ref` gives the address itself.
fn row<'a>(cx: &'a Engine, resource: &Resource) -> Option<&'a Address> {
    let mut addresses = cx.ec2().network().addresses().iter();
    addresses.find(|row| row.ip.to_string() == resource.physical_id)
}

fn allocate(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    if resource.get("TransferAddress").is_some() {
        return Err(Refusal::new("UnsupportedOperation", "There is no other account to transfer from."));
    }
    let mut request: shapes::AllocateAddressRequest = resource.request(&[])?;
    request.domain = Some(shapes::DomainType::Vpc);
    request.tag_specifications = specification("elastic-ip", resource);
    let made = call(cx, request)?;
    let outcome = associate(cx, resource, made.allocation_id.clone());
    or_undo(cx, outcome, |cx| {
        let _gone = call(
            cx,
            shapes::ReleaseAddressRequest { allocation_id: made.allocation_id, ..Default::default() },
        );
    })?;
    Ok(made.public_ip.unwrap_or_default())
}

fn associate(cx: &mut Engine, resource: &Resource, allocation_id: Option<String>) -> Result<(), Refusal> {
    let Some(instance) = resource.text("InstanceId") else { return Ok(()) };
    let request = shapes::AssociateAddressRequest {
        allocation_id,
        instance_id: Some(instance.to_owned()),
        ..Default::default()
    };
    call(cx, request).map(drop)
}

fn disassociate(cx: &mut Engine, association: &str) -> Result<Progress, Refusal> {
    let request = shapes::DisassociateAddressRequest {
        association_id: Some(association.to_owned()),
        ..Default::default()
    };
    call(cx, request)?;
    Ok(Progress::Done)
}

/// The association with the instance that the template names.
fn own_association(cx: &Engine, resource: &Resource) -> Option<String> {
    resource.get("InstanceId")?;
    Some(row(cx, resource)?.association.as_ref()?.id.clone())
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let Some(id) = row(cx, new).map(|row| row.id.clone()) else { return Ok(()) };
    if changed(old, new, "InstanceId") {
        if let Some(association) = own_association(cx, old) {
            disassociate(cx, &association)?;
        }
        associate(cx, new, Some(id.clone()))?;
    }
    retag(cx, old, new, &id)
}

fn release(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if let Some(association) = own_association(cx, resource) {
        disassociate(cx, &association)?;
    }
    let Some(row) = row(cx, resource) else { return Ok(Progress::Done) };
    let request = shapes::ReleaseAddressRequest { allocation_id: Some(row.id.clone()), ..Default::default() };
    call(cx, request)?;
    Ok(Progress::Done)
}

fn address_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let id = row(cx, resource).map(|row| row.id.clone()).unwrap_or_default();
    attributes([("AllocationId", id), ("PublicIp", resource.physical_id.clone())])
}

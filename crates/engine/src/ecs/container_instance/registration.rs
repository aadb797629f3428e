//! RegisterContainerInstance: an agent introduces its machine (spec ecs-agent-protocol.md §2).

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Hex32, InstanceId, Resources, catalogue};
use capstan_shapes::{Refusal, ecs as shapes};

use super::{arn, change, describe_one, find_instance, has_room};
use crate::ecs::cluster::{self, invalid};
use crate::ecs::{ContainerInstance, InstanceIndex, InstanceStatus, Name};
use crate::ecs::{attribute, event, managed_scaling, metrics, placement, tags};
use crate::{Caller, Engine};

/// What is known of the machine that an agent runs on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Identity {
    ec2_instance: Option<InstanceId>,
    zone: Option<String>,
    instance_type: Option<String>,
    image: Option<String>,
    /// As EC2 spells it: `x86_64`, `arm64`.
    architecture: Option<String>,
}

/// What an agent offers.
struct Offer {
    resources: Resources,
    tcp_ports: BTreeSet<u16>,
    udp_ports: BTreeSet<u16>,
}

pub(in crate::ecs) fn register(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::RegisterContainerInstanceRequest,
) -> Result<shapes::RegisterContainerInstanceResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let sent = attribute::read(request.attributes.as_deref().unwrap_or_default())?;
    let identity = identity(cx, caller, request.instance_identity_document.as_deref(), &sent)?;
    let offer = offer(request.total_resources.as_deref().unwrap_or_default())?;
    let tags = tags::check(caller, request.tags.as_deref().unwrap_or_default())?;
    let version = request.version_info.unwrap_or_default();
    let version = (
        version.agent_version.unwrap_or_default(),
        version.agent_hash.unwrap_or_default(),
        version.docker_version.unwrap_or_default(),
    );

    let known = match request.container_instance_arn.as_deref().filter(|arn| !arn.is_empty()) {
        Some(given) => {
            let found = find_instance(cx, &cluster, given);
            Some(found.ok_or_else(|| client("The referenced container instance was not found."))?)
        }
        // An agent that lost its answer asks again without an ARN; the machine is the same.
        None => identity.ec2_instance.and_then(|instance| registered(cx, &cluster, instance)),
    };
    let id = match known {
        Some(id) => {
            again(cx, id, &identity, &sent, &offer, version)?;
            id
        }
        None => first(cx, cluster, identity, sent, offer, version, tags),
    };
    has_room(cx, id);
    let container_instance = cx.ecs.instances.get(&id).map(|row| describe_one(cx, row, &[]));
    Ok(shapes::RegisterContainerInstanceResponse { container_instance })
}

fn client(message: impl Into<String>) -> Refusal {
    Refusal::of(&shapes::CLIENT_EXCEPTION, message)
}

/// The instance of the cluster that stands for that EC2 instance.
fn registered(cx: &Engine, cluster: &Name, instance: InstanceId) -> Option<Hex32> {
    let of_host = InstanceIndex::Ec2(instance);
    cx.ecs.instances.by(&of_host).find(|row| row.cluster == *cluster).map(|row| row.id)
}

fn first(
    cx: &mut Engine,
    cluster: Name,
    identity: Identity,
    sent: BTreeMap<String, Option<String>>,
    offer: Offer,
    version_info: (String, String, String),
    tags: BTreeMap<String, String>,
) -> Hex32 {
    let id = Hex32(cx.chance.u128("ecs.container-instance-id"));
    // A machine outside EC2 tells no zone; it must stand in one, because services spread over zones.
    let zone = identity.zone.clone().unwrap_or_else(|| cx.config.region.zones[0].name.to_owned());
    let instance_type = identity.instance_type.clone().unwrap_or_default();
    let enis = catalogue::instance_type(&instance_type).map_or(0, |found| i64::from(found.max_enis));
    let mut attributes = sent;
    attributes.extend(derived(&identity, &zone));
    attributes.entry("ecs.os-type".to_owned()).or_insert_with(|| Some("linux".to_owned()));
    let provider = identity.ec2_instance.and_then(|instance| provider_of(cx, &cluster, instance));
    let row = ContainerInstance {
        id,
        ordinal: placement::next_ordinal(cx),
        cluster: cluster.clone(),
        ec2_instance: identity.ec2_instance,
        provider,
        zone: Name::from(zone),
        instance_type,
        status: InstanceStatus::Active,
        agent_connected: true,
        disconnects_at: None,
        version_info,
        registered: offer.resources,
        remaining: offer.resources,
        tcp_ports: offer.tcp_ports.clone(),
        udp_ports: offer.udp_ports.clone(),
        registered_tcp_ports: offer.tcp_ports,
        registered_udp_ports: offer.udp_ports,
        // The first interface is the instance's own.
        interfaces_max: (enis - 1).max(0),
        interfaces: 0,
        attributes,
        registered_at: cx.now,
        forget_at: None,
        version: 1,
        tags,
    };
    cx.ecs.instances.insert(row);
    placement::instance_changed(cx, id);
    managed_scaling::instance_joined(cx, id);
    metrics::watch(cx, &cluster);
    event::instance_changed(cx, id);
    id
}

/// The agent started again, or was updated: its tasks stay, what it says anew replaces what it said.
fn again(
    cx: &mut Engine,
    id: Hex32,
    identity: &Identity,
    sent: &BTreeMap<String, Option<String>>,
    offer: &Offer,
    version_info: (String, String, String),
) -> Result<(), Refusal> {
    let Some(row) = cx.ecs.instances.get(&id) else { return Ok(()) };
    if row.status == InstanceStatus::Inactive {
        let arn = arn(cx, &row.cluster, id);
        return Err(client(format!(
            "Container instance {arn} is INACTIVE. Remove the agent's stored state to register it as a new one."
        )));
    }
    let before = &row.instance_type;
    if identity.instance_type.as_ref().is_some_and(|now| now != before && !before.is_empty()) {
        return Err(client(format!(
            "Container instance type changes are not supported. Container instance {id} was previously registered \
             as {before}."
        )));
    }
    let derived = derived(identity, &row.zone);
    change(cx, id, |row| {
        row.remaining = row.remaining + offer.resources - row.registered;
        row.registered = offer.resources;
        let of_tasks = |used: &BTreeSet<u16>, reserved: &BTreeSet<u16>| -> BTreeSet<u16> {
            used.difference(reserved).copied().collect()
        };
        let (tcp, udp) = (
            of_tasks(&row.tcp_ports, &row.registered_tcp_ports),
            of_tasks(&row.udp_ports, &row.registered_udp_ports),
        );
        row.tcp_ports = tcp.union(&offer.tcp_ports).copied().collect();
        row.udp_ports = udp.union(&offer.udp_ports).copied().collect();
        row.registered_tcp_ports = offer.tcp_ports.clone();
        row.registered_udp_ports = offer.udp_ports.clone();
        row.attributes.extend(sent.clone());
        row.attributes.extend(derived);
        if version_info != Default::default() {
            row.version_info = version_info;
        }
        row.agent_connected = true;
        row.disconnects_at = None;
    });
    Ok(())
}

/// Attributes that the server takes from the identity (ECS guide, task-placement-constraints).
fn derived(identity: &Identity, zone: &str) -> BTreeMap<String, Option<String>> {
    let known = [
        ("ecs.ami-id", identity.image.clone()),
        ("ecs.availability-zone", Some(zone.to_owned())),
        ("ecs.cpu-architecture", identity.architecture.clone()),
        ("ecs.instance-type", identity.instance_type.clone()),
    ];
    known
        .into_iter()
        .filter(|(_, value)| value.is_some())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The capacity provider of a group's instance: the one over its group that its cluster uses.
fn provider_of(cx: &Engine, cluster: &Name, instance: InstanceId) -> Option<Name> {
    let group = cx.ec2.instances().get(&instance)?.group()?.to_owned();
    let used = &cx.ecs.clusters.get(cluster)?.capacity_providers;
    cx.ecs.providers.by(&group).map(|provider| provider.name.clone()).find(|name| used.contains(name))
}

/// From the identity document; an agent without one is known by its credentials, or by the attributes that it sends.
fn identity(
    cx: &Engine,
    caller: &Caller,
    document: Option<&str>,
    sent: &BTreeMap<String, Option<String>>,
) -> Result<Identity, Refusal> {
    let mut identity = match document.filter(|document| !document.trim().is_empty()) {
        Some(document) => read_document(document)?,
        None => Identity::default(),
    };
    if let (None, Caller::Agent(instance)) = (identity.ec2_instance, caller) {
        identity.ec2_instance = Some(*instance);
    }
    if let Some(host) = identity.ec2_instance.and_then(|instance| cx.ec2.instances().get(&instance)) {
        // A request that was on its way when its machine ended: nobody is there any more (our reading).
        if !host.is_alive() {
            return Err(client(format!("The EC2 instance {} has ended.", host.id)));
        }
        let architecture = host.instance_type.architectures.last();
        identity.zone.get_or_insert_with(|| host.zone.name.to_owned());
        identity.instance_type.get_or_insert_with(|| host.instance_type.name.clone());
        identity.image.get_or_insert_with(|| host.image.clone());
        identity.architecture =
            identity.architecture.or_else(|| architecture.map(|found| found.as_str().to_owned()));
    }
    let attribute = |name: &str| sent.get(name).cloned().flatten();
    identity.zone = identity.zone.or_else(|| attribute("ecs.availability-zone"));
    identity.instance_type = identity.instance_type.or_else(|| attribute("ecs.instance-type"));
    identity.image = identity.image.or_else(|| attribute("ecs.ami-id"));
    identity.architecture = identity.architecture.or_else(|| attribute("ecs.cpu-architecture"));
    Ok(identity)
}

fn read_document(document: &str) -> Result<Identity, Refusal> {
    let wrong = || invalid("The instance identity document is not valid.");
    let document: serde_json::Value = serde_json::from_str(document).map_err(|_| wrong())?;
    let document = document.as_object().ok_or_else(wrong)?;
    let text = |name: &str| {
        let text = document.get(name).and_then(serde_json::Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let ec2_instance = match text("instanceId") {
        Some(id) => Some(id.parse().map_err(|_| wrong())?),
        None => None,
    };
    Ok(Identity {
        ec2_instance,
        zone: text("availabilityZone"),
        instance_type: text("instanceType"),
        image: text("imageId"),
        architecture: text("architecture"),
    })
}

fn offer(sent: &[shapes::Resource]) -> Result<Offer, Refusal> {
    let named = |name: &str| sent.iter().find(|resource| resource.name.as_deref() == Some(name));
    let amount = |name: &str| {
        let resource = named(name).ok_or_else(|| invalid(format!("totalResources must tell {name}.")))?;
        let integer = i64::from(resource.integer_value.unwrap_or_default());
        let value = if integer == 0 { resource.long_value.unwrap_or_default() } else { integer };
        if (0..=i64::from(i32::MAX)).contains(&value) {
            Ok(value)
        } else {
            Err(invalid(format!("{value} is not a valid amount of {name}.")))
        }
    };
    let ports = |name: &str| {
        let ports = named(name).and_then(|resource| resource.string_set_value.as_deref()).unwrap_or_default();
        let parsed = ports
            .iter()
            .map(|port| port.parse().map_err(|_| invalid(format!("\"{port}\" in {name} is not a port."))));
        parsed.collect::<Result<BTreeSet<u16>, Refusal>>()
    };
    Ok(Offer {
        resources: Resources { cpu: amount("CPU")?, memory: amount("MEMORY")? },
        tcp_ports: ports("PORTS")?,
        udp_ports: ports("PORTS_UDP")?,
    })
}

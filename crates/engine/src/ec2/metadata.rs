//! What an instance reads about itself (EC2 guide, instance metadata categories; spot.md §2).

use std::collections::BTreeMap;

use capstan_model::{InstanceId, InstanceMetadata, MetadataItem, Span};
use capstan_shapes::autoscaling::LifecycleState;
use capstan_shapes::ec2::{
    HttpTokensState, InstanceMetadataEndpointState, InstanceMetadataTagsState, InstanceStateName,
};
use serde_json::json;

use crate::Engine;

use super::instance::{interface_id, mac_address, private_dns_name};
use super::{Instance, digest, network};

/// How long credentials of an instance's role are good for (EC2 guide, iam-roles-for-amazon-ec2: new ones come at least
/// five minutes before the old ones end; observed six hours).
const CREDENTIALS: Span = Span::from_hours(6);

/// Everything that the instance's metadata endpoint answers now; `None` when there is no such instance, or it is
/// stopped or gone.
pub fn metadata(engine: &Engine, id: InstanceId) -> Option<InstanceMetadata> {
    let row = engine.ec2.instances.get(&id)?;
    if matches!(row.state, InstanceStateName::Stopped | InstanceStateName::Terminated) {
        return None;
    }
    let options = &row.metadata_options;
    let mut items = Items::default();
    about_instance(engine, row, &mut items);
    about_network(engine, row, &mut items);
    about_role(engine, row, &mut items);
    notices(engine, row, &mut items);
    if options.instance_metadata_tags == Some(InstanceMetadataTagsState::Enabled) {
        for (key, value) in &row.tags {
            items.text(&format!("tags/instance/{key}"), value.as_str());
        }
    }
    let document = MetadataItem::text(identity_document(engine, row));
    items.0.insert("dynamic/instance-identity/document".to_owned(), document);
    if let Some(user_data) = &row.user_data {
        let item = MetadataItem { content_type: "application/octet-stream", body: user_data.to_string() };
        items.0.insert("user-data".to_owned(), item);
    }
    Some(InstanceMetadata {
        instance: id,
        enabled: options.http_endpoint != Some(InstanceMetadataEndpointState::Disabled),
        tokens_required: options.http_tokens == Some(HttpTokensState::Required),
        items: items.0,
    })
}

#[derive(Default)]
struct Items(BTreeMap<String, MetadataItem>);

impl Items {
    fn text(&mut self, path: &str, body: impl Into<String>) {
        self.0.insert(format!("meta-data/{path}"), MetadataItem::text(body));
    }

    fn json(&mut self, path: &str, body: &serde_json::Value) {
        self.0.insert(format!("meta-data/{path}"), MetadataItem::json(body.to_string()));
    }
}

fn about_instance(engine: &Engine, row: &Instance, items: &mut Items) {
    let name = private_dns_name(engine, row.private_ip);
    items.text("ami-id", row.image.as_str());
    items.text("ami-launch-index", row.launch_index.to_string());
    items.text("ami-manifest-path", "(unknown)");
    items.text("block-device-mapping/ami", "/dev/xvda");
    items.text("block-device-mapping/root", "/dev/xvda");
    items.text("hostname", name.as_str());
    // What a scheduled event or a shutdown is about to do; there are no scheduled events.
    items.text("instance-action", "none");
    items.text("instance-id", row.id.to_string());
    items.text("instance-life-cycle", row.lifecycle());
    items.text("instance-type", row.instance_type.name.to_string());
    items.text("local-hostname", name);
    items.text("placement/availability-zone", row.zone.name);
    items.text("placement/availability-zone-id", row.zone.id);
    items.text("placement/region", engine.config.region.name);
    items.text("profile", "default-hvm");
    items.text("reservation-id", row.reservation.as_str());
    items.text("services/domain", "amazonaws.com");
    items.text("services/partition", "aws");
}

fn about_network(engine: &Engine, row: &Instance, items: &mut Items) {
    let ec2 = &engine.ec2;
    let mac = mac_address(row);
    let named: Vec<&str> = row
        .security_groups
        .iter()
        .filter_map(|id| Some(ec2.network.security_groups.get(id)?.name.as_str()))
        .collect();
    let address = row.private_ip.to_string();
    items.text("local-ipv4", address.as_str());
    items.text("mac", mac.as_str());
    let public = network::address::association_of_instance(engine, row);
    if let Some((address, name)) = public.and_then(|each| Some((each.public_ip?, each.public_dns_name?))) {
        items.text(&format!("network/interfaces/macs/{mac}/public-ipv4s"), address.as_str());
        items.text("public-ipv4", address);
        if !name.is_empty() {
            items.text(&format!("network/interfaces/macs/{mac}/public-hostname"), name.as_str());
            items.text("public-hostname", name);
        }
    }
    items.text("security-groups", named.join("\n"));
    let mut own = |name: &str, value: String| {
        items.text(&format!("network/interfaces/macs/{mac}/{name}"), value);
    };
    own("device-number", "0".to_owned());
    own("interface-id", interface_id(row));
    own("local-hostname", private_dns_name(engine, row.private_ip));
    own("local-ipv4s", address);
    own("mac", mac.clone());
    own("owner-id", engine.config.account.clone());
    own("security-group-ids", row.security_groups.join("\n"));
    own("security-groups", named.join("\n"));
    own("subnet-id", row.subnet.clone());
    own("vpc-id", row.vpc.clone());
    if let Some(subnet) = ec2.network.subnets.get(&row.subnet) {
        own("subnet-ipv4-cidr-block", subnet.cidr.to_string());
    }
    if let Some(vpc) = ec2.network.vpcs.get(&row.vpc) {
        let blocks: Vec<String> = vpc.blocks.iter().map(|block| block.cidr.to_string()).collect();
        own("vpc-ipv4-cidr-block", vpc.cidr().to_string());
        own("vpc-ipv4-cidr-blocks", blocks.join("\n"));
    }
}

/// Credentials that nobody checks: signatures are not verified. Profile and role have one name here, as the console
/// makes them.
fn about_role(engine: &Engine, row: &Instance, items: &mut Items) {
    let Some(profile) = &row.instance_profile else { return };
    let role = profile.rsplit('/').next().unwrap_or(profile);
    let updated = engine.now.iso_secs();
    let info = json!({
        "Code": "Success",
        "LastUpdated": updated,
        "InstanceProfileArn": profile,
        "InstanceProfileId": format!("AIPA{:016X}", digest(profile.bytes())),
    });
    let part = |salt: u8| digest(row.id.to_string().bytes().chain([salt]));
    let credentials = json!({
        "Code": "Success",
        "LastUpdated": updated,
        "Type": "AWS-HMAC",
        "AccessKeyId": format!("ASIA{:016X}", part(0)),
        "SecretAccessKey": format!("{:016x}{:016x}{:08x}", part(1), part(2), part(3) >> 32),
        "Token": format!("{:016x}{:016x}{:016x}{:016x}", part(4), part(5), part(6), part(7)),
        "Expiration": (engine.now + CREDENTIALS).iso_secs(),
    });
    // Indented, as the service prints them.
    let pretty = |value| serde_json::to_string_pretty(value).unwrap_or_default();
    items.text("iam/info", pretty(&info));
    items.text(&format!("iam/security-credentials/{role}"), pretty(&credentials));
}

/// What is about to happen to the instance. Each path is absent until there is something to say.
fn notices(engine: &Engine, row: &Instance, items: &mut Items) {
    if let Some(spot) = &row.spot {
        if let Some((action, at)) = spot.instance_action() {
            items.json("spot/instance-action", &json!({ "action": action, "time": at.iso_secs() }));
            if action == "terminate" {
                items.text("spot/termination-time", at.iso_secs());
            }
        }
        if let Some(at) = spot.recommended_at {
            items.json("events/recommendations/rebalance", &json!({ "noticeTime": at.iso_secs() }));
        }
    }
    let in_group = engine.autoscaling.instances().get(&row.id);
    if let Some(state) = in_group.and_then(|row| target_state(row.state)) {
        items.text("autoscaling/target-lifecycle-state", state);
    }
}

/// Where the instance's group is taking it (ASG guide, retrieve the target lifecycle state through instance metadata).
fn target_state(state: LifecycleState) -> Option<&'static str> {
    use LifecycleState as State;
    Some(match state {
        State::Pending | State::PendingWait | State::PendingProceed | State::InService => "InService",
        State::Terminating | State::TerminatingWait | State::TerminatingProceed | State::Terminated => {
            "Terminated"
        }
        State::EnteringStandby | State::Standby => "Standby",
        State::Detaching | State::Detached => "Detached",
        _ => return None,
    })
}

/// The instance identity document (EC2 guide, instance-identity-documents), without the signature that only AWS can
/// give it.
pub fn identity_document(engine: &Engine, row: &Instance) -> String {
    let document = json!({
        "accountId": engine.config.account,
        "architecture": row.release.architecture.as_str(),
        "availabilityZone": row.zone.name,
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": row.image,
        "instanceId": row.id.to_string(),
        "instanceType": row.instance_type.name.to_string(),
        "kernelId": null,
        "pendingTime": row.launched_at.iso_secs(),
        "privateIp": row.private_ip.to_string(),
        "ramdiskId": null,
        "region": engine.config.region.name,
        "version": "2017-09-30",
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

//! Instances: their states, and what describes them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, ArchitectureValues, AttachmentStatus, DescribeInstancesRequest, DescribeInstancesResponse,
    DeviceType, EbsInstanceBlockDevice, EnclaveOptions, HibernationOptions, HypervisorType,
    IamInstanceProfile, InstanceAutoRecoveryState, InstanceBlockDeviceMapping, InstanceLifecycleType,
    InstanceMaintenanceOptions, InstanceNetworkInterface, InstanceNetworkInterfaceAssociation,
    InstanceNetworkInterfaceAttachment, InstancePrivateIpAddress, InstanceState, InstanceStateChange,
    InstanceStateName, Monitoring, MonitoringState, NetworkInterfaceStatus, Placement, Reservation, Tenancy,
    TerminateInstancesRequest, TerminateInstancesResponse, VirtualizationType,
};

use crate::kernel::{Effect, Event};
use crate::{Caller, Engine};

use super::filter::{Filters, TAGS};
use super::network::address::{association_of_instance, instance_gone};
use super::network::interface::identifiers;
use super::spot::{self, Stage};
use super::{AmazonLinux, Instance, StateReason, at_least_five, dry_run, page_of, tag};

/// How long a terminated instance is still described; EC2 says "for a while (usually about one hour)".
const REMEMBERED: Span = Span::from_hours(1);

/// The instance answers: `pending` → `running`. Anything else than a pending instance stays as it is.
pub(crate) fn instance_running(cx: &mut Engine, id: InstanceId) {
    let now = cx.now;
    let Some(mut instance) = cx.ec2.instances.edit(&id) else { return };
    if instance.state != InstanceStateName::Pending {
        return;
    }
    instance.state = InstanceStateName::Running;
    instance.state_reason = None;
    instance.running_at = Some(now);
    drop(instance);
    announce(cx, id, InstanceStateName::Running);
}

/// The instance is gone. When nobody asked for it, it has shut itself down.
pub(crate) fn instance_terminated(cx: &mut Engine, id: InstanceId) {
    let now = cx.now;
    let Some(mut instance) = cx.ec2.instances.edit(&id) else { return };
    let taken = match instance.state {
        InstanceStateName::Terminated => return,
        InstanceStateName::ShuttingDown => instance.is_evicted(),
        InstanceStateName::Pending => {
            instance.ended("Server.InternalError", "Internal error on launch");
            false
        }
        _ => {
            instance.ended("Client.InstanceInitiatedShutdown", "Instance initiated shutdown");
            false
        }
    };
    let request = instance.spot.as_ref().map(|spot| spot.request.clone());
    instance.state = InstanceStateName::Terminated;
    instance.forget_at = Some(now + REMEMBERED);
    drop(instance);
    instance_gone(cx, id);
    if let Some(request) = request {
        spot::ended(cx, &request, taken);
    }
    if taken {
        spot::evicted(cx, id);
    }
    announce(cx, id, InstanceStateName::Terminated);
}

impl Instance {
    /// Whether EC2 took it back, and its time was over.
    pub fn is_evicted(&self) -> bool {
        let interruption = self.spot.as_ref().and_then(|spot| spot.interruption);
        interruption.is_some_and(|interruption| interruption.stage == Stage::Evicted)
    }

    pub(super) fn ended(&mut self, code: &str, message: &str) {
        self.state_reason = Some(StateReason { code: code.into(), message: format!("{code}: {message}") });
    }
}

pub(super) fn announce(cx: &mut Engine, instance: InstanceId, state: InstanceStateName) {
    cx.announce(Event::InstanceState { instance, state: state.as_str() });
}

pub(super) fn terminate(
    cx: &mut Engine,
    caller: &Caller,
    request: TerminateInstancesRequest,
) -> Result<TerminateInstancesResponse, Refusal> {
    if request.instance_ids.is_empty() {
        return Err(super::missing("InstanceId"));
    }
    let ids = existing(cx, &request.instance_ids)?;
    if is_user(caller) {
        let protected = |id: &&InstanceId| {
            cx.ec2.instances.get(id).is_some_and(|each| each.termination_protection && each.is_alive())
        };
        if let Some(id) = ids.iter().find(protected) {
            return Err(Refusal::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute \
                     and try again."
                ),
            ));
        }
    }
    dry_run(request.dry_run)?;
    let terminating_instances = ids.into_iter().map(|id| terminate_one(cx, id)).collect();
    Ok(TerminateInstancesResponse { terminating_instances: Some(terminating_instances) })
}

/// Whether somebody calls, or CloudFormation in somebody's name. Protection is against them: Auto Scaling terminates
/// protected instances all the same (EC2 guide, termination protection).
pub(super) fn is_user(caller: &Caller) -> bool {
    !matches!(caller, Caller::Service(_)) || *caller == Caller::CLOUDFORMATION
}

fn terminate_one(cx: &mut Engine, id: InstanceId) -> InstanceStateChange {
    let now = cx.now;
    let mut instance = cx.ec2.instances.edit(&id).expect("the ids have been looked up");
    let before = instance.state;
    let ends = !matches!(before, InstanceStateName::ShuttingDown | InstanceStateName::Terminated);
    if ends {
        instance.state = InstanceStateName::ShuttingDown;
        instance.ended("Client.UserInitiatedShutdown", "User initiated shutdown");
        instance.transition_reason = format!("User initiated ({})", gmt(now));
        if let Some(spot) = &mut instance.spot {
            spot.interruption = None;
        }
    }
    let after = instance.state;
    drop(instance);
    if ends {
        announce(cx, id, after);
        cx.effect(Effect::TerminateInstance { instance: id });
    }
    InstanceStateChange {
        instance_id: Some(id.to_string()),
        current_state: Some(state(after)),
        previous_state: Some(state(before)),
    }
}

/// `2026-01-31 12:00:00 GMT`
pub(super) fn gmt(time: Time) -> String {
    let (year, month, day, hour, minute, second) = time.civil();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The ids of a request, each once and all of instances that are described.
pub(super) fn existing(cx: &Engine, texts: &[String]) -> Result<Vec<InstanceId>, Refusal> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for text in texts {
        let hex = text.strip_prefix("i-").filter(|hex| matches!(hex.len(), 8 | 17));
        if !hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            let hint = if text.starts_with("i-") { "" } else { " (expecting \"i-...\")" };
            return Err(Refusal::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{text}\"{hint}")));
        }
        match text.parse::<InstanceId>().ok().filter(|id| cx.ec2.instances.contains(id)) {
            Some(id) if found.contains(&id) => {}
            Some(id) => found.push(id),
            None => unknown.push(text.as_str()),
        }
    }
    match unknown[..] {
        [] => Ok(found),
        [id] => {
            Err(Refusal::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")))
        }
        _ => Err(Refusal::new(
            "InvalidInstanceID.NotFound",
            format!("The instance IDs '{}' do not exist", unknown.join(", ")),
        )),
    }
}

/// Refuses paging through instances that are named.
pub(super) fn ids_or_pages(ids: Option<&Vec<String>>, max_results: Option<i32>) -> Result<(), Refusal> {
    if ids.is_some_and(|ids| !ids.is_empty()) && max_results.is_some() {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    at_least_five(max_results)
}

/// The order of describe calls: by launch, and together what was launched together.
pub(super) fn order(instance: &Instance) -> String {
    let micros = instance.launched_at.as_micros().max(0);
    format!("{micros:019}/{}/{:09}", instance.reservation, instance.launch_index)
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInstancesRequest,
) -> Result<DescribeInstancesResponse, Refusal> {
    dry_run(request.dry_run)?;
    ids_or_pages(request.instance_ids.as_ref(), request.max_results)?;
    let filters = Filters::new(request.filters.as_ref(), INSTANCE_FILTERS)?;
    let ids = existing(cx, request.instance_ids.as_deref().unwrap_or_default())?;
    let mut fitting: Vec<&Instance> = if ids.is_empty() {
        cx.ec2.instances.iter().collect()
    } else {
        ids.iter().filter_map(|id| cx.ec2.instances.get(id)).collect()
    };
    fitting.retain(|instance| filters.fit(&instance.tags, |name, put| fields(cx, instance, name, put)));
    fitting.sort_by_cached_key(|instance| order(instance));
    let page =
        page_of(fitting, |instance| order(instance), request.next_token.as_deref(), request.max_results)?;
    let mut together: BTreeMap<usize, Vec<&Instance>> = BTreeMap::new();
    let mut count = 0;
    for (at, instance) in page.items.iter().enumerate() {
        if at > 0 && page.items[at - 1].reservation != instance.reservation {
            count += 1;
        }
        together.entry(count).or_default().push(instance);
    }
    let reservations = together.values().map(|rows| reservation(cx, rows)).collect();
    Ok(DescribeInstancesResponse { next_token: page.next, reservations: Some(reservations) })
}

/// Instances of one reservation, as the reservation that describes them.
pub(super) fn reservation(cx: &Engine, rows: &[&Instance]) -> Reservation {
    let first = rows.first();
    Reservation {
        reservation_id: first.map(|row| row.reservation.clone()),
        owner_id: Some(cx.config.account.clone()),
        requester_id: first.and_then(|row| row.requester.clone()),
        // Groups of EC2-Classic.
        groups: Some(Vec::new()),
        instances: Some(rows.iter().map(|row| described(cx, row)).collect()),
    }
}

pub(super) fn state(name: InstanceStateName) -> InstanceState {
    let code = match name {
        InstanceStateName::Pending => 0,
        InstanceStateName::Running => 16,
        InstanceStateName::ShuttingDown => 32,
        InstanceStateName::Terminated => 48,
        InstanceStateName::Stopping => 64,
        InstanceStateName::Stopped => 80,
    };
    InstanceState { code: Some(code), name: Some(name) }
}

/// The name that the address has in the VPC (VPC guide, private DNS names).
pub(super) fn private_dns_name(cx: &Engine, address: Ipv4Addr) -> String {
    let host = address.to_string().replace('.', "-");
    match cx.config.region.name {
        "us-east-1" => format!("ip-{host}.ec2.internal"),
        region => format!("ip-{host}.{region}.compute.internal"),
    }
}

/// Of the one network interface.
pub(super) fn interface_id(instance: &Instance) -> String {
    format!("eni-0{:016x}", instance.network_interface)
}

pub(super) fn attachment_status(instance: &Instance) -> AttachmentStatus {
    match instance.state {
        InstanceStateName::Pending => AttachmentStatus::Attaching,
        InstanceStateName::ShuttingDown => AttachmentStatus::Detaching,
        _ => AttachmentStatus::Attached,
    }
}

/// Of the one network interface; locally administered.
pub(super) fn mac_address(instance: &Instance) -> String {
    let mac = instance.network_interface.to_be_bytes();
    format!("02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[3], mac[4], mac[5], mac[6], mac[7])
}

fn network_interface(cx: &Engine, instance: &Instance) -> InstanceNetworkInterface {
    let (address, name) = (instance.private_ip.to_string(), private_dns_name(cx, instance.private_ip));
    let association = public(cx, instance);
    InstanceNetworkInterface {
        association: association.clone(),
        attachment: Some(InstanceNetworkInterfaceAttachment {
            attach_time: Some(instance.launched_at),
            attachment_id: Some(format!("eni-attach-0{:016x}", instance.attachment)),
            delete_on_termination: Some(true),
            device_index: Some(0),
            status: Some(attachment_status(instance)),
            network_card_index: Some(0),
            ..Default::default()
        }),
        description: Some(String::new()),
        groups: Some(identifiers(cx, &instance.security_groups)),
        mac_address: Some(mac_address(instance)),
        network_interface_id: Some(interface_id(instance)),
        owner_id: Some(cx.config.account.clone()),
        private_dns_name: Some(name.clone()),
        private_ip_address: Some(address.clone()),
        private_ip_addresses: Some(vec![InstancePrivateIpAddress {
            association,
            primary: Some(true),
            private_dns_name: Some(name),
            private_ip_address: Some(address),
        }]),
        source_dest_check: Some(instance.source_dest_check),
        status: Some(NetworkInterfaceStatus::InUse),
        subnet_id: Some(instance.subnet.clone()),
        vpc_id: Some(instance.vpc.clone()),
        interface_type: Some("interface".into()),
        ..Default::default()
    }
}

/// The id of its root volume.
pub(super) fn volume_id(instance: &Instance) -> String {
    format!("vol-0{:016x}", instance.volume)
}

pub(super) fn mappings(instance: &Instance) -> Vec<InstanceBlockDeviceMapping> {
    vec![InstanceBlockDeviceMapping {
        device_name: Some("/dev/xvda".into()),
        ebs: Some(EbsInstanceBlockDevice {
            attach_time: Some(instance.launched_at),
            delete_on_termination: Some(instance.root.delete_on_termination),
            status: Some(AttachmentStatus::Attached),
            volume_id: Some(volume_id(instance)),
            ..Default::default()
        }),
    }]
}

/// How it is known outside.
fn public(cx: &Engine, instance: &Instance) -> Option<InstanceNetworkInterfaceAssociation> {
    let association = association_of_instance(cx, instance)?;
    Some(InstanceNetworkInterfaceAssociation {
        ip_owner_id: association.ip_owner_id,
        public_dns_name: association.public_dns_name,
        public_ip: association.public_ip,
        ..InstanceNetworkInterfaceAssociation::default()
    })
}

fn architecture(instance: &Instance) -> Option<ArchitectureValues> {
    ArchitectureValues::parse(instance.release.architecture.as_str())
}

fn described(cx: &Engine, instance: &Instance) -> ec2::Instance {
    let ended = instance.state == InstanceStateName::Terminated;
    let instance_type = instance.instance_type;
    let mut described = ec2::Instance {
        architecture: architecture(instance),
        client_token: Some(instance.client_token.clone().unwrap_or_default()),
        ebs_optimized: Some(instance.ebs_optimized),
        ena_support: Some(true),
        hypervisor: Some(HypervisorType::Xen),
        iam_instance_profile: instance.instance_profile.as_ref().map(|arn| IamInstanceProfile {
            arn: Some(arn.clone()),
            id: Some(format!("AIPA{:016X}", super::digest(arn.bytes()))),
        }),
        instance_lifecycle: instance.is_spot().then_some(InstanceLifecycleType::Spot),
        root_device_name: Some("/dev/xvda".into()),
        root_device_type: Some(DeviceType::Ebs),
        spot_instance_request_id: instance.spot.as_ref().map(|spot| spot.request.clone()),
        state_reason: instance.state_reason.as_ref().map(|reason| ec2::StateReason {
            code: Some(reason.code.clone()),
            message: Some(reason.message.clone()),
        }),
        tags: tag::listed(&instance.tags),
        virtualization_type: Some(VirtualizationType::Hvm),
        cpu_options: Some(ec2::CpuOptions {
            core_count: i32::try_from(instance_type.default_cores).ok(),
            threads_per_core: i32::try_from(instance_type.default_threads_per_core).ok(),
            ..Default::default()
        }),
        hibernation_options: Some(HibernationOptions { configured: Some(false) }),
        metadata_options: Some(instance.metadata_options.clone()),
        enclave_options: Some(EnclaveOptions { enabled: Some(false) }),
        boot_mode: (instance.release.system == AmazonLinux::V2023)
            .then_some(ec2::BootModeValues::UefiPreferred),
        platform_details: Some("Linux/UNIX".into()),
        usage_operation: Some("RunInstances".into()),
        usage_operation_update_time: Some(instance.launched_at),
        private_dns_name_options: Some(ec2::PrivateDnsNameOptionsResponse {
            hostname_type: Some(ec2::HostnameType::IpName),
            enable_resource_name_dns_a_record: Some(false),
            enable_resource_name_dns_aaaa_record: Some(false),
        }),
        maintenance_options: Some(InstanceMaintenanceOptions {
            auto_recovery: Some(InstanceAutoRecoveryState::Default),
            ..Default::default()
        }),
        instance_id: Some(instance.id.to_string()),
        image_id: Some(instance.image.clone()),
        state: Some(state(instance.state)),
        private_dns_name: Some(String::new()),
        public_dns_name: Some(String::new()),
        state_transition_reason: Some(instance.transition_reason.clone()),
        key_name: instance.key_name.clone(),
        ami_launch_index: i32::try_from(instance.launch_index).ok(),
        product_codes: Some(Vec::new()),
        instance_type: Some(instance_type.name.clone()),
        launch_time: Some(instance.launched_at),
        placement: Some(Placement {
            availability_zone: Some(instance.zone.name.into()),
            availability_zone_id: Some(instance.zone.id.into()),
            group_name: Some(String::new()),
            tenancy: Some(Tenancy::Default),
            ..Default::default()
        }),
        monitoring: Some(Monitoring {
            state: Some(if instance.monitoring {
                MonitoringState::Enabled
            } else {
                MonitoringState::Disabled
            }),
        }),
        // A terminated instance has no volume and no network any more.
        block_device_mappings: Some(Vec::new()),
        network_interfaces: Some(Vec::new()),
        security_groups: Some(Vec::new()),
        ..Default::default()
    };
    if !ended {
        described.block_device_mappings = Some(mappings(instance));
        described.network_interfaces = Some(vec![network_interface(cx, instance)]);
        described.security_groups = Some(identifiers(cx, &instance.security_groups));
        described.source_dest_check = Some(instance.source_dest_check);
        if let Some(association) = public(cx, instance) {
            described.public_ip_address = association.public_ip;
            described.public_dns_name = association.public_dns_name;
        }
        described.private_dns_name = Some(private_dns_name(cx, instance.private_ip));
        described.private_ip_address = Some(instance.private_ip.to_string());
        described.subnet_id = Some(instance.subnet.clone());
        described.vpc_id = Some(instance.vpc.clone());
    }
    described
}

/// What a filter of that name finds at an instance.
pub(super) fn fields(cx: &Engine, instance: &Instance, name: &str, put: &mut dyn FnMut(&str)) {
    let here = instance.state != InstanceStateName::Terminated;
    let text = |value: &Option<String>, put: &mut dyn FnMut(&str)| value.iter().for_each(|value| put(value));
    match name {
        "architecture" => architecture(instance).iter().for_each(|each| put(each.as_str())),
        "availability-zone" | "placement.availability-zone" => put(instance.zone.name),
        "availability-zone-id" => put(instance.zone.id),
        "client-token" => text(&instance.client_token, put),
        "hypervisor" => put("xen"),
        "iam-instance-profile.arn" => text(&instance.instance_profile, put),
        "iam-instance-profile.name" => {
            let arn = instance.instance_profile.as_deref();
            arn.and_then(|arn| arn.rsplit('/').next()).into_iter().for_each(put);
        }
        "image-id" => put(&instance.image),
        "instance-id" => put(&instance.id.to_string()),
        "instance-lifecycle" if instance.is_spot() => put("spot"),
        "instance-state-code" => {
            state(instance.state).code.iter().for_each(|code| put(&code.to_string()));
        }
        "instance-state-name" => put(instance.state.as_str()),
        "instance-type" => put(&instance.instance_type.name),
        "key-name" => text(&instance.key_name, put),
        "launch-index" => put(&instance.launch_index.to_string()),
        "launch-time" => put(&instance.launched_at.iso_millis()),
        "metadata-options.http-tokens" => {
            instance.metadata_options.http_tokens.iter().for_each(|each| put(each.as_str()));
        }
        "metadata-options.http-endpoint" => {
            instance.metadata_options.http_endpoint.iter().for_each(|each| put(each.as_str()));
        }
        "monitoring-state" => put(if instance.monitoring { "enabled" } else { "disabled" }),
        "owner-id" => put(&cx.config.account),
        "platform-details" => put("Linux/UNIX"),
        "reason" => put(&instance.transition_reason),
        "requester-id" => text(&instance.requester, put),
        "reservation-id" => put(&instance.reservation),
        "root-device-name" => put("/dev/xvda"),
        "root-device-type" => put("ebs"),
        "spot-instance-request-id" => {
            instance.spot.iter().for_each(|spot| put(&spot.request));
        }
        "state-reason-code" => instance.state_reason.iter().for_each(|reason| put(&reason.code)),
        "state-reason-message" => instance.state_reason.iter().for_each(|reason| put(&reason.message)),
        "tenancy" => put("default"),
        "virtualization-type" => put("hvm"),
        "block-device-mapping.volume-id" if here => put(&volume_id(instance)),
        "block-device-mapping.device-name" if here => put("/dev/xvda"),
        "dns-name" => {
            let name = public(cx, instance).and_then(|each| each.public_dns_name);
            put(&name.unwrap_or_default());
        }
        "ip-address"
        | "network-interface.association.public-ip"
        | "network-interface.addresses.association.public-ip" => {
            text(&public(cx, instance).and_then(|each| each.public_ip), put);
        }
        "source-dest-check" | "network-interface.source-dest-check" if here => {
            put(if instance.source_dest_check { "true" } else { "false" });
        }
        "instance.group-id" | "network-interface.group-id" if here => {
            instance.security_groups.iter().for_each(|id| put(id));
        }
        "instance.group-name" | "network-interface.group-name" if here => {
            identifiers(cx, &instance.security_groups)
                .iter()
                .filter_map(|group| group.group_name.as_deref())
                .for_each(put);
        }
        "network-interface.network-interface-id" if here => {
            put(&interface_id(instance));
        }
        "private-dns-name" | "network-interface.private-dns-name" if here => {
            put(&private_dns_name(cx, instance.private_ip));
        }
        "private-ip-address"
        | "network-interface.addresses.private-ip-address"
        | "network-interface.private-ip-address"
            if here =>
        {
            put(&instance.private_ip.to_string());
        }
        "subnet-id" | "network-interface.subnet-id" if here => put(&instance.subnet),
        "vpc-id" | "network-interface.vpc-id" if here => put(&instance.vpc),
        _ => {}
    }
}

/// Filters of DescribeInstances. Those that `fields` has nothing for are about what no instance has here.
const INSTANCE_FILTERS: &[&str] = &[
    "affinity",
    "architecture",
    "availability-zone",
    "availability-zone-id",
    "block-device-mapping.device-name",
    "block-device-mapping.volume-id",
    "capacity-reservation-id",
    "client-token",
    "dns-name",
    "hypervisor",
    "iam-instance-profile.arn",
    "iam-instance-profile.id",
    "iam-instance-profile.name",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "kernel-id",
    "key-name",
    "launch-index",
    "launch-time",
    "metadata-options.http-endpoint",
    "metadata-options.http-tokens",
    "monitoring-state",
    "network-interface.addresses.private-ip-address",
    "network-interface.addresses.association.public-ip",
    "network-interface.association.public-ip",
    "network-interface.group-id",
    "network-interface.group-name",
    "network-interface.network-interface-id",
    "network-interface.private-dns-name",
    "network-interface.private-ip-address",
    "network-interface.source-dest-check",
    "network-interface.subnet-id",
    "network-interface.vpc-id",
    "outpost-arn",
    "owner-id",
    "placement-group-name",
    "placement-partition-number",
    "platform",
    "platform-details",
    "private-dns-name",
    "private-ip-address",
    "product-code",
    "product-code.type",
    "ramdisk-id",
    "reason",
    "requester-id",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "source-dest-check",
    "spot-instance-request-id",
    "state-reason-code",
    "state-reason-message",
    "subnet-id",
    "tenancy",
    "virtualization-type",
    "vpc-id",
    TAGS,
];

//! RunInstances: from a launch template and a request to instances that boot.

use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_market::Pool;
use capstan_model::catalogue::{self, InstanceType};
use capstan_model::{InstanceId, MicroDollars};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceMetadataOptionsResponse,
    InstanceMetadataOptionsState, InstanceMetadataProtocolState, InstanceMetadataTagsState,
    InstanceNetworkInterfaceSpecification, InstanceStateName, MarketType, RESPONSE_LAUNCH_TEMPLATE_DATA,
    RUN_INSTANCES_REQUEST, RunInstancesRequest, RunInstancesResponse, ShutdownBehavior, SpotInstanceType,
    TagSpecification,
};

use crate::kernel::{Effect, Event, overlay, recast};
use crate::{Caller, Engine, fis};

use super::{
    AmazonLinux, GROUP_TAG, Instance, InstanceIndex, LaunchedFrom, Release, RootVolume, Spot, StateReason,
    Subnet, Tags, draw_id, dry_run, image, instance, invalid, launch_template, missing, network, spot, tag,
    volume,
};

/// Bytes of user data before base64 (EC2 guide, user-data).
const USER_DATA_MAX: usize = 16 * 1024;

/// Auto Scaling validates a group's launch template with the dry run of this call.
pub(super) fn run_instances(
    cx: &mut Engine,
    caller: &Caller,
    request: RunInstancesRequest,
) -> Result<RunInstancesResponse, Refusal> {
    let digest = match request.client_token {
        Some(_) => super::digest(format!("{request:?}").bytes()),
        None => 0,
    };
    if let Some(token) = &request.client_token {
        let launched = cx.ec2.instances.keys_by(&InstanceIndex::ClientToken(token.clone()));
        if !launched.is_empty() {
            return repeated(cx, &launched, digest);
        }
    }
    let (request, launch_template) = with_template(cx, caller, request)?;
    let plan = plan(cx, caller, request, launch_template)?;
    dry_run(plan.dry_run)?;
    let group = plan.common.tags.get(GROUP_TAG).map(String::as_str);
    fis::capacity_error(cx, caller, plan.subnet.zone.name, group)?;
    let launched = launch_all(cx, &plan, digest, None);
    Ok(answer(cx, &launched))
}

/// Whether a Spot request could be carried out but for price and capacity; its maximum price.
pub(super) fn check(
    cx: &mut Engine,
    caller: &Caller,
    request: &RunInstancesRequest,
) -> Result<Option<MicroDollars>, Refusal> {
    match plan(cx, caller, request.clone(), None) {
        Ok(plan) => Ok(plan.spot.and_then(|terms| terms.max_price)),
        Err(refusal) if refusal.code == "SpotMaxPriceTooLow" => Ok(max_price(request)),
        Err(refusal) if refusal.code == "InsufficientInstanceCapacity" => Ok(max_price(request)),
        Err(refusal) => Err(refusal),
    }
}

fn max_price(request: &RunInstancesRequest) -> Option<MicroDollars> {
    let options = request.instance_market_options.as_ref()?.spot_options.as_ref()?;
    MicroDollars::parse(options.max_price.as_deref()?)
}

/// Launches the instance of a Spot request.
pub(super) fn fulfil(cx: &mut Engine, request: RunInstancesRequest, id: &str) -> Result<(), Refusal> {
    let caller = Caller::SPOT;
    let plan = plan(cx, &caller, request, None)?;
    launch_all(cx, &plan, 0, Some(id));
    Ok(())
}

/// Launches what is planned, in one reservation. `request`: the Spot request that it is for, when there is one already.
fn launch_all(cx: &mut Engine, plan: &Plan, digest: u64, request: Option<&str>) -> Vec<InstanceId> {
    let reservation = draw_id(cx, "r", "ec2.reservation-id");
    (0..plan.count).map(|index| launch(cx, plan, &reservation, index, digest, request)).collect()
}

/// The answer to a client token that has launched instances already.
fn repeated(cx: &Engine, launched: &[InstanceId], digest: u64) -> Result<RunInstancesResponse, Refusal> {
    let same =
        launched.iter().filter_map(|id| cx.ec2.instances.get(id)).all(|row| row.request_digest == digest);
    if !same {
        return Err(Refusal::new(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        ));
    }
    Ok(answer(cx, launched))
}

fn answer(cx: &Engine, launched: &[InstanceId]) -> RunInstancesResponse {
    let mut rows: Vec<&Instance> = launched.iter().filter_map(|id| cx.ec2.instances.get(id)).collect();
    rows.sort_by_key(|row| row.launch_index);
    let reservation = instance::reservation(cx, &rows);
    RunInstancesResponse {
        reservation_id: reservation.reservation_id,
        owner_id: reservation.owner_id,
        requester_id: reservation.requester_id,
        groups: reservation.groups,
        instances: reservation.instances,
    }
}

/// The request over the data of the launch template that it names. Parameters of the request count (EC2 guide,
/// launch-instances-from-launch-template); tags are joined.
fn with_template(
    cx: &Engine,
    caller: &Caller,
    mut request: RunInstancesRequest,
) -> Result<(RunInstancesRequest, Option<LaunchedFrom>), Refusal> {
    let Some(named) = request.launch_template.take() else { return Ok((request, None)) };
    let template = launch_template::find(
        &cx.ec2,
        named.launch_template_id.as_deref(),
        named.launch_template_name.as_deref(),
    )?;
    let version = launch_template::version(&cx.ec2, template, named.version.as_deref())?;
    let mut base: RunInstancesRequest =
        recast(version.data.clone(), &RESPONSE_LAUNCH_TEMPLATE_DATA, &RUN_INSTANCES_REQUEST);
    // A group's subnet goes before the one of the template's network interface (Auto Scaling guide, launch templates).
    if !instance::is_user(caller) && request.subnet_id.is_some() {
        let subnet = request.subnet_id.take();
        let interfaces = base.network_interfaces.get_or_insert_default();
        if interfaces.is_empty() {
            base.network_interfaces = None;
            base.subnet_id = subnet;
        } else {
            interfaces[0].subnet_id = subnet;
        }
    }
    let tags: Vec<TagSpecification> = [base.tag_specifications.take(), request.tag_specifications.take()]
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let mut request = overlay(base, request);
    request.tag_specifications = Some(tags);
    let from = LaunchedFrom { id: template.id.clone(), version: version.version };
    Ok((request, Some(from)))
}

/// A request that can be carried out.
struct Plan {
    count: u32,
    dry_run: Option<bool>,
    instance_type: &'static InstanceType,
    image: String,
    release: &'static Release,
    subnet: Subnet,
    private_ip: Option<Ipv4Addr>,
    root: RootVolume,
    /// Whether instances get public addresses.
    public_ip: bool,
    security_groups: Vec<String>,
    spot: Option<SpotTerms>,
    /// What every instance has alike.
    common: Common,
}

struct SpotTerms {
    max_price: Option<MicroDollars>,
    interruption_behavior: InstanceInterruptionBehavior,
    kind: SpotInstanceType,
    /// What a persistent request launches when its instance was taken back.
    again: Option<Box<RunInstancesRequest>>,
}

struct Common {
    requester: Option<String>,
    client_token: Option<String>,
    launch_template: Option<LaunchedFrom>,
    user_data: Option<Arc<str>>,
    tags: Tags,
    key_name: Option<String>,
    instance_profile: Option<String>,
    metadata_options: InstanceMetadataOptionsResponse,
    monitoring: bool,
    ebs_optimized: bool,
    termination_protection: bool,
    stop_protection: bool,
    ends_on_shutdown: bool,
}

/// Holds a request against what there is.
fn plan(
    cx: &mut Engine,
    caller: &Caller,
    request: RunInstancesRequest,
    launch_template: Option<LaunchedFrom>,
) -> Result<Plan, Refusal> {
    let image_id = request.image_id.as_deref().ok_or_else(|| missing("ImageId"))?;
    let (image, release) = image::find(cx, image_id)?;
    let type_name = request.instance_type.as_deref().ok_or_else(|| missing("InstanceType"))?;
    let instance_type = catalogue::instance_type(type_name)
        .ok_or_else(|| invalid(format!("Invalid value '{type_name}' for InstanceType.")))?;
    if !instance_type.architectures.contains(&release.architecture) {
        return Err(invalid(architecture_mismatch(instance_type, release)));
    }
    let root = volume::root(release, request.block_device_mappings.as_ref())?;
    let (min, max) = counts(request.min_count, request.max_count)?;
    let interface = interface(&request)?;
    let subnet = subnet(cx, &request, &interface, instance_type)?;
    let security_groups = security_groups(cx, &request, &interface, &subnet.vpc)?;
    let free = cx.ec2.free_addresses(&subnet);
    if free < min {
        return Err(network::interface::no_address(&subnet.id));
    }
    let private_ip = request.private_ip_address.as_ref().or(interface.private_ip_address.as_ref());
    let private_ip = private_ip.map(|text| address(cx, &subnet, text, max)).transpose()?;
    let pool = Pool { instance_type, zone: subnet.zone };
    let spot = spot_terms(cx, &request, pool)?;
    let spare = match spot {
        Some(_) => spot::spare(cx, pool).unwrap_or(u32::MAX),
        None => u32::MAX,
    };
    if spare < min {
        return Err(spot::no_capacity());
    }
    let mut tags = tag::of_specifications(caller, request.tag_specifications, TAGGABLE)?
        .remove("instance")
        .unwrap_or_default();
    if let Some(from) = &launch_template {
        tags.insert("aws:ec2launchtemplate:id".into(), from.id.clone());
        tags.insert("aws:ec2launchtemplate:version".into(), from.version.to_string());
    }
    let common = Common {
        requester: (!instance::is_user(caller)).then(|| cx.config.account.clone()),
        client_token: request.client_token,
        launch_template,
        user_data: request.user_data.as_deref().map(user_data).transpose()?.flatten(),
        tags,
        key_name: request.key_name,
        instance_profile: request.iam_instance_profile.and_then(|profile| profile_arn(cx, profile)),
        metadata_options: metadata_options(request.metadata_options, release),
        monitoring: request.monitoring.is_some_and(|monitoring| monitoring.enabled),
        ebs_optimized: request.ebs_optimized == Some(true),
        termination_protection: request.disable_api_termination == Some(true),
        stop_protection: request.disable_api_stop == Some(true),
        ends_on_shutdown: request.instance_initiated_shutdown_behavior == Some(ShutdownBehavior::Terminate),
    };
    Ok(Plan {
        count: max.min(free).min(spare),
        dry_run: request.dry_run,
        instance_type,
        image,
        release,
        root,
        public_ip: interface.associate_public_ip_address.unwrap_or(subnet.public_addresses),
        subnet,
        private_ip,
        security_groups,
        spot,
        common,
    })
}

/// Puts one instance in and has it booted.
fn launch(
    cx: &mut Engine,
    plan: &Plan,
    reservation: &str,
    launch_index: u32,
    digest: u64,
    request: Option<&str>,
) -> InstanceId {
    let id = InstanceId(cx.chance.u64("ec2.instance-id").into());
    let private_ip = plan.private_ip.unwrap_or_else(|| free_address(cx, &plan.subnet));
    let public_ip = if plan.public_ip { network::address::draw(cx) } else { None };
    let spot = plan.spot.as_ref().map(|terms| Spot {
        request: request.map_or_else(|| spot::request_id(cx), str::to_owned),
        max_price: terms.max_price,
        interruption_behavior: terms.interruption_behavior,
        recommended_at: None,
        interruption: None,
    });
    let common = &plan.common;
    let instance = Instance {
        id,
        reservation: reservation.to_owned(),
        launch_index,
        requester: common.requester.clone(),
        client_token: common.client_token.clone(),
        request_digest: digest,
        instance_type: plan.instance_type,
        image: plan.image.clone(),
        release: plan.release,
        zone: plan.subnet.zone,
        vpc: plan.subnet.vpc.clone(),
        subnet: plan.subnet.id.clone(),
        private_ip,
        security_groups: plan.security_groups.clone(),
        launched_at: cx.now,
        running_at: None,
        state: InstanceStateName::Pending,
        state_reason: Some(StateReason { code: "pending".into(), message: "pending".into() }),
        transition_reason: String::new(),
        spot,
        launch_template: common.launch_template.clone(),
        user_data: common.user_data.clone(),
        tags: common.tags.clone(),
        key_name: common.key_name.clone(),
        instance_profile: common.instance_profile.clone(),
        metadata_options: common.metadata_options.clone(),
        rebooting: false,
        monitoring: common.monitoring,
        ebs_optimized: common.ebs_optimized,
        termination_protection: common.termination_protection,
        stop_protection: common.stop_protection,
        ends_on_shutdown: common.ends_on_shutdown,
        root: plan.root.clone(),
        source_dest_check: true,
        public_ip,
        wants_public_ip: plan.public_ip,
        network_interface: cx.chance.u64("ec2.network-interface-id"),
        attachment: cx.chance.u64("ec2.attachment-id"),
        volume: cx.chance.u64("ec2.volume-id"),
        forget_at: None,
    };
    cx.ec2.instances.insert(instance);
    cx.announce(Event::InstanceState { instance: id, state: InstanceStateName::Pending.as_str() });
    cx.effect(Effect::LaunchInstance { instance: id });
    if let Some(terms) = &plan.spot {
        spot::fulfilled(cx, id, terms.kind, terms.again.clone());
        spot::used(cx, Pool { instance_type: plan.instance_type, zone: plan.subnet.zone });
    }
    id
}

/// Resources that tags of a request may be for; only the instance's are kept.
const TAGGABLE: &[&str] =
    &["elastic-gpu", "instance", "network-interface", "spot-instances-request", "volume"];

pub(super) fn architecture_mismatch(instance_type: &InstanceType, release: &Release) -> String {
    let of_type: Vec<&str> = instance_type.architectures.iter().map(|each| each.as_str()).collect();
    format!(
        "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified \
         AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use \
         'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.",
        of_type.join(","),
        release.architecture.as_str()
    )
}

fn counts(min: i32, max: i32) -> Result<(u32, u32), Refusal> {
    let positive = |name: &str, count: i32| {
        u32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            invalid(format!("Value ({count}) for parameter {name} is invalid. Expecting a positive integer."))
        })
    };
    let (low, high) = (positive("minCount", min)?, positive("maxCount", max)?);
    if low > high {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            format!("Value ({min}) for parameter minCount must not be larger than maxCount ({max})."),
        ));
    }
    Ok((low, high))
}

/// The specification of the first network interface, an empty one when there is none.
fn interface(request: &RunInstancesRequest) -> Result<InstanceNetworkInterfaceSpecification, Refusal> {
    let Some(first) = request.network_interfaces.iter().flatten().next() else {
        return Ok(InstanceNetworkInterfaceSpecification::default());
    };
    let clash = |what: &str| {
        Err(Refusal::new(
            "InvalidParameterCombination",
            format!(
                "Network interfaces and an instance-level {what} may not be specified on the same request"
            ),
        ))
    };
    let given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if request.subnet_id.is_some() {
        return clash("subnet ID");
    }
    if given(&request.security_group_ids) || given(&request.security_groups) {
        return clash("security groups");
    }
    if request.private_ip_address.is_some() {
        return clash("private address");
    }
    Ok(first.clone())
}

/// The subnet that the request names, or the default one of its zone, or of a zone that offers the type.
fn subnet(
    cx: &mut Engine,
    request: &RunInstancesRequest,
    interface: &InstanceNetworkInterfaceSpecification,
    instance_type: &InstanceType,
) -> Result<Subnet, Refusal> {
    let placement = request.placement.as_ref();
    let zone = placement.and_then(|placement| {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        set(&placement.availability_zone).or_else(|| set(&placement.availability_zone_id))
    });
    let region = cx.config.region;
    let zone = zone
        .map(|text| {
            region
                .zones
                .iter()
                .find(|zone| zone.name == text || zone.id == text)
                .ok_or_else(|| invalid(format!("Invalid availability zone: [{text}]")))
        })
        .transpose()?;
    let offering: Vec<&str> =
        region.zones.iter().map(|zone| zone.name).filter(|zone| instance_type.offered_in(zone)).collect();
    let unsupported = |zone: &str| {
        let instance_type = &instance_type.name;
        let message = if offering.is_empty() {
            "The requested configuration is currently not supported. Please check the documentation for supported \
             configurations."
                .to_owned()
        } else {
            format!(
                "Your requested instance type ({instance_type}) is not supported in your requested Availability Zone \
                 ({zone}). Please retry your request by not specifying an Availability Zone or choosing {}.",
                offering.join(", ")
            )
        };
        Refusal::new("Unsupported", message)
    };
    let named = request.subnet_id.as_ref().or(interface.subnet_id.as_ref());
    if let Some(id) = named.filter(|id| !id.is_empty()) {
        let subnet = cx.ec2.network.subnet(id)?;
        if let Some(zone) = zone.filter(|zone| *zone != subnet.zone) {
            return Err(invalid(format!(
                "Subnet '{id}' is in availability zone {}, not in {}",
                subnet.zone.name, zone.name
            )));
        }
        if !instance_type.offered_in(subnet.zone.name) {
            return Err(unsupported(subnet.zone.name));
        }
        return Ok(subnet.clone());
    }
    let name = match zone {
        Some(zone) if instance_type.offered_in(zone.name) => zone.name,
        Some(zone) => return Err(unsupported(zone.name)),
        None if offering.is_empty() => return Err(unsupported("")),
        None => {
            let pick = cx.chance.below("ec2.launch-zone", offering.len() as u64);
            offering[usize::try_from(pick).unwrap_or_default()]
        }
    };
    let subnet = cx.ec2.default_subnet(name).cloned();
    subnet.ok_or_else(|| {
        Refusal::new("MissingInput", format!("No default subnet for availability zone: '{name}'."))
    })
}

/// The groups that the request names, else the default one of the subnet's VPC; ids.
fn security_groups(
    cx: &Engine,
    request: &RunInstancesRequest,
    interface: &InstanceNetworkInterfaceSpecification,
    vpc: &str,
) -> Result<Vec<String>, Refusal> {
    let ids = [&request.security_group_ids, &interface.groups].into_iter().flatten().flatten();
    let mut found = Vec::new();
    for id in ids {
        let group = cx.ec2.network.security_group(id)?;
        if group.vpc != vpc {
            return Err(Refusal::new(
                "InvalidParameter",
                format!("Security group {id} and subnet belong to different networks."),
            ));
        }
        found.push(id.clone());
    }
    for name in request.security_groups.iter().flatten() {
        found.push(network::security_group::named(cx, name)?.id.clone());
    }
    if found.is_empty() {
        let default = network::security_group::in_vpc(cx, vpc, "default");
        found.extend(default.map(|group| group.id.clone()));
    }
    Ok(found)
}

/// The private address that the request asks for.
fn address(cx: &Engine, subnet: &Subnet, text: &str, count: u32) -> Result<Ipv4Addr, Refusal> {
    if count > 1 {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "A private address can be specified for a single instance only.",
        ));
    }
    network::interface::named_address(cx, subnet, text)
}

/// A free address of a subnet that has one.
fn free_address(cx: &mut Engine, subnet: &Subnet) -> Ipv4Addr {
    network::interface::free_address(cx, subnet, "ec2.private-address")
        .expect("the plan has counted the free addresses")
}

fn spot_terms(cx: &Engine, request: &RunInstancesRequest, pool: Pool) -> Result<Option<SpotTerms>, Refusal> {
    let Some(options) = request.instance_market_options.clone() else { return Ok(None) };
    match options.market_type {
        Some(MarketType::Spot) => {}
        None if options.spot_options.is_none() => return Ok(None),
        None => return Err(missing("MarketType")),
        Some(other) => {
            return Err(Refusal::new("Unsupported", format!("The market type '{other}' is not supported.")));
        }
    }
    let Some(price) = cx.config.market.price(pool, cx.now) else {
        return Err(Refusal::new(
            "Unsupported",
            format!("Spot Instances are not supported for instance type '{}'.", pool.instance_type.name),
        ));
    };
    let terms = options.spot_options.unwrap_or_default();
    let interruption_behavior =
        terms.instance_interruption_behavior.unwrap_or(InstanceInterruptionBehavior::Terminate);
    let kind = terms.spot_instance_type.unwrap_or(SpotInstanceType::OneTime);
    let one_time = kind == SpotInstanceType::OneTime;
    if one_time && interruption_behavior != InstanceInterruptionBehavior::Terminate {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            format!(
                "The instance interruption behavior '{interruption_behavior}' is not supported with the Spot instance \
                 type 'one-time'. Use 'persistent'."
            ),
        ));
    }
    let max_price = terms
        .max_price
        .filter(|text| !text.is_empty())
        .map(|text| {
            MicroDollars::parse(&text).ok_or_else(|| invalid(format!("Invalid value '{text}' for MaxPrice.")))
        })
        .transpose()?;
    if let Some(max_price) = max_price.filter(|max_price| *max_price < price) {
        return Err(Refusal::new(
            "SpotMaxPriceTooLow",
            format!(
                "Your Spot request price of {} is lower than the minimum required Spot request fulfillment price of \
                 {}.",
                max_price.decimal(),
                price.decimal()
            ),
        ));
    }
    let again = (!one_time).then(|| {
        Box::new(RunInstancesRequest { min_count: 1, max_count: 1, client_token: None, ..request.clone() })
    });
    Ok(Some(SpotTerms { max_price, interruption_behavior, kind, again }))
}

/// User data as the instance reads it.
fn user_data(text: &str) -> Result<Option<Arc<str>>, Refusal> {
    // Clients that wrap lines are common, and EC2 takes it.
    let text: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Refusal::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."))?;
    if bytes.len() > USER_DATA_MAX {
        return Err(invalid(format!("User data is limited to {USER_DATA_MAX} bytes")));
    }
    Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into()))
}

fn profile_arn(cx: &Engine, profile: IamInstanceProfileSpecification) -> Option<String> {
    let by_name = |name| format!("arn:aws:iam::{}:instance-profile/{name}", cx.config.account);
    profile.arn.or_else(|| profile.name.map(by_name))
}

/// The options that the request gives, over the image's defaults.
fn metadata_options(
    given: Option<InstanceMetadataOptionsRequest>,
    release: &Release,
) -> InstanceMetadataOptionsResponse {
    let given = given.unwrap_or_default();
    let session_only = release.system == AmazonLinux::V2023;
    let tokens = if session_only { HttpTokensState::Required } else { HttpTokensState::Optional };
    InstanceMetadataOptionsResponse {
        state: Some(InstanceMetadataOptionsState::Applied),
        http_tokens: given.http_tokens.or(Some(tokens)),
        http_put_response_hop_limit: given.http_put_response_hop_limit.or(Some(if session_only {
            2
        } else {
            1
        })),
        http_endpoint: given.http_endpoint.or(Some(InstanceMetadataEndpointState::Enabled)),
        http_protocol_ipv6: given.http_protocol_ipv6.or(Some(InstanceMetadataProtocolState::Disabled)),
        instance_metadata_tags: given.instance_metadata_tags.or(Some(InstanceMetadataTagsState::Disabled)),
    }
}

//! Attributes of instances one by one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_model::catalogue;
use capstan_shapes::ec2::{
    AttributeBooleanValue, AttributeValue, BlobAttributeValue, DescribeInstanceAttributeRequest,
    DescribeInstanceAttributeResponse, DescribeInstanceCreditSpecificationsRequest,
    DescribeInstanceCreditSpecificationsResponse, EnclaveOptions, InstanceAttributeName,
    InstanceCreditSpecification, InstanceStateName, ModifyInstanceAttributeRequest,
    ModifyInstanceAttributeResponse,
};
use capstan_shapes::{Blob, Refusal};

use super::filter::Filters;
use super::instance::{existing, mappings};
use super::network::interface;
use super::{Instance, Tags, dry_run, invalid, missing, page_of, run};
use crate::{Caller, Engine};

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInstanceAttributeRequest,
) -> Result<DescribeInstanceAttributeResponse, Refusal> {
    dry_run(request.dry_run)?;
    let id = existing(cx, std::slice::from_ref(&request.instance_id))?[0];
    let row = cx.ec2.instances.get(&id).expect("it has just been found");
    let flag = |value| Some(AttributeBooleanValue { value: Some(value) });
    let text = |value: Option<String>| Some(AttributeValue { value });
    let mut told = DescribeInstanceAttributeResponse {
        instance_id: Some(row.id.to_string()),
        ..DescribeInstanceAttributeResponse::default()
    };
    use InstanceAttributeName as Name;
    match request.attribute {
        Name::BlockDeviceMapping => told.block_device_mappings = Some(mappings(row)),
        Name::DisableApiStop => told.disable_api_stop = flag(row.stop_protection),
        Name::DisableApiTermination => told.disable_api_termination = flag(row.termination_protection),
        Name::EbsOptimized => told.ebs_optimized = flag(row.ebs_optimized),
        Name::EnaSupport => told.ena_support = flag(true),
        Name::EnclaveOptions => told.enclave_options = Some(EnclaveOptions { enabled: Some(false) }),
        Name::GroupSet => told.groups = Some(interface::identifiers(cx, &row.security_groups)),
        Name::InstanceInitiatedShutdownBehavior => {
            let behavior = if row.ends_on_shutdown { "terminate" } else { "stop" };
            told.instance_initiated_shutdown_behavior = text(Some(behavior.to_owned()));
        }
        Name::InstanceType => told.instance_type = text(Some(row.instance_type.name.to_string())),
        Name::Kernel => told.kernel_id = text(None),
        Name::ProductCodes => told.product_codes = Some(Vec::new()),
        Name::Ramdisk => told.ramdisk_id = text(None),
        Name::RootDeviceName => told.root_device_name = text(Some("/dev/xvda".to_owned())),
        Name::SourceDestCheck => told.source_dest_check = flag(row.source_dest_check),
        Name::SriovNetSupport => told.sriov_net_support = text(None),
        Name::UserData => {
            told.user_data = text(row.user_data.as_ref().map(|data| STANDARD.encode(data.as_bytes())));
        }
    }
    Ok(told)
}

/// The newer members say the same as the pair of attribute and value.
fn spread(mut request: ModifyInstanceAttributeRequest) -> Result<ModifyInstanceAttributeRequest, Refusal> {
    let Some(attribute) = request.attribute else { return Ok(request) };
    let value = request.value.take().ok_or_else(|| missing("Value"))?;
    let flag = match value.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    let bad = || invalid(format!("Value ({value}) for parameter value is invalid for {attribute}"));
    let flag = || flag.map(|value| AttributeBooleanValue { value: Some(value) }).ok_or_else(bad);
    let text = || AttributeValue { value: Some(value.clone()) };
    use InstanceAttributeName as Name;
    match attribute {
        Name::DisableApiStop => request.disable_api_stop = Some(flag()?),
        Name::DisableApiTermination => request.disable_api_termination = Some(flag()?),
        Name::EbsOptimized => request.ebs_optimized = Some(flag()?),
        Name::InstanceInitiatedShutdownBehavior => {
            request.instance_initiated_shutdown_behavior = Some(text());
        }
        Name::InstanceType => request.instance_type = Some(text()),
        Name::SourceDestCheck => request.source_dest_check = Some(flag()?),
        Name::UserData => {
            let bytes = STANDARD.decode(&value).map_err(|_| bad())?;
            request.user_data = Some(BlobAttributeValue { value: Some(Blob(bytes.into())) });
        }
        other => {
            return Err(Refusal::new(
                "UnsupportedOperation",
                format!("The attribute {other} of an instance cannot be changed here."),
            ));
        }
    }
    Ok(request)
}

pub(super) fn modify(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifyInstanceAttributeRequest,
) -> Result<ModifyInstanceAttributeResponse, Refusal> {
    let request = spread(request)?;
    let id = existing(cx, std::slice::from_ref(&request.instance_id))?[0];
    let row = cx.ec2.instances.get(&id).expect("it has just been found");
    let unsupported =
        request.kernel.is_some() || request.ramdisk.is_some() || request.sriov_net_support.is_some();
    if unsupported {
        return Err(Refusal::new(
            "UnsupportedOperation",
            "Kernel, RAM disk and SR-IOV of an instance cannot be changed here.",
        ));
    }
    let flag = |value: Option<AttributeBooleanValue>| value.and_then(|value| value.value);
    let (vpc, subnet) = (row.vpc.clone(), row.zone.name);
    let stopped = row.state == InstanceStateName::Stopped;
    let instance_type = match request.instance_type.and_then(|value| value.value) {
        Some(name) => {
            must_be(stopped, row)?;
            let found = catalogue::instance_type(&name)
                .ok_or_else(|| invalid(format!("Invalid value '{name}' for InstanceType.")))?;
            if !found.architectures.contains(&row.release.architecture) {
                return Err(invalid(run::architecture_mismatch(found, row.release)));
            }
            if !found.offered_in(subnet) {
                return Err(Refusal::new(
                    "Unsupported",
                    format!("The instance type {name} is not supported in the Availability Zone {subnet}."),
                ));
            }
            Some(found)
        }
        None => None,
    };
    let user_data = match request.user_data {
        Some(value) => {
            must_be(stopped, row)?;
            let bytes = value.value.map(|blob| blob.0.to_vec()).unwrap_or_default();
            Some((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).as_ref().into()))
        }
        None => None,
    };
    let ends = match request.instance_initiated_shutdown_behavior.and_then(|value| value.value).as_deref() {
        None => None,
        Some("terminate") => Some(true),
        Some("stop") => Some(false),
        Some(other) => {
            return Err(invalid(format!(
                "Value ({other}) for parameter instanceInitiatedShutdownBehavior is invalid. Expecting 'stop' or \
                 'terminate'."
            )));
        }
    };
    let groups = match request.groups.filter(|ids| !ids.is_empty()) {
        Some(ids) => Some(interface::groups(cx, &vpc, Some(ids))?),
        None => None,
    };
    dry_run(request.dry_run)?;
    let Some(mut row) = cx.ec2.instances.edit(&id) else { return Ok(ModifyInstanceAttributeResponse {}) };
    row.stop_protection = flag(request.disable_api_stop).unwrap_or(row.stop_protection);
    row.termination_protection = flag(request.disable_api_termination).unwrap_or(row.termination_protection);
    row.ebs_optimized = flag(request.ebs_optimized).unwrap_or(row.ebs_optimized);
    row.source_dest_check = flag(request.source_dest_check).unwrap_or(row.source_dest_check);
    row.ends_on_shutdown = ends.unwrap_or(row.ends_on_shutdown);
    row.instance_type = instance_type.unwrap_or(row.instance_type);
    if let Some(groups) = groups {
        row.security_groups = groups;
    }
    if let Some(user_data) = user_data {
        row.user_data = user_data;
    }
    Ok(ModifyInstanceAttributeResponse {})
}

fn must_be(stopped: bool, row: &Instance) -> Result<(), Refusal> {
    if stopped {
        return Ok(());
    }
    Err(Refusal::new(
        "IncorrectInstanceState",
        format!("The instance '{}' is not in the 'stopped' state.", row.id),
    ))
}

/// How burstable instances spend credits: without limit, as the newer types do unless told.
pub(super) fn describe_credits(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInstanceCreditSpecificationsRequest,
) -> Result<DescribeInstanceCreditSpecificationsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), &["instance-id"])?;
    let ids = existing(cx, request.instance_ids.as_deref().unwrap_or_default())?;
    let told = |row: &Instance| -> Option<InstanceCreditSpecification> {
        let name = &row.instance_type.name;
        let mode = match name.split('.').next() {
            Some("t2") => "standard",
            Some("t3" | "t3a" | "t4g") => "unlimited",
            _ => return None,
        };
        Some(InstanceCreditSpecification {
            instance_id: Some(row.id.to_string()),
            cpu_credits: Some(mode.to_owned()),
        })
    };
    let wanted = |row: &&Instance| {
        (ids.is_empty() || ids.contains(&row.id))
            && row.state != InstanceStateName::Terminated
            && filters.fit(&Tags::new(), |_, put| put(&row.id.to_string()))
    };
    let rows: Vec<_> = cx.ec2.instances.iter().filter(wanted).filter_map(told).collect();
    let key = |row: &InstanceCreditSpecification| row.instance_id.clone().unwrap_or_default();
    let page = page_of(rows, key, request.next_token.as_deref(), request.max_results)?;
    Ok(DescribeInstanceCreditSpecificationsResponse {
        instance_credit_specifications: Some(page.items),
        next_token: page.next,
    })
}

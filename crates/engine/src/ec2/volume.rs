//! Volumes: the root volume of each instance, and no others.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    BlockDeviceMapping, DescribeVolumesRequest, DescribeVolumesResponse, InstanceStateName, Volume,
    VolumeAttachment, VolumeAttachmentState, VolumeState, VolumeType,
};

use super::filter::{Filters, TAGS};
use super::instance::volume_id;
use super::{AmazonLinux, Instance, Release, Tags, digest, dry_run, invalid, page_of};
use crate::{Caller, Engine};

/// The disk that an instance starts from. It is told and holds nothing: tasks write to this machine's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVolume {
    /// GiB.
    pub size: i32,
    pub kind: VolumeType,
    pub iops: Option<i32>,
    /// MiB a second.
    pub throughput: Option<i32>,
    pub encrypted: bool,
    pub delete_on_termination: bool,
}

/// Sizes in GiB that a volume can have.
const SIZE_MAX: i32 = 65_536;

/// The root volume that the image and the request's block device mapping come to.
pub(super) fn root(
    release: &Release,
    mappings: Option<&Vec<BlockDeviceMapping>>,
) -> Result<RootVolume, Refusal> {
    let given = mappings.into_iter().flatten().find(|each| each.device_name.as_deref() == Some("/dev/xvda"));
    let given = given.and_then(|mapping| mapping.ebs.clone()).unwrap_or_default();
    let least = if release.ecs.is_some() { 30 } else { 8 };
    let newer = release.system == AmazonLinux::V2023;
    let size = given.volume_size.unwrap_or(least);
    if size < least {
        return Err(Refusal::new(
            "InvalidBlockDeviceMapping",
            format!("Volume of size {size}GB is smaller than snapshot, expect size >= {least}GB"),
        ));
    }
    if size > SIZE_MAX {
        return Err(invalid(format!("Volume of {size}GiB is too large: at most {SIZE_MAX}GiB are possible")));
    }
    let kind = given.volume_type.unwrap_or(if newer { VolumeType::Gp3 } else { VolumeType::Gp2 });
    // What the types have unless told (EBS guide, volume types).
    let iops = match kind {
        VolumeType::Gp3 => Some(3000),
        VolumeType::Gp2 => Some((size * 3).clamp(100, 16_000)),
        _ => None,
    };
    Ok(RootVolume {
        size,
        kind,
        iops: given.iops.or(iops),
        throughput: given.throughput.or_else(|| (kind == VolumeType::Gp3).then_some(125)),
        encrypted: given.encrypted == Some(true),
        delete_on_termination: given.delete_on_termination.unwrap_or(true),
    })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeVolumesRequest,
) -> Result<DescribeVolumesResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let ids = request.volume_ids.unwrap_or_default();
    let rows: Vec<&Instance> =
        cx.ec2.instances.iter().filter(|row| row.state != InstanceStateName::Terminated).collect();
    for id in &ids {
        if !rows.iter().any(|row| volume_id(row) == *id) {
            return Err(Refusal::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist.")));
        }
    }
    let fits = |row: &&Instance| {
        (ids.is_empty() || ids.contains(&volume_id(row)))
            && filters.fit(&Tags::new(), |name, put| fields(row, name, put))
    };
    let rows: Vec<&Instance> = rows.into_iter().filter(fits).collect();
    let key = |row: &&Instance| volume_id(row);
    let page = page_of(rows, key, request.next_token.as_deref(), request.max_results)?;
    let region = cx.config.region.name;
    Ok(DescribeVolumesResponse {
        volumes: Some(page.items.into_iter().map(|row| described(region, row)).collect()),
        next_token: page.next,
    })
}

fn fields(row: &Instance, name: &str, put: &mut dyn FnMut(&str)) {
    match name {
        "attachment.delete-on-termination" => {
            put(if row.root.delete_on_termination { "true" } else { "false" });
        }
        "attachment.device" => put("/dev/xvda"),
        "attachment.instance-id" => put(&row.id.to_string()),
        "attachment.status" => put("attached"),
        "availability-zone" => put(row.zone.name),
        "encrypted" => put(if row.root.encrypted { "true" } else { "false" }),
        "size" => put(&row.root.size.to_string()),
        "status" => put("in-use"),
        "volume-id" => put(&volume_id(row)),
        "volume-type" => put(row.root.kind.as_str()),
        _ => {}
    }
}

fn described(region: &str, row: &Instance) -> Volume {
    Volume {
        availability_zone_id: Some(row.zone.id.into()),
        iops: row.root.iops,
        volume_type: Some(row.root.kind),
        multi_attach_enabled: Some(false),
        throughput: row.root.throughput,
        volume_id: Some(volume_id(row)),
        size: Some(row.root.size),
        snapshot_id: Some(format!("snap-0{:016x}", digest(row.release.id(region).bytes()))),
        availability_zone: Some(row.zone.name.into()),
        state: Some(VolumeState::InUse),
        create_time: Some(row.launched_at),
        attachments: Some(vec![VolumeAttachment {
            delete_on_termination: Some(row.root.delete_on_termination),
            volume_id: Some(volume_id(row)),
            instance_id: Some(row.id.to_string()),
            device: Some("/dev/xvda".into()),
            state: Some(VolumeAttachmentState::Attached),
            attach_time: Some(row.launched_at),
            ..VolumeAttachment::default()
        }]),
        encrypted: Some(row.root.encrypted),
        tags: Some(Vec::new()),
        ..Volume::default()
    }
}

const FILTERS: &[&str] = &[
    "attachment.attach-time",
    "attachment.delete-on-termination",
    "attachment.device",
    "attachment.instance-id",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "create-time",
    "encrypted",
    "multi-attach-enabled",
    "size",
    "snapshot-id",
    "status",
    "volume-id",
    "volume-type",
    TAGS,
];

//! Machine images: the public ones of Amazon Linux, with and without the ECS agent.
//!
//! A release is the same in every region; its id differs from region to region, as AWS's does, and is always the same
//! in one. The parameters that Systems Manager publishes about releases are in the `ssm` room.

use capstan_model::catalogue::Architecture;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    ArchitectureValues, BlockDeviceMapping, BootModeValues, DescribeImagesRequest, DescribeImagesResponse,
    DeviceType, EbsBlockDevice, HypervisorType, Image, ImageState, ImageTypeValues, ImdsSupportValues,
    VirtualizationType, VolumeType,
};

use crate::{Caller, Engine};

use super::filter::{Filters, TAGS};
use super::{Tags, dry_run, page_of};

/// One image, published in every region.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) architecture: Architecture,
    pub(crate) system: AmazonLinux,
    /// ISO 8601.
    pub(crate) created: &'static str,
    /// What its parameter is called: below `/aws/service/ecs/optimized-ami/` when it has the ECS agent, else below
    /// `/aws/service/ami-amazon-linux-latest/`.
    pub(crate) parameter: &'static str,
    pub(crate) ecs: Option<EcsOptimized>,
}

/// What an ECS-optimized image has installed.
#[derive(Debug)]
pub(crate) struct EcsOptimized {
    pub(crate) agent_version: &'static str,
    /// Of Docker.
    pub(crate) runtime_version: &'static str,
    pub(crate) image_version: &'static str,
    /// The image that it was built from.
    pub(crate) source_image: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AmazonLinux {
    V2,
    V2023,
}

impl AmazonLinux {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "Amazon Linux 2",
            Self::V2023 => "Amazon Linux 2023",
        }
    }
}

impl Release {
    /// `ami-…` in that region.
    pub(crate) fn id(&self, region: &str) -> String {
        let text = region.bytes().chain(*b"/").chain(self.name.bytes());
        format!("ami-0{:016x}", super::digest(text))
    }

    /// The account that owns it: ECS's for its images, else Amazon Linux's.
    pub(crate) fn owner(&self) -> &'static str {
        if self.ecs.is_some() { "591542846629" } else { "137112412989" }
    }
}

/// The ECS agent of the images: the release that the agent's behaviour here was read from.
pub const ECS_AGENT_VERSION: &str = "1.105.1";

/// The Docker of the images.
pub const DOCKER_VERSION: &str = "25.0.8";

const AGENT: EcsOptimized = EcsOptimized {
    agent_version: ECS_AGENT_VERSION,
    runtime_version: "Docker version 25.0.8",
    image_version: "",
    source_image: "",
};
const ECS_2_X86: EcsOptimized = EcsOptimized {
    image_version: "2.0.20260702",
    source_image: "amzn2-ami-minimal-hvm-2.0.20260702.0-x86_64-ebs",
    ..AGENT
};
const ECS_2_ARM: EcsOptimized =
    EcsOptimized { source_image: "amzn2-ami-minimal-hvm-2.0.20260702.0-arm64-ebs", ..ECS_2_X86 };
const ECS_2023_X86: EcsOptimized = EcsOptimized {
    image_version: "2023.0.20260702",
    source_image: "al2023-ami-minimal-2023.12.20260702.0-kernel-6.1-x86_64",
    ..AGENT
};
const ECS_2023_ARM: EcsOptimized =
    EcsOptimized { source_image: "al2023-ami-minimal-2023.12.20260702.0-kernel-6.1-arm64", ..ECS_2023_X86 };

const RELEASE: Release = Release {
    name: "",
    description: "",
    architecture: Architecture::X86_64,
    system: AmazonLinux::V2,
    created: "2026-07-03T02:03:04.000Z",
    parameter: "",
    ecs: None,
};

/// Every image there is. Names follow AWS's; of each line of images there is one release, dated (our reading) after the
/// agent that it holds.
const RELEASES: &[Release] = &[
    Release {
        name: "amzn2-ami-ecs-hvm-2.0.20260702-x86_64-ebs",
        description: "Amazon Linux AMI 2.0.20260702 x86_64 ECS HVM GP2",
        parameter: "amazon-linux-2",
        ecs: Some(ECS_2_X86),
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-ecs-hvm-2.0.20260702-arm64-ebs",
        description: "Amazon Linux AMI 2.0.20260702 arm64 ECS HVM GP2",
        architecture: Architecture::Arm64,
        parameter: "amazon-linux-2/arm64",
        ecs: Some(ECS_2_ARM),
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-ecs-gpu-hvm-2.0.20260702-x86_64-ebs",
        description: "Amazon Linux AMI 2.0.20260702 x86_64 ECS GPU HVM GP2",
        parameter: "amazon-linux-2/gpu",
        ecs: Some(ECS_2_X86),
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-ecs-inf-hvm-2.0.20260702-x86_64-ebs",
        description: "Amazon Linux AMI 2.0.20260702 x86_64 ECS INF HVM GP2",
        parameter: "amazon-linux-2/inf",
        ecs: Some(ECS_2_X86),
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-ecs-kernel-5.10-hvm-2.0.20260702-x86_64-ebs",
        description: "Amazon Linux AMI 2.0.20260702 Kernel 5.10 x86_64 ECS HVM GP2",
        parameter: "amazon-linux-2/kernel-5.10",
        ecs: Some(ECS_2_X86),
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-ecs-kernel-5.10-hvm-2.0.20260702-arm64-ebs",
        description: "Amazon Linux AMI 2.0.20260702 Kernel 5.10 arm64 ECS HVM GP2",
        architecture: Architecture::Arm64,
        parameter: "amazon-linux-2/kernel-5.10/arm64",
        ecs: Some(ECS_2_ARM),
        ..RELEASE
    },
    Release {
        name: "al2023-ami-ecs-hvm-2023.0.20260702-kernel-6.1-x86_64",
        description: "Amazon Linux AMI 2023.0.20260702 x86_64 ECS HVM EBS",
        system: AmazonLinux::V2023,
        parameter: "amazon-linux-2023",
        ecs: Some(ECS_2023_X86),
        ..RELEASE
    },
    Release {
        name: "al2023-ami-ecs-hvm-2023.0.20260702-kernel-6.1-arm64",
        description: "Amazon Linux AMI 2023.0.20260702 arm64 ECS HVM EBS",
        architecture: Architecture::Arm64,
        system: AmazonLinux::V2023,
        parameter: "amazon-linux-2023/arm64",
        ecs: Some(ECS_2023_ARM),
        ..RELEASE
    },
    Release {
        name: "al2023-ami-2023.12.20260702.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.12.20260702.0 x86_64 HVM kernel-6.1",
        system: AmazonLinux::V2023,
        parameter: "al2023-ami-kernel-default-x86_64",
        ..RELEASE
    },
    Release {
        name: "al2023-ami-2023.12.20260702.0-kernel-6.1-arm64",
        description: "Amazon Linux 2023 AMI 2023.12.20260702.0 arm64 HVM kernel-6.1",
        architecture: Architecture::Arm64,
        system: AmazonLinux::V2023,
        parameter: "al2023-ami-kernel-default-arm64",
        ..RELEASE
    },
    Release {
        name: "al2023-ami-minimal-2023.12.20260702.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.12.20260702.0 x86_64 Minimal HVM kernel-6.1",
        system: AmazonLinux::V2023,
        parameter: "al2023-ami-minimal-kernel-default-x86_64",
        ..RELEASE
    },
    Release {
        name: "al2023-ami-minimal-2023.12.20260702.0-kernel-6.1-arm64",
        description: "Amazon Linux 2023 AMI 2023.12.20260702.0 arm64 Minimal HVM kernel-6.1",
        architecture: Architecture::Arm64,
        system: AmazonLinux::V2023,
        parameter: "al2023-ami-minimal-kernel-default-arm64",
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-hvm-2.0.20260702.0-x86_64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20260702.0 x86_64 HVM gp2",
        parameter: "amzn2-ami-hvm-x86_64-gp2",
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-hvm-2.0.20260702.0-arm64-gp2",
        description: "Amazon Linux 2 LTS Arm64 AMI 2.0.20260702.0 arm64 HVM gp2",
        architecture: Architecture::Arm64,
        parameter: "amzn2-ami-hvm-arm64-gp2",
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-kernel-5.10-hvm-2.0.20260702.0-x86_64-gp2",
        description: "Amazon Linux 2 Kernel 5.10 AMI 2.0.20260702.0 x86_64 HVM gp2",
        parameter: "amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
        ..RELEASE
    },
    Release {
        name: "amzn2-ami-kernel-5.10-hvm-2.0.20260702.0-arm64-gp2",
        description: "Amazon Linux 2 LTS Arm64 Kernel 5.10 AMI 2.0.20260702.0 arm64 HVM gp2",
        architecture: Architecture::Arm64,
        parameter: "amzn2-ami-kernel-5.10-hvm-arm64-gp2",
        ..RELEASE
    },
];

/// Every image.
pub(crate) fn releases() -> &'static [Release] {
    RELEASES
}

/// The image of that id in that region.
fn release(region: &str, id: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.id(region) == id)
}

/// The image id behind `resolve:ssm:NAME[:VERSION]`; any other text is an id already. `None` when there is no such
/// parameter.
pub(super) fn resolve(cx: &Engine, image: &str) -> Option<String> {
    match image.strip_prefix("resolve:ssm:") {
        Some(name) => crate::ssm::value(cx, name),
        None => Some(image.to_owned()),
    }
}

/// The image that a launch names, by id or by parameter.
pub(super) fn find(cx: &Engine, image: &str) -> Result<(String, &'static Release), Refusal> {
    let id = resolve(cx, image).ok_or_else(|| {
        super::invalid(format!("The parameter '{image}' does not name an image in this region."))
    })?;
    let hex = id.strip_prefix("ami-").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !hex {
        return Err(Refusal::new(
            "InvalidAMIID.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"ami-...\")"),
        ));
    }
    match release(cx.config.region.name, &id) {
        Some(release) => Ok((id, release)),
        None => Err(not_found(&id)),
    }
}

pub(super) fn not_found(id: &str) -> Refusal {
    Refusal::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeImagesRequest,
) -> Result<DescribeImagesResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let region = cx.config.region.name;
    let ids = request.image_ids.unwrap_or_default();
    for id in &ids {
        find(cx, id)?;
    }
    let owners = request.owners.unwrap_or_default();
    let fitting = releases().iter().filter(|release| {
        (ids.is_empty() || ids.contains(&release.id(region)))
            && (owners.is_empty() || owners.iter().any(|owner| owner == "amazon" || owner == release.owner()))
            && filters.fit(&Tags::new(), |name, put| fields(release, region, name, put))
    });
    let page =
        page_of(fitting, |release| release.id(region), request.next_token.as_deref(), request.max_results)?;
    Ok(DescribeImagesResponse {
        next_token: page.next,
        images: Some(page.items.into_iter().map(|release| described(release, region)).collect()),
    })
}

fn described(release: &Release, region: &str) -> Image {
    let session_only = release.system == AmazonLinux::V2023;
    Image {
        platform_details: Some("Linux/UNIX".into()),
        usage_operation: Some("RunInstances".into()),
        block_device_mappings: Some(vec![BlockDeviceMapping {
            device_name: Some("/dev/xvda".into()),
            ebs: Some(EbsBlockDevice {
                delete_on_termination: Some(true),
                snapshot_id: Some(format!("snap-0{:016x}", super::digest(release.id(region).bytes()))),
                volume_size: Some(if release.ecs.is_some() { 30 } else { 8 }),
                volume_type: Some(if session_only { VolumeType::Gp3 } else { VolumeType::Gp2 }),
                encrypted: Some(false),
                ..Default::default()
            }),
            ..Default::default()
        }]),
        description: Some(release.description.into()),
        ena_support: Some(true),
        hypervisor: Some(HypervisorType::Xen),
        image_owner_alias: Some("amazon".into()),
        name: Some(release.name.into()),
        root_device_name: Some("/dev/xvda".into()),
        root_device_type: Some(DeviceType::Ebs),
        sriov_net_support: Some("simple".into()),
        virtualization_type: Some(VirtualizationType::Hvm),
        boot_mode: session_only.then_some(BootModeValues::UefiPreferred),
        imds_support: session_only.then_some(ImdsSupportValues::V20),
        image_id: Some(release.id(region)),
        image_location: Some(format!("amazon/{}", release.name)),
        state: Some(ImageState::Available),
        owner_id: Some(release.owner().into()),
        creation_date: Some(release.created.into()),
        public: Some(true),
        architecture: ArchitectureValues::parse(release.architecture.as_str()),
        image_type: Some(ImageTypeValues::Machine),
        ..Default::default()
    }
}

/// What a filter of that name finds at an image.
fn fields(release: &Release, region: &str, name: &str, put: &mut dyn FnMut(&str)) {
    let session_only = release.system == AmazonLinux::V2023;
    match name {
        "architecture" => put(release.architecture.as_str()),
        "block-device-mapping.delete-on-termination" | "ena-support" | "is-public" => put("true"),
        "block-device-mapping.device-name" | "root-device-name" => put("/dev/xvda"),
        "block-device-mapping.encrypted" => put("false"),
        "block-device-mapping.volume-size" => put(if release.ecs.is_some() { "30" } else { "8" }),
        "block-device-mapping.volume-type" => put(if session_only { "gp3" } else { "gp2" }),
        "creation-date" => put(release.created),
        "description" => put(release.description),
        "hypervisor" => put("xen"),
        "image-id" => put(&release.id(region)),
        "image-type" => put("machine"),
        "imds-support" if session_only => put("v2.0"),
        "manifest-location" => put(&format!("amazon/{}", release.name)),
        "name" => put(release.name),
        "owner-alias" => put("amazon"),
        "owner-id" => put(release.owner()),
        "platform-details" => put("Linux/UNIX"),
        "root-device-type" => put("ebs"),
        "sriov-net-support" => put("simple"),
        "state" => put("available"),
        "usage-operation" => put("RunInstances"),
        "virtualization-type" => put("hvm"),
        _ => {}
    }
}

const FILTERS: &[&str] = &[
    "architecture",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.encrypted",
    "block-device-mapping.snapshot-id",
    "block-device-mapping.volume-size",
    "block-device-mapping.volume-type",
    "creation-date",
    "description",
    "ena-support",
    "hypervisor",
    "image-allowed",
    "image-id",
    "image-type",
    "imds-support",
    "is-public",
    "kernel-id",
    "manifest-location",
    "name",
    "owner-alias",
    "owner-id",
    "platform",
    "platform-details",
    "product-code",
    "product-code.type",
    "ramdisk-id",
    "root-device-name",
    "root-device-type",
    "source-image-id",
    "source-image-region",
    "source-instance-id",
    "sriov-net-support",
    "state",
    "state-reason-code",
    "state-reason-message",
    "usage-operation",
    "virtualization-type",
    TAGS,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_names_and_parameters_are_unique() {
        let mut seen = BTreeSet::new();
        for release in releases() {
            for region in capstan_model::REGIONS {
                let id = release.id(region.name);
                assert_eq!(id.len(), 21, "{id}");
                assert_eq!(super::release(region.name, &id).map(|found| found.name), Some(release.name));
                assert!(seen.insert(id), "{}", release.name);
            }
            assert!(seen.insert(release.name.to_owned()), "{}", release.name);
            assert!(seen.insert(release.parameter.to_owned()), "{}", release.parameter);
            assert!(release.name.contains(release.architecture.as_str()), "{}", release.name);
        }
    }
}

//! Launch templates and their versions.

use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, CreateLaunchTemplateResponse, CreateLaunchTemplateVersionRequest,
    CreateLaunchTemplateVersionResponse, DeleteLaunchTemplateRequest, DeleteLaunchTemplateResponse,
    DeleteLaunchTemplateVersionsRequest, DeleteLaunchTemplateVersionsResponse,
    DeleteLaunchTemplateVersionsResponseErrorItem, DeleteLaunchTemplateVersionsResponseSuccessItem,
    DescribeLaunchTemplateVersionsRequest, DescribeLaunchTemplateVersionsResponse,
    DescribeLaunchTemplatesRequest, DescribeLaunchTemplatesResponse, LaunchTemplateErrorCode,
    ModifyLaunchTemplateRequest, ModifyLaunchTemplateResponse, REQUEST_LAUNCH_TEMPLATE_DATA,
    RESPONSE_LAUNCH_TEMPLATE_DATA, RequestLaunchTemplateData, ResponseError, ResponseLaunchTemplateData,
};
use capstan_shapes::{Refusal, ec2};

use crate::{Caller, Engine};

use super::filter::{Filters, TAGS};
use super::{
    Ec2, LaunchTemplate, LaunchTemplateIndex, LaunchTemplateVersion, Tags, creator, draw_id, dry_run, image,
    invalid, page_of, tag,
};
use crate::kernel::{overlay, recast};

/// Versions that a template can have (EC2 guide, launch-template-restrictions).
const VERSIONS_MAX: usize = 10_000;

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateLaunchTemplateRequest,
) -> Result<CreateLaunchTemplateResponse, Refusal> {
    if let Some(token) = &request.client_token {
        let index = LaunchTemplateIndex::ClientToken(token.clone());
        if let Some(template) = cx.ec2.launch_templates.by(&index).next() {
            if template.name != request.launch_template_name {
                return Err(idempotent_mismatch());
            }
            let launch_template = Some(described(template));
            return Ok(CreateLaunchTemplateResponse { launch_template, warning: None });
        }
    }
    let name = request.launch_template_name;
    if cx.ec2.launch_templates.by(&LaunchTemplateIndex::Name(name.clone())).next().is_some() {
        return Err(Refusal::new(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    let tags = tag::of_specifications(caller, request.tag_specifications, &["launch-template"])?
        .remove("launch-template")
        .unwrap_or_default();
    dry_run(request.dry_run)?;
    let template = LaunchTemplate {
        id: draw_id(cx, "lt", "ec2.launch-template-id"),
        name,
        created_at: cx.now,
        created_by: creator(cx, caller),
        default_version: 1,
        latest_version: 1,
        versions_made: 1,
        client_token: request.client_token,
        tags,
    };
    cx.ec2.launch_template_versions.insert(LaunchTemplateVersion {
        template: template.id.clone(),
        version: 1,
        description: request.version_description,
        created_at: cx.now,
        created_by: template.created_by.clone(),
        client_token: None,
        data: as_kept(request.launch_template_data),
    });
    let launch_template = Some(described(&template));
    cx.ec2.launch_templates.insert(template);
    Ok(CreateLaunchTemplateResponse { launch_template, warning: None })
}

pub(super) fn create_version(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateLaunchTemplateVersionRequest,
) -> Result<CreateLaunchTemplateVersionResponse, Refusal> {
    let (id, name) = (request.launch_template_id.as_deref(), request.launch_template_name.as_deref());
    let template = find(&cx.ec2, id, name)?;
    let resolve = request.resolve_alias == Some(true);
    let answer = |cx: &Engine, template: &LaunchTemplate, version: &LaunchTemplateVersion| {
        let launch_template_version = Some(described_version(cx, template, version, resolve));
        CreateLaunchTemplateVersionResponse { launch_template_version, warning: None }
    };
    let token = request.client_token.as_ref();
    let made = token.and_then(|token| {
        versions_of(&cx.ec2, template).find(|version| version.client_token.as_ref() == Some(token))
    });
    if let Some(made) = made {
        return Ok(answer(cx, template, made));
    }
    if versions_of(&cx.ec2, template).count() >= VERSIONS_MAX {
        return Err(Refusal::new(
            "VersionLimitExceeded",
            format!("You've reached the limit of {VERSIONS_MAX} versions for a launch template."),
        ));
    }
    let mut data = as_kept(request.launch_template_data);
    if let Some(source) = &request.source_version {
        data = overlay(version(&cx.ec2, template, Some(source))?.data.clone(), data);
    }
    dry_run(request.dry_run)?;
    let (id, version) = (template.id.clone(), template.versions_made + 1);
    let row = LaunchTemplateVersion {
        template: id.clone(),
        version,
        description: request.version_description,
        created_at: cx.now,
        created_by: creator(cx, caller),
        client_token: request.client_token,
        data,
    };
    if let Some(mut template) = cx.ec2.launch_templates.edit(&id) {
        template.versions_made = row.version;
        template.latest_version = row.version;
    }
    cx.ec2.launch_template_versions.insert(row.clone());
    let template = find(&cx.ec2, Some(&id), None)?;
    Ok(answer(cx, template, &row))
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeLaunchTemplatesRequest,
) -> Result<DescribeLaunchTemplatesResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), &["create-time", "launch-template-name", TAGS])?;
    let mut named = Vec::new();
    for id in request.launch_template_ids.iter().flatten() {
        named.push(find(&cx.ec2, Some(id), None)?.id.clone());
    }
    for name in request.launch_template_names.iter().flatten() {
        let template = find(&cx.ec2, None, Some(name)).map_err(|refusal| Refusal {
            message: "At least one of the launch templates specified in the request does not exist.".into(),
            ..refusal
        })?;
        named.push(template.id.clone());
    }
    let fitting = cx.ec2.launch_templates.iter().filter(|template| {
        (named.is_empty() || named.contains(&template.id))
            && filters.fit(&template.tags, |name, put| match name {
                "create-time" => put(&template.created_at.iso_millis()),
                "launch-template-name" => put(&template.name),
                _ => {}
            })
    });
    let page =
        page_of(fitting, |template| template.id.clone(), request.next_token.as_deref(), request.max_results)?;
    Ok(DescribeLaunchTemplatesResponse {
        launch_templates: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
}

pub(super) fn describe_versions(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeLaunchTemplateVersionsRequest,
) -> Result<DescribeLaunchTemplateVersionsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), VERSION_FILTERS)?;
    let (id, name) = (request.launch_template_id.as_deref(), request.launch_template_name.as_deref());
    let wanted = request.versions.as_deref().unwrap_or_default();
    let bound = |text: &Option<String>, or: i64| match text {
        Some(text) => text.parse().map_err(|_| bad_version(text)),
        None => Ok(or),
    };
    let bounds = bound(&request.min_version, 1)?..=bound(&request.max_version, i64::MAX)?;
    let mut found: Vec<(&LaunchTemplate, &LaunchTemplateVersion)> = Vec::new();
    if id.or(name).is_none() {
        // The one way to ask about all templates at once is for their newest or default versions.
        let aliases = !wanted.is_empty() && wanted.iter().all(|text| text == "$Latest" || text == "$Default");
        if !aliases {
            return Err(Refusal::new(
                "MissingParameter",
                "To describe the launch template data for all your launch templates, for 'Versions' specify \
                 '$Latest', '$Default', or both, and omit 'LaunchTemplateId', 'LaunchTemplateName'.",
            ));
        }
        for template in cx.ec2.launch_templates.iter() {
            for text in wanted {
                found.push((template, version(&cx.ec2, template, Some(text))?));
            }
        }
    } else {
        let template = find(&cx.ec2, id, name)?;
        for text in wanted {
            found.push((template, version(&cx.ec2, template, Some(text))?));
        }
        if wanted.is_empty() {
            let versions = versions_of(&cx.ec2, template).filter(|version| bounds.contains(&version.version));
            found.extend(versions.map(|version| (template, version)));
        }
    }
    // The newest first.
    let key = |(template, version): &(&LaunchTemplate, &LaunchTemplateVersion)| {
        format!("{}/{:019}", template.id, i64::MAX - version.version)
    };
    found.sort_by_cached_key(key);
    found.dedup_by_key(|each| key(each));
    found.retain(|(template, version)| {
        filters.fit(&Tags::new(), |name, put| version_fields(template, version, name, put))
    });
    let page = page_of(found, key, request.next_token.as_deref(), request.max_results)?;
    let resolve = request.resolve_alias == Some(true);
    let versions =
        page.items.into_iter().map(|(template, each)| described_version(cx, template, each, resolve));
    Ok(DescribeLaunchTemplateVersionsResponse {
        launch_template_versions: Some(versions.collect()),
        next_token: page.next,
    })
}

pub(super) fn modify(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifyLaunchTemplateRequest,
) -> Result<ModifyLaunchTemplateResponse, Refusal> {
    let (id, name) = (request.launch_template_id.as_deref(), request.launch_template_name.as_deref());
    let template = find(&cx.ec2, id, name)?;
    let default_version = match &request.default_version {
        Some(text) => version(&cx.ec2, template, Some(text))?.version,
        None => template.default_version,
    };
    dry_run(request.dry_run)?;
    let id = template.id.clone();
    if let Some(mut template) = cx.ec2.launch_templates.edit(&id) {
        template.default_version = default_version;
    }
    Ok(ModifyLaunchTemplateResponse { launch_template: Some(described(find(&cx.ec2, Some(&id), None)?)) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteLaunchTemplateRequest,
) -> Result<DeleteLaunchTemplateResponse, Refusal> {
    let (id, name) = (request.launch_template_id.as_deref(), request.launch_template_name.as_deref());
    let template = find(&cx.ec2, id, name)?;
    dry_run(request.dry_run)?;
    let launch_template = Some(described(template));
    let id = template.id.clone();
    let keys: Vec<_> = versions_of(&cx.ec2, template).map(|version| (id.clone(), version.version)).collect();
    for key in keys {
        cx.ec2.launch_template_versions.remove(&key);
    }
    cx.ec2.launch_templates.remove(&id);
    Ok(DeleteLaunchTemplateResponse { launch_template })
}

pub(super) fn delete_versions(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteLaunchTemplateVersionsRequest,
) -> Result<DeleteLaunchTemplateVersionsResponse, Refusal> {
    let (id, name) = (request.launch_template_id.as_deref(), request.launch_template_name.as_deref());
    let template = find(&cx.ec2, id, name)?.clone();
    let numbers = request.versions.iter().map(|text| text.parse::<i64>().map_err(|_| bad_version(text)));
    let numbers = numbers.collect::<Result<Vec<i64>, Refusal>>()?;
    if numbers.contains(&template.default_version) {
        return Err(Refusal::new(
            "OperationNotPermitted",
            format!(
                "Version {} is the default version of launch template {} and cannot be deleted. Make another \
                 version the default one first.",
                template.default_version, template.id
            ),
        ));
    }
    dry_run(request.dry_run)?;
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for number in numbers {
        let (id, name) = (Some(template.id.clone()), Some(template.name.clone()));
        if cx.ec2.launch_template_versions.remove(&(template.id.clone(), number)).is_some() {
            deleted.push(DeleteLaunchTemplateVersionsResponseSuccessItem {
                launch_template_id: id,
                launch_template_name: name,
                version_number: Some(number),
            });
        } else {
            failed.push(DeleteLaunchTemplateVersionsResponseErrorItem {
                launch_template_id: id,
                launch_template_name: name,
                version_number: Some(number),
                response_error: Some(ResponseError {
                    code: Some(LaunchTemplateErrorCode::LaunchTemplateVersionDoesNotExist),
                    message: Some(no_version(&template, &number.to_string()).message),
                }),
            });
        }
    }
    let latest = versions_of(&cx.ec2, &template).next_back().map(|version| version.version);
    if let (Some(mut row), Some(latest)) = (cx.ec2.launch_templates.edit(&template.id), latest) {
        row.latest_version = latest;
    }
    Ok(DeleteLaunchTemplateVersionsResponse {
        successfully_deleted_launch_template_versions: Some(deleted),
        unsuccessfully_deleted_launch_template_versions: Some(failed),
    })
}

/// The template of that id or name; exactly one must be given.
pub(super) fn find<'a>(
    ec2: &'a Ec2,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<&'a LaunchTemplate, Refusal> {
    match (id.filter(|id| !id.is_empty()), name.filter(|name| !name.is_empty())) {
        (Some(_), Some(_)) => Err(Refusal::new(
            "InvalidParameterCombination",
            "Specify either LaunchTemplateId or LaunchTemplateName, not both.",
        )),
        (None, None) => Err(Refusal::new(
            "MissingParameter",
            "Either 'launchTemplateId' or 'launchTemplateName' must be specified.",
        )),
        (Some(id), None) => {
            let hex = id.strip_prefix("lt-").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            if !hex {
                return Err(Refusal::new(
                    "InvalidLaunchTemplateId.Malformed",
                    format!("Invalid id: \"{id}\" (expecting \"lt-...\")"),
                ));
            }
            ec2.launch_templates.get(&id.to_owned()).ok_or_else(|| {
                Refusal::new(
                    "InvalidLaunchTemplateId.NotFound",
                    format!("The specified launch template, with template ID {id}, does not exist."),
                )
            })
        }
        (None, Some(name)) => {
            ec2.launch_templates.by(&LaunchTemplateIndex::Name(name.to_owned())).next().ok_or_else(|| {
                Refusal::new(
                    "InvalidLaunchTemplateName.NotFoundException",
                    format!("The specified launch template, with template name {name}, does not exist."),
                )
            })
        }
    }
}

/// The version that the text means: a number, `$Latest`, or `$Default` when nothing is said.
pub(super) fn version<'a>(
    ec2: &'a Ec2,
    template: &LaunchTemplate,
    text: Option<&str>,
) -> Result<&'a LaunchTemplateVersion, Refusal> {
    let number = match text.unwrap_or_default() {
        "" | "$Default" => template.default_version,
        "$Latest" => template.latest_version,
        number => number.parse().map_err(|_| bad_version(number))?,
    };
    ec2.launch_template_versions
        .get(&(template.id.clone(), number))
        .ok_or_else(|| no_version(template, &number.to_string()))
}

fn versions_of<'a>(
    ec2: &'a Ec2,
    template: &LaunchTemplate,
) -> impl DoubleEndedIterator<Item = &'a LaunchTemplateVersion> {
    ec2.launch_template_versions.range((template.id.clone(), i64::MIN)..=(template.id.clone(), i64::MAX))
}

fn no_version(template: &LaunchTemplate, version: &str) -> Refusal {
    Refusal::new(
        "InvalidLaunchTemplateId.VersionNotFound",
        format!(
            "Could not find the specified version {version} for the launch template with ID {}.",
            template.id
        ),
    )
}

fn bad_version(text: &str) -> Refusal {
    invalid(format!("Invalid launch template version '{text}': expecting a number, $Latest or $Default."))
}

fn idempotent_mismatch() -> Refusal {
    Refusal::new(
        "IdempotentParameterMismatch",
        "Client token already used before with different request parameters.",
    )
}

fn as_kept(data: RequestLaunchTemplateData) -> ResponseLaunchTemplateData {
    recast(data, &REQUEST_LAUNCH_TEMPLATE_DATA, &RESPONSE_LAUNCH_TEMPLATE_DATA)
}

fn described(template: &LaunchTemplate) -> ec2::LaunchTemplate {
    ec2::LaunchTemplate {
        launch_template_id: Some(template.id.clone()),
        launch_template_name: Some(template.name.clone()),
        create_time: Some(template.created_at),
        created_by: Some(template.created_by.clone()),
        default_version_number: Some(template.default_version),
        latest_version_number: Some(template.latest_version),
        tags: tag::listed(&template.tags),
        operator: Some(ec2::OperatorResponse { managed: Some(false), ..Default::default() }),
    }
}

/// With `resolve`, an image named by a parameter is shown as the image that the parameter names now.
fn described_version(
    cx: &Engine,
    template: &LaunchTemplate,
    version: &LaunchTemplateVersion,
    resolve: bool,
) -> ec2::LaunchTemplateVersion {
    let mut data = version.data.clone();
    if resolve {
        data.image_id = data.image_id.map(|image| image::resolve(cx, &image).unwrap_or(image));
    }
    ec2::LaunchTemplateVersion {
        launch_template_id: Some(template.id.clone()),
        launch_template_name: Some(template.name.clone()),
        version_number: Some(version.version),
        version_description: version.description.clone(),
        create_time: Some(version.created_at),
        created_by: Some(version.created_by.clone()),
        default_version: Some(version.version == template.default_version),
        launch_template_data: Some(data),
        operator: Some(ec2::OperatorResponse { managed: Some(false), ..Default::default() }),
    }
}

const VERSION_FILTERS: &[&str] = &[
    "create-time",
    "ebs-optimized",
    "http-endpoint",
    "http-protocol-ipv4",
    "http-tokens",
    "iam-instance-profile",
    "image-id",
    "instance-type",
    "is-default-version",
    "kernel-id",
    "license-configuration-arn",
    "network-card-index",
    "ram-disk-id",
];

fn version_fields(
    template: &LaunchTemplate,
    version: &LaunchTemplateVersion,
    name: &str,
    put: &mut dyn FnMut(&str),
) {
    let data = &version.data;
    let mut text = |value: &Option<String>| value.iter().for_each(|value| put(value));
    match name {
        "iam-instance-profile" => {
            if let Some(profile) = &data.iam_instance_profile {
                text(&profile.arn);
                text(&profile.name);
            }
        }
        "image-id" => text(&data.image_id),
        "instance-type" => text(&data.instance_type),
        "kernel-id" => text(&data.kernel_id),
        "ram-disk-id" => text(&data.ram_disk_id),
        "license-configuration-arn" => {
            for license in data.license_specifications.iter().flatten() {
                text(&license.license_configuration_arn);
            }
        }
        "create-time" => put(&version.created_at.iso_millis()),
        "ebs-optimized" => put(if data.ebs_optimized == Some(true) { "true" } else { "false" }),
        "is-default-version" => {
            put(if version.version == template.default_version { "true" } else { "false" });
        }
        "http-endpoint" => {
            data.metadata_options
                .iter()
                .filter_map(|options| options.http_endpoint)
                .for_each(|endpoint| put(endpoint.as_str()));
        }
        "http-tokens" => {
            data.metadata_options
                .iter()
                .filter_map(|options| options.http_tokens)
                .for_each(|tokens| put(tokens.as_str()));
        }
        "network-card-index" => {
            data.network_interfaces
                .iter()
                .flatten()
                .filter_map(|each| each.network_card_index)
                .for_each(|index| put(&index.to_string()));
        }
        _ => {}
    }
}

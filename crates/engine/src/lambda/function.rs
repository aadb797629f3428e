//! Functions and their versions.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, Schema, Shape, lambda as shapes};
use shapes::{Architecture, FunctionConfiguration, PackageType};

use super::{Function, arn, code, edit, find, invalid, listed, name_of, not_found, tag};
use crate::kernel::recast;
use crate::{Caller, Engine};

/// The same settings in another shape.
fn cast<T: Shape>(configuration: FunctionConfiguration, to: &'static Schema) -> T {
    recast(configuration, &shapes::FUNCTION_CONFIGURATION, to)
}

/// Lambda looks for the role when it makes a function (observed).
fn check_role(cx: &Engine, role: &str) -> Result<(), Refusal> {
    match cx.iam.role(role) {
        Some(_) => Ok(()),
        None => Err(invalid("The role defined for the function cannot be assumed by Lambda.")),
    }
}

fn stamp(cx: &mut Engine, configuration: &mut FunctionConfiguration) {
    // `2026-11-21T00:00:00.000+0000`
    configuration.last_modified = Some(format!("{}+0000", cx.now.iso_millis().trim_end_matches('Z')));
    configuration.revision_id = Some(cx.chance.uuid("lambda.revision"));
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateFunctionRequest,
) -> Result<shapes::CreateFunctionResponse, Refusal> {
    let (name, _) = name_of(cx, &request.function_name)?;
    let name = name.to_owned();
    if cx.lambda.functions.contains(&name) {
        return Err(Refusal::of(
            &shapes::RESOURCE_CONFLICT_EXCEPTION,
            format!("Function already exist: {name}"),
        ));
    }
    let tags = request.tags.unwrap_or_default();
    tag::check(caller, &tags)?;
    let code = code::read(cx, &request.code)?;
    let package_type = request.package_type.unwrap_or(PackageType::Zip);
    match package_type {
        PackageType::Zip if code.image.is_some() => {
            return Err(invalid("An image is the code of functions of the package type Image."));
        }
        PackageType::Zip if request.runtime.is_none() || request.handler.is_none() => {
            return Err(invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        }
        PackageType::Image if request.runtime.is_some() || request.handler.is_some() => {
            return Err(invalid(
                "Runtime and Handler are not supported for functions created with container images.",
            ));
        }
        PackageType::Image if code.image.is_none() => return Err(invalid("Please provide ImageUri.")),
        PackageType::Image | PackageType::Zip => {}
    }
    check_role(cx, &request.role)?;
    let mut latest = FunctionConfiguration {
        function_name: Some(name.clone()),
        function_arn: Some(arn(cx, &name)),
        runtime: request.runtime,
        role: Some(request.role),
        handler: request.handler,
        code_size: Some(code.size),
        code_sha256: Some(code.sha256),
        description: Some(request.description.unwrap_or_default()),
        timeout: Some(request.timeout.unwrap_or(3)),
        memory_size: Some(request.memory_size.unwrap_or(128)),
        version: Some("$LATEST".to_owned()),
        vpc_config: request.vpc_config.map(|vpc| vpc_shown(cx, vpc)),
        dead_letter_config: request.dead_letter_config,
        environment: request.environment.map(environment),
        kms_key_arn: request.kms_key_arn,
        tracing_config: Some(shapes::TracingConfigResponse {
            mode: request
                .tracing_config
                .and_then(|tracing| tracing.mode)
                .or(Some(shapes::TracingMode::PassThrough)),
        }),
        layers: request.layers.map(layers),
        state: Some(shapes::State::Active),
        last_update_status: Some(shapes::LastUpdateStatus::Successful),
        file_system_configs: request.file_system_configs,
        package_type: Some(package_type),
        image_config_response: request.image_config.map(image_config),
        architectures: Some(request.architectures.unwrap_or_else(|| vec![Architecture::X8664])),
        ephemeral_storage: Some(request.ephemeral_storage.unwrap_or(shapes::EphemeralStorage { size: 512 })),
        snap_start: Some(snap_start(request.snap_start)),
        logging_config: Some(logging(&name, request.logging_config)),
        capacity_provider_config: request.capacity_provider_config,
        durable_config: request.durable_config,
        tenancy_config: request.tenancy_config,
        ..FunctionConfiguration::default()
    };
    stamp(cx, &mut latest);
    let mut row = Function {
        name,
        latest,
        versions: BTreeMap::new(),
        image: code.image,
        tags,
        statements: Vec::new(),
        policy_revision: String::new(),
        reserved_concurrency: None,
        code_signing: request.code_signing_config_arn.unwrap_or_default(),
    };
    let shown = if request.publish == Some(true) { publish(&mut row) } else { row.latest.clone() };
    cx.lambda.functions.insert(row);
    Ok(cast(shown, &shapes::CREATE_FUNCTION_RESPONSE))
}

/// Makes a version of what is there, unless the newest one is the same.
fn publish(row: &mut Function) -> FunctionConfiguration {
    if let Some((_, newest)) = row.versions.last_key_value()
        && newest.revision_id == row.latest.revision_id
    {
        return newest.clone();
    }
    let number = row.versions.last_key_value().map_or(1, |(number, _)| number + 1);
    let mut version = row.latest.clone();
    version.version = Some(number.to_string());
    version.function_arn = version.function_arn.map(|arn| format!("{arn}:{number}"));
    row.versions.insert(number, version.clone());
    version
}

fn vpc_shown(cx: &Engine, vpc: shapes::VpcConfig) -> shapes::VpcConfigResponse {
    let subnets = vpc.subnet_ids.as_deref().unwrap_or_default();
    let of = cx.ec2.subnets().iter().find(|row| subnets.contains(&row.id.to_string()));
    shapes::VpcConfigResponse {
        vpc_id: of.map(|row| row.vpc.to_string()),
        subnet_ids: vpc.subnet_ids,
        security_group_ids: vpc.security_group_ids,
        ipv6_allowed_for_dual_stack: vpc.ipv6_allowed_for_dual_stack.or(Some(false)),
    }
}

fn environment(environment: shapes::Environment) -> shapes::EnvironmentResponse {
    shapes::EnvironmentResponse { variables: environment.variables, error: None }
}

fn layers(arns: Vec<String>) -> Vec<shapes::Layer> {
    arns.into_iter().map(|arn| shapes::Layer { arn: Some(arn), ..shapes::Layer::default() }).collect()
}

fn image_config(config: shapes::ImageConfig) -> shapes::ImageConfigResponse {
    shapes::ImageConfigResponse { image_config: Some(config), error: None }
}

fn snap_start(given: Option<shapes::SnapStart>) -> shapes::SnapStartResponse {
    shapes::SnapStartResponse {
        apply_on: given.and_then(|given| given.apply_on).or(Some(shapes::SnapStartApplyOn::None)),
        optimization_status: Some(shapes::SnapStartOptimizationStatus::Off),
    }
}

fn logging(name: &str, given: Option<shapes::LoggingConfig>) -> shapes::LoggingConfig {
    let given = given.unwrap_or_default();
    shapes::LoggingConfig {
        log_format: given.log_format.or(Some(shapes::LogFormat::Text)),
        log_group: given.log_group.or_else(|| Some(format!("/aws/lambda/{name}"))),
        ..given
    }
}

/// The settings of `$LATEST` or of a version.
fn qualified<'a>(
    cx: &'a Engine,
    text: &str,
    qualifier: Option<&str>,
) -> Result<(&'a Function, &'a FunctionConfiguration), Refusal> {
    let row = find(cx, text)?;
    let (_, in_name) = name_of(cx, text)?;
    match qualifier.or(in_name) {
        None | Some("$LATEST") => Ok((row, &row.latest)),
        Some(version) => {
            let found = version.parse().ok().and_then(|number: u32| row.versions.get(&number));
            let missing = || not_found(format!("Function not found: {}:{version}", arn(cx, &row.name)));
            Ok((row, found.ok_or_else(missing)?))
        }
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetFunctionRequest,
) -> Result<shapes::GetFunctionResponse, Refusal> {
    let (row, configuration) = qualified(cx, &request.function_name, request.qualifier.as_deref())?;
    let code = shapes::FunctionCodeLocation {
        repository_type: Some(if row.image.is_some() { "ECR" } else { "S3" }.to_owned()),
        image_uri: row.image.clone(),
        resolved_image_uri: row.image.clone(),
        ..Default::default()
    };
    let reserved = row.reserved_concurrency;
    Ok(shapes::GetFunctionResponse {
        configuration: Some(configuration.clone()),
        code: Some(code),
        tags: Some(row.tags.clone()).filter(|tags| !tags.is_empty()),
        tags_error: None,
        concurrency: reserved.map(|n| shapes::Concurrency { reserved_concurrent_executions: Some(n) }),
    })
}

pub(super) fn configuration(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetFunctionConfigurationRequest,
) -> Result<shapes::GetFunctionConfigurationResponse, Refusal> {
    let (_, configuration) = qualified(cx, &request.function_name, request.qualifier.as_deref())?;
    Ok(cast(configuration.clone(), &shapes::GET_FUNCTION_CONFIGURATION_RESPONSE))
}

pub(super) fn code_signing(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetFunctionCodeSigningConfigRequest,
) -> Result<shapes::GetFunctionCodeSigningConfigResponse, Refusal> {
    let row = find(cx, &request.function_name)?;
    Ok(shapes::GetFunctionCodeSigningConfigResponse {
        code_signing_config_arn: row.code_signing.clone(),
        function_name: row.name.clone(),
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListFunctionsRequest,
) -> Result<shapes::ListFunctionsResponse, Refusal> {
    let every = request.function_version.is_some();
    let rows = cx.lambda.functions.iter();
    let all =
        rows.flat_map(|row| std::iter::once(&row.latest).chain(row.versions.values().filter(move |_| every)));
    let key = |each: &&FunctionConfiguration| each.function_arn.clone().unwrap_or_default();
    let page = listed(all, key, request.marker.as_deref(), request.max_items)?;
    Ok(shapes::ListFunctionsResponse {
        functions: Some(page.items.into_iter().cloned().collect()),
        next_marker: page.next,
    })
}

pub(super) fn list_versions(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListVersionsByFunctionRequest,
) -> Result<shapes::ListVersionsByFunctionResponse, Refusal> {
    let row = find(cx, &request.function_name)?;
    let all =
        std::iter::once((0, &row.latest)).chain(row.versions.iter().map(|(number, each)| (*number, each)));
    let page =
        listed(all, |(number, _)| format!("{number:010}"), request.marker.as_deref(), request.max_items)?;
    Ok(shapes::ListVersionsByFunctionResponse {
        versions: Some(page.items.into_iter().map(|(_, each)| each.clone()).collect()),
        next_marker: page.next,
    })
}

/// Whoever names a revision wants to change that one.
pub(super) fn check_revision(given: Option<&str>, current: &str) -> Result<(), Refusal> {
    match given {
        Some(given) if given != current => Err(Refusal::of(
            &shapes::PRECONDITION_FAILED_EXCEPTION,
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve the latest RevisionId",
        )),
        _ => Ok(()),
    }
}

pub(super) fn update_code(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateFunctionCodeRequest,
) -> Result<shapes::UpdateFunctionCodeResponse, Refusal> {
    let row = find(cx, &request.function_name)?;
    check_revision(request.revision_id.as_deref(), row.latest.revision_id.as_deref().unwrap_or_default())?;
    let given = shapes::FunctionCode {
        zip_file: request.zip_file,
        s3_bucket: request.s3_bucket,
        s3_key: request.s3_key,
        s3_object_version: request.s3_object_version,
        image_uri: request.image_uri,
        source_kms_key_arn: request.source_kms_key_arn,
    };
    let code = code::read(cx, &given)?;
    let is_image = row.latest.package_type == Some(PackageType::Image);
    if code.image.is_some() != is_image {
        return Err(invalid("The package type of a function cannot change."));
    }
    let mut row = row.clone();
    row.latest.code_size = Some(code.size);
    row.latest.code_sha256 = Some(code.sha256);
    row.image = code.image;
    if let Some(architectures) = request.architectures {
        row.latest.architectures = Some(architectures);
    }
    if request.dry_run == Some(true) {
        return Ok(cast(row.latest, &shapes::UPDATE_FUNCTION_CODE_RESPONSE));
    }
    stamp(cx, &mut row.latest);
    let shown = if request.publish == Some(true) { publish(&mut row) } else { row.latest.clone() };
    cx.lambda.functions.insert(row);
    Ok(cast(shown, &shapes::UPDATE_FUNCTION_CODE_RESPONSE))
}

pub(super) fn update_configuration(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateFunctionConfigurationRequest,
) -> Result<shapes::UpdateFunctionConfigurationResponse, Refusal> {
    let row = find(cx, &request.function_name)?;
    check_revision(request.revision_id.as_deref(), row.latest.revision_id.as_deref().unwrap_or_default())?;
    if let Some(role) = &request.role {
        check_role(cx, role)?;
    }
    let (name, vpc) = (row.name.clone(), request.vpc_config.map(|vpc| vpc_shown(cx, vpc)));
    let mut latest = row.latest.clone();
    let FunctionConfiguration { role, handler, description, timeout, memory_size, runtime, .. } = &mut latest;
    set(role, request.role);
    set(handler, request.handler);
    set(description, request.description);
    set(timeout, request.timeout);
    set(memory_size, request.memory_size);
    set(runtime, request.runtime);
    set(&mut latest.vpc_config, vpc);
    set(&mut latest.environment, request.environment.map(environment));
    set(&mut latest.dead_letter_config, request.dead_letter_config);
    set(&mut latest.kms_key_arn, request.kms_key_arn);
    let tracing = request.tracing_config.map(|tracing| shapes::TracingConfigResponse { mode: tracing.mode });
    set(&mut latest.tracing_config, tracing);
    set(&mut latest.layers, request.layers.map(layers));
    set(&mut latest.file_system_configs, request.file_system_configs);
    set(&mut latest.image_config_response, request.image_config.map(image_config));
    set(&mut latest.ephemeral_storage, request.ephemeral_storage);
    set(&mut latest.snap_start, request.snap_start.map(|given| snap_start(Some(given))));
    set(&mut latest.logging_config, request.logging_config.map(|given| logging(&name, Some(given))));
    set(&mut latest.capacity_provider_config, request.capacity_provider_config);
    set(&mut latest.durable_config, request.durable_config);
    stamp(cx, &mut latest);
    edit(cx, &name)?.latest = latest.clone();
    Ok(cast(latest, &shapes::UPDATE_FUNCTION_CONFIGURATION_RESPONSE))
}

/// What a request leaves out stays.
fn set<T>(place: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *place = given;
    }
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteFunctionRequest,
) -> Result<shapes::DeleteFunctionResponse, Refusal> {
    let name = find(cx, &request.function_name)?.name.clone();
    let (_, in_name) = name_of(cx, &request.function_name)?;
    match request.qualifier.as_deref().or(in_name) {
        None => drop(cx.lambda.functions.remove(&name)),
        Some("$LATEST") => {
            return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        Some(version) => {
            let version = version.parse().unwrap_or_default();
            edit(cx, &name)?.versions.remove(&version);
        }
    }
    // The status line says it.
    Ok(shapes::DeleteFunctionResponse { status_code: None })
}

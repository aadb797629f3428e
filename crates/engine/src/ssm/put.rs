//! Storing and deleting parameters.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, ssm as shapes};
use regex_lite::Regex;
use serde_json::Value as Json;
use shapes::{ParameterTier, ParameterType};

use super::{Parameter, Version, arn, invalid, not_found, tag};
use crate::{Caller, Engine};

/// Characters of a value, by tier (Systems Manager guide, parameter tiers).
const STANDARD_VALUE_MAX: usize = 4_096;
const ADVANCED_VALUE_MAX: usize = 8_192;
/// Parameters of an account and region in the standard tier.
const STANDARD_MAX: usize = 10_000;
/// Versions that are kept of one parameter.
const VERSIONS_MAX: usize = 100;
/// Parts of a name (API reference, PutParameter).
const LEVELS_MAX: usize = 15;
/// Characters of the whole ARN.
const ARN_MAX: usize = 1_011;
const POLICIES_MAX: usize = 10;
/// What encrypts where nothing is said.
const DEFAULT_KEY: &str = "alias/aws/ssm";

pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutParameterRequest,
) -> Result<shapes::PutParameterResponse, Refusal> {
    check_name(cx, &request.name)?;
    let before = cx.ssm.parameters.get(&request.name);
    let overwrite = request.overwrite == Some(true);
    if before.is_some() && !overwrite {
        return Err(Refusal::of(
            &shapes::PARAMETER_ALREADY_EXISTS,
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ));
    }
    let given_tags = request.tags.clone().unwrap_or_default();
    if overwrite && !given_tags.is_empty() {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.",
        ));
    }
    let version = version(cx, caller, before, &request)?;
    let tier = version.tier;
    let mut row = match before {
        Some(row) => row.clone(),
        None => {
            if tier == ParameterTier::Standard && cx.ssm.parameters.len() >= STANDARD_MAX {
                return Err(Refusal::of(
                    &shapes::PARAMETER_LIMIT_EXCEEDED,
                    format!(
                        "An account has at most {STANDARD_MAX} standard parameters in a region. Delete some, or use the Advanced tier."
                    ),
                ));
            }
            let mut tags = BTreeMap::new();
            tag::extend(caller, &mut tags, given_tags)?;
            Parameter { name: request.name.clone(), tags, versions: BTreeMap::new() }
        }
    };
    let number = row.versions.last_key_value().map_or(1, |(number, _)| number + 1);
    if row.versions.len() >= VERSIONS_MAX
        && let Some((oldest, first)) = row.versions.first_key_value()
    {
        if !first.labels.is_empty() {
            return Err(Refusal::of(
                &shapes::PARAMETER_MAX_VERSION_LIMIT_EXCEEDED,
                format!(
                    "Parameter {} has {VERSIONS_MAX} versions, and the oldest one, {oldest}, has a label attached. Move the label to another version and try again.",
                    row.name
                ),
            ));
        }
        row.versions.pop_first();
    }
    row.versions.insert(number, version);
    cx.ssm.parameters.insert(row);
    Ok(shapes::PutParameterResponse { version: Some(number), tier: Some(tier) })
}

fn version(
    cx: &Engine,
    caller: &Caller,
    before: Option<&Parameter>,
    request: &shapes::PutParameterRequest,
) -> Result<Version, Refusal> {
    let before = before.map(|row| row.newest().1);
    let r#type = match (request.r#type, before) {
        (Some(given), Some(before)) if given != before.r#type => {
            return Err(Refusal::of(
                &shapes::HIERARCHY_TYPE_MISMATCH_EXCEPTION,
                format!("The parameter type cannot be changed from {} to {given}.", before.r#type),
            ));
        }
        (Some(given), _) => given,
        (None, Some(before)) => before.r#type,
        (None, None) => return Err(invalid("A parameter type is required when you create a parameter.")),
    };
    if request.value.is_empty() {
        return Err(invalid(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ));
    }
    let key_id = match (r#type, request.key_id.clone()) {
        (ParameterType::SecureString, key) => {
            Some(key.or_else(|| before?.key_id.clone()).unwrap_or_else(|| DEFAULT_KEY.to_owned()))
        }
        (_, Some(_)) => return Err(invalid("KeyId is required for SecureString type parameter only.")),
        (_, None) => None,
    };
    let allowed_pattern = request.allowed_pattern.clone().filter(|pattern| !pattern.is_empty());
    if let Some(pattern) = &allowed_pattern {
        check_pattern(pattern, &request.value)?;
    }
    let data_type = request.data_type.clone().or_else(|| before.map(|before| before.data_type.clone()));
    let data_type = data_type.unwrap_or_else(|| "text".to_owned());
    match data_type.as_str() {
        "text" | "aws:ssm:integration" => {}
        "aws:ec2:image" if r#type == ParameterType::String && request.value.starts_with("ami-") => {}
        "aws:ec2:image" => {
            return Err(invalid(
                "aws:ec2:image parameters are of type String and hold the id of an image (ami-…).",
            ));
        }
        other => {
            return Err(invalid(format!(
                "The following data type is not supported: {other} (Data type names are all lowercase.)"
            )));
        }
    }
    let tier = tier(before, request)?;
    Ok(Version {
        value: request.value.clone(),
        r#type,
        key_id,
        description: request.description.clone().or_else(|| before?.description.clone()),
        allowed_pattern,
        tier,
        data_type,
        policies: policies(tier, request.policies.as_deref())?,
        labels: BTreeSet::new(),
        modified: cx.now,
        modified_by: crate::sts::identity(cx, caller).1,
    })
}

/// The tier that it gets. There is no way back from Advanced.
fn tier(before: Option<&Version>, request: &shapes::PutParameterRequest) -> Result<ParameterTier, Refusal> {
    let length = request.value.chars().count();
    let was_advanced = before.is_some_and(|before| before.tier == ParameterTier::Advanced);
    let needs_more = length > STANDARD_VALUE_MAX || request.policies.is_some();
    let tier = match request.tier {
        Some(ParameterTier::Standard) if was_advanced => {
            return Err(invalid(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.",
            ));
        }
        Some(ParameterTier::Advanced) => ParameterTier::Advanced,
        Some(ParameterTier::IntelligentTiering) if needs_more => ParameterTier::Advanced,
        _ if was_advanced => ParameterTier::Advanced,
        _ => ParameterTier::Standard,
    };
    match tier {
        ParameterTier::Standard if length > STANDARD_VALUE_MAX => Err(invalid(format!(
            "Standard tier parameters support a maximum parameter value of {STANDARD_VALUE_MAX} characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
        ))),
        _ if length > ADVANCED_VALUE_MAX => Err(invalid(format!(
            "Advanced tier parameters support a maximum parameter value of {ADVANCED_VALUE_MAX} characters."
        ))),
        tier => Ok(tier),
    }
}

fn check_pattern(pattern: &str, value: &str) -> Result<(), Refusal> {
    let whole = Regex::new(&format!("^(?:{pattern})$"));
    let whole = whole.map_err(|_| {
        Refusal::of(
            &shapes::INVALID_ALLOWED_PATTERN_EXCEPTION,
            format!("The allowed pattern {pattern} is not a valid regular expression."),
        )
    })?;
    match whole.is_match(value) {
        true => Ok(()),
        false => Err(Refusal::of(
            &shapes::PARAMETER_PATTERN_MISMATCH_EXCEPTION,
            format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
        )),
    }
}

/// Texts and types of a document's policies; only advanced parameters have any.
fn policies(tier: ParameterTier, text: Option<&str>) -> Result<Vec<(String, String)>, Refusal> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let Ok(Json::Array(items)) = serde_json::from_str::<Json>(text) else {
        return Err(Refusal::of(
            &shapes::INVALID_POLICY_ATTRIBUTE_EXCEPTION,
            "Policies are a JSON list of objects with Type, Version and Attributes.",
        ));
    };
    if !items.is_empty() && tier != ParameterTier::Advanced {
        return Err(invalid("Parameter policies are supported for advanced parameters only."));
    }
    if items.len() > POLICIES_MAX {
        return Err(Refusal::of(
            &shapes::POLICIES_LIMIT_EXCEEDED_EXCEPTION,
            format!("A parameter has at most {POLICIES_MAX} policies."),
        ));
    }
    let mut policies: Vec<(String, String)> = Vec::new();
    for item in items {
        let kind = item.get("Type").and_then(Json::as_str).unwrap_or_default().to_owned();
        let attribute = match kind.as_str() {
            "Expiration" => "Timestamp",
            "ExpirationNotification" => "Before",
            "NoChangeNotification" => "After",
            _ => {
                return Err(Refusal::of(
                    &shapes::INVALID_POLICY_TYPE_EXCEPTION,
                    format!(
                        "The policy type {kind:?} is not supported. Parameter Store supports Expiration, ExpirationNotification and NoChangeNotification."
                    ),
                ));
            }
        };
        if item.get("Attributes").and_then(|attributes| attributes.get(attribute)).is_none() {
            return Err(Refusal::of(
                &shapes::INVALID_POLICY_ATTRIBUTE_EXCEPTION,
                format!("A policy of type {kind} needs the attribute {attribute}."),
            ));
        }
        if kind == "Expiration" && policies.iter().any(|(_, other)| *other == kind) {
            return Err(Refusal::of(
                &shapes::INCOMPATIBLE_POLICY_EXCEPTION,
                "There is a conflict in the policies specified for this parameter: it can have one Expiration policy.",
            ));
        }
        policies.push((item.to_string(), kind));
    }
    Ok(policies)
}

/// What a name may look like (API reference, PutParameter).
fn check_name(cx: &Engine, name: &str) -> Result<(), Refusal> {
    let lower = name.trim_start_matches('/').to_lowercase();
    let first = lower.split('/').next().unwrap_or_default();
    if first.starts_with("aws") {
        return Err(Refusal::new(
            "AccessDeniedException",
            format!("No access to reserved parameter name: {name}."),
        ));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if first.starts_with("ssm") || !name.chars().all(is_plain) {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    if name.ends_with('/') || name.contains("//") {
        return Err(invalid(format!(
            "The parameter name {name} has an empty part: it must not end with / or hold //."
        )));
    }
    if name.matches('/').count() > LEVELS_MAX {
        return Err(Refusal::of(
            &shapes::HIERARCHY_LEVEL_LIMIT_EXCEEDED_EXCEPTION,
            format!("A parameter hierarchy can have a maximum of {LEVELS_MAX} levels."),
        ));
    }
    if arn(cx, name).len() > ARN_MAX {
        return Err(invalid(format!(
            "The ARN of the parameter is longer than {ARN_MAX} characters: choose a shorter name."
        )));
    }
    Ok(())
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteParameterRequest,
) -> Result<shapes::DeleteParameterResponse, Refusal> {
    cx.ssm.parameters.remove(&request.name).ok_or_else(|| not_found(&request.name))?;
    Ok(shapes::DeleteParameterResponse {})
}

pub(super) fn delete_all(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteParametersRequest,
) -> Result<shapes::DeleteParametersResponse, Refusal> {
    let (deleted, unknown): (Vec<String>, Vec<String>) =
        request.names.into_iter().partition(|name| cx.ssm.parameters.remove(name).is_some());
    Ok(shapes::DeleteParametersResponse {
        deleted_parameters: Some(deleted),
        invalid_parameters: Some(unknown),
    })
}

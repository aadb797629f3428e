//! Reading parameters by name: stored and public ones by the same way.

use capstan_model::Arn;
use capstan_shapes::{Refusal, ssm as shapes};

use super::{Parameter, Version, arn, invalid_token, not_found, public, size};
use crate::kernel::page;
use crate::{Caller, Engine};

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetParameterRequest,
) -> Result<shapes::GetParameterResponse, Refusal> {
    Ok(shapes::GetParameterResponse { parameter: Some(find(cx, &request.name)?) })
}

pub(super) fn get_all(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetParametersRequest,
) -> Result<shapes::GetParametersResponse, Refusal> {
    let (mut parameters, mut invalid_parameters) = (Vec::new(), Vec::new());
    for name in request.names {
        match find(cx, &name) {
            Ok(parameter) => parameters.push(parameter),
            Err(_) => invalid_parameters.push(name),
        }
    }
    Ok(shapes::GetParametersResponse {
        parameters: Some(parameters),
        invalid_parameters: Some(invalid_parameters),
    })
}

/// What the parameter of that name or ARN (perhaps with `:VERSION` or `:LABEL`) holds, stored or public.
pub(crate) fn value(cx: &Engine, name: &str) -> Option<String> {
    find(cx, name).ok()?.value
}

/// The parameter of that name or ARN, perhaps with a selector (`:VERSION`, `:LABEL`).
pub(super) fn find(cx: &Engine, text: &str) -> Result<shapes::Parameter, Refusal> {
    let (whole, is_arn) = match Arn::parse(text) {
        Some(arn) if arn.service == "ssm" && arn.region == cx.config.region.name => {
            let whole = arn.resource.strip_prefix("parameter").ok_or_else(|| not_found(text))?;
            (whole, true)
        }
        Some(_) => return Err(not_found(text)),
        None => (text, false),
    };
    let (name, selector) = match whole.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (whole, None),
    };
    let no_version = |selector: &str| {
        Refusal::of(
            &shapes::PARAMETER_VERSION_NOT_FOUND,
            format!(
                "Systems Manager could not find version {selector} of {name}. Verify the version and try again."
            ),
        )
    };
    let shown_selector = selector.map(|selector| format!(":{selector}"));
    if let Some(row) = stored(cx, name, is_arn) {
        let (number, version) = match selector {
            None => row.newest(),
            Some(selector) => selected(row, selector).ok_or_else(|| no_version(selector))?,
        };
        return Ok(shapes::Parameter { selector: shown_selector, ..shown(cx, row, number, version) });
    }
    let parameter = public::find(cx.config.region, name).ok_or_else(|| not_found(text))?;
    match selector {
        Some(selector) if selector != "1" => Err(no_version(selector)),
        _ => Ok(shapes::Parameter { selector: shown_selector, ..parameter }),
    }
}

/// An ARN has a slash before the name, whether the name has one or not.
fn stored<'a>(cx: &'a Engine, name: &str, is_arn: bool) -> Option<&'a Parameter> {
    let bare = name.strip_prefix('/').filter(|_| is_arn);
    let parameters = &cx.ssm.parameters;
    parameters.get(&name.to_owned()).or_else(|| parameters.get(&bare?.to_owned()))
}

pub(super) fn selected<'a>(row: &'a Parameter, selector: &str) -> Option<(i64, &'a Version)> {
    let number = match selector.parse() {
        Ok(number) => number,
        Err(_) => *row.versions.iter().find(|(_, version)| version.labels.contains(selector))?.0,
    };
    row.versions.get(&number).map(|version| (number, version))
}

pub(super) fn shown(cx: &Engine, row: &Parameter, number: i64, version: &Version) -> shapes::Parameter {
    shapes::Parameter {
        name: Some(row.name.clone()),
        r#type: Some(version.r#type),
        value: Some(version.value.clone()),
        version: Some(number),
        selector: None,
        source_result: None,
        last_modified_date: Some(version.modified),
        arn: Some(arn(cx, &row.name)),
        data_type: Some(version.data_type.clone()),
    }
}

pub(super) fn policies(version: &Version) -> Vec<shapes::ParameterInlinePolicy> {
    let shown = |(text, kind): &(String, String)| shapes::ParameterInlinePolicy {
        policy_text: Some(text.clone()),
        policy_type: Some(kind.clone()),
        policy_status: Some("Pending".to_owned()),
    };
    version.policies.iter().map(shown).collect()
}

pub(super) fn history(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetParameterHistoryRequest,
) -> Result<shapes::GetParameterHistoryResponse, Refusal> {
    let row = cx.ssm.parameters.get(&request.name).ok_or_else(|| not_found(&request.name))?;
    // Numbers as texts of one length, so that they order as numbers do.
    let key = |(number, _): &(&i64, &Version)| format!("{number:020}");
    let page = page(&row.versions, key, request.next_token.as_deref(), size(request.max_results, 50))
        .map_err(|()| invalid_token())?;
    let shown = |(number, version): (&i64, &Version)| shapes::ParameterHistory {
        name: Some(row.name.clone()),
        r#type: Some(version.r#type),
        key_id: version.key_id.clone(),
        last_modified_date: Some(version.modified),
        last_modified_user: Some(version.modified_by.clone()),
        description: version.description.clone(),
        value: Some(version.value.clone()),
        allowed_pattern: version.allowed_pattern.clone(),
        version: Some(*number),
        labels: Some(version.labels.iter().cloned().collect()),
        tier: Some(version.tier),
        policies: Some(policies(version)),
        data_type: Some(version.data_type.clone()),
    };
    Ok(shapes::GetParameterHistoryResponse {
        parameters: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

//! Lists of parameters.

use capstan_shapes::{Refusal, ssm as shapes};
use shapes::ParametersFilterKey as OldKey;

use super::filter::{Of, check, fits, is_below};
use super::{Parameter, arn, invalid, invalid_token, public, read, size};
use crate::kernel::page;
use crate::{Caller, Engine};

pub(super) fn by_path(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetParametersByPathRequest,
) -> Result<shapes::GetParametersByPathResponse, Refusal> {
    if !request.path.starts_with('/') {
        return Err(invalid(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".",
        ));
    }
    let filters = request.parameter_filters.unwrap_or_default();
    check(&filters, Of::Path)?;
    let recursive = request.recursive == Some(true);
    let below = |name: &str| is_below(name, &request.path, recursive);
    let mut found: Vec<shapes::Parameter> = Vec::new();
    for row in cx.ssm.parameters.iter().filter(|row| below(&row.name)) {
        // A label chooses the version that has it.
        let label = filters.iter().find(|filter| filter.key == "Label");
        let labels = label.and_then(|filter| filter.values.as_deref()).unwrap_or_default();
        let (number, version) = match label {
            None => row.newest(),
            Some(_) => {
                let Some(found) = labels.iter().find_map(|label| read::selected(row, label)) else {
                    continue;
                };
                found
            }
        };
        if fits(row, version, &filters) {
            found.push(read::shown(cx, row, number, version));
        }
    }
    if filters.is_empty() {
        let path = format!("{}/", request.path.trim_end_matches('/'));
        let names = public::names_below(&path);
        let names = names.iter().filter(|name| below(name) && !cx.ssm.parameters.contains(name));
        found.extend(names.filter_map(|name| public::find(cx.config.region, name)));
    }
    let key = |parameter: &shapes::Parameter| parameter.name.clone().unwrap_or_default();
    let page = page(found, key, request.next_token.as_deref(), size(request.max_results, 10))
        .map_err(|()| invalid_token())?;
    Ok(shapes::GetParametersByPathResponse { parameters: Some(page.items), next_token: page.next })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeParametersRequest,
) -> Result<shapes::DescribeParametersResponse, Refusal> {
    let mut filters = request.parameter_filters.unwrap_or_default();
    let old = request.filters.unwrap_or_default();
    if !old.is_empty() && !filters.is_empty() {
        return Err(invalid("You can use either Filters or ParameterFilters in a single request."));
    }
    filters.extend(old.into_iter().map(|filter| shapes::ParameterStringFilter {
        key: filter.key.as_str().to_owned(),
        // The older filters begin names and are equal elsewhere (API reference, ParametersFilter).
        option: (filter.key == OldKey::Name).then(|| "BeginsWith".to_owned()),
        values: Some(filter.values),
    }));
    check(&filters, Of::Describe)?;
    let rows = cx.ssm.parameters.iter().filter(|row| fits(row, row.newest().1, &filters));
    let page =
        page(rows, |row| row.name.clone(), request.next_token.as_deref(), size(request.max_results, 50))
            .map_err(|()| invalid_token())?;
    let shown = |row: &Parameter| {
        let (number, version) = row.newest();
        shapes::ParameterMetadata {
            name: Some(row.name.clone()),
            arn: Some(arn(cx, &row.name)),
            r#type: Some(version.r#type),
            key_id: version.key_id.clone(),
            last_modified_date: Some(version.modified),
            last_modified_user: Some(version.modified_by.clone()),
            description: version.description.clone(),
            allowed_pattern: version.allowed_pattern.clone(),
            version: Some(number),
            tier: Some(version.tier),
            policies: Some(read::policies(version)),
            data_type: Some(version.data_type.clone()),
        }
    };
    Ok(shapes::DescribeParametersResponse {
        parameters: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

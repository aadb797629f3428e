//! Operations: what a client asks for until it is done. They are done at once, and always succeed.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, servicediscovery as shapes};
use shapes::{FilterCondition, OperationFilterName as Filter, OperationStatus, OperationType};

use super::{Operation, id, invalid, listed};
use crate::{Caller, Engine};

/// Notes what was done, and gives its id.
pub(super) fn done(cx: &mut Engine, kind: OperationType, target: (&'static str, String)) -> String {
    let id = format!("{}-{}", id(cx, "", 24), id(cx, "", 8));
    cx.servicediscovery.operations.insert(Operation { id: id.clone(), kind, target, at: cx.now });
    id
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetOperationRequest,
) -> Result<shapes::GetOperationResponse, Refusal> {
    let row = cx.servicediscovery.operations.get(&request.operation_id).ok_or_else(|| {
        Refusal::of(
            &shapes::OPERATION_NOT_FOUND,
            format!("Can't find operation with id {}.", request.operation_id),
        )
    })?;
    let (kind, target) = &row.target;
    let operation = shapes::OperationData {
        id: Some(row.id.clone()),
        owner_account: Some(cx.config.account.clone()),
        r#type: Some(row.kind),
        status: Some(OperationStatus::Success),
        create_date: Some(row.at),
        update_date: Some(row.at),
        targets: Some(BTreeMap::from([((*kind).to_owned(), target.clone())])),
        ..Default::default()
    };
    Ok(shapes::GetOperationResponse { operation: Some(operation) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListOperationsRequest,
) -> Result<shapes::ListOperationsResponse, Refusal> {
    let filters = request.filters.unwrap_or_default();
    if filters
        .iter()
        .any(|filter| filter.name == Filter::UpdateDate && filter.condition != Some(FilterCondition::Between))
    {
        return Err(invalid("The filter UPDATE_DATE takes the condition BETWEEN."));
    }
    let fits = |row: &&Operation| {
        filters.iter().all(|filter| {
            let is = |text: &str| filter.values.iter().any(|value| value == text);
            match filter.name {
                Filter::NamespaceId => row.target.0 == "NAMESPACE" && is(&row.target.1),
                Filter::ServiceId => row.target.0 == "SERVICE" && is(&row.target.1),
                Filter::Status => is(OperationStatus::Success.as_str()),
                Filter::Type => is(row.kind.as_str()),
                Filter::UpdateDate => {
                    // Two moments in Unix time.
                    let ends: Vec<i64> = filter.values.iter().filter_map(|text| text.parse().ok()).collect();
                    matches!(ends[..], [from, to] if (from..=to).contains(&row.at.as_secs()))
                }
            }
        })
    };
    let rows = cx.servicediscovery.operations.iter().filter(fits);
    let page = listed(rows, |row| row.id.clone(), request.next_token.as_deref(), request.max_results)?;
    let shown = |row: &Operation| shapes::OperationSummary {
        id: Some(row.id.clone()),
        status: Some(OperationStatus::Success),
    };
    Ok(shapes::ListOperationsResponse {
        operations: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

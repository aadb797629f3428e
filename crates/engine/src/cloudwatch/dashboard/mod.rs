//! Dashboards: named documents of widgets, one set for the whole account.

mod body;

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::findings::Finding;
use super::rows::Dashboard;
use super::{invalid_value, tag};
use crate::kernel::page;
use crate::{Caller, Engine};

const NAME_MAX: usize = 255;
const LIST_PAGE: usize = 1_000;
/// DeleteDashboards takes so many names (CloudWatch API reference).
const DELETED_MAX: usize = 100;

pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutDashboardRequest,
) -> Result<shapes::PutDashboardResponse, Refusal> {
    let name = request.dashboard_name;
    let letters = |extra: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(invalid(
            format!("The field DashboardName must have between 1 and {NAME_MAX} characters."),
            &[],
        ));
    }
    if !letters("-_") {
        return Err(invalid(
            format!(
                "The value {name} for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) and underscore (_)."
            ),
            &[],
        ));
    }
    let Ok(body) = serde_json::from_str(&request.dashboard_body) else {
        return Err(invalid("The field DashboardBody must be a valid JSON object", &[]));
    };
    let findings = body::check(cx.now, &body);
    if !findings.errors.is_empty() {
        let errors = &findings.errors;
        let message = format!(
            "The dashboard body is invalid, there are {} validation errors:\n{}",
            errors.len(),
            listed(errors)
        );
        return Err(invalid(message, errors));
    }
    let mut tags = BTreeMap::new();
    tag::add(caller, &mut tags, request.tags.unwrap_or_default())?;
    let name: Arc<str> = Arc::from(name);
    let now = cx.now;
    if let Some(mut dashboard) = cx.cloudwatch.dashboards.edit(&name) {
        // Tags count at creation only (CloudWatch API reference, PutDashboard).
        dashboard.body = request.dashboard_body;
        dashboard.modified_at = now;
    } else {
        let body = request.dashboard_body;
        cx.cloudwatch.dashboards.insert(Dashboard { name, body, modified_at: now, tags });
    }
    let told = |finding: Finding| shapes::DashboardValidationMessage {
        data_path: Some(finding.path),
        message: Some(finding.message),
    };
    let messages = findings.warnings.into_iter().map(told).collect();
    Ok(shapes::PutDashboardResponse { dashboard_validation_messages: Some(messages) })
}

fn listed(findings: &[Finding]) -> String {
    let item =
        |finding: &Finding| serde_json::json!({ "dataPath": finding.path, "message": finding.message });
    let items: Vec<_> = findings.iter().map(item).collect();
    serde_json::to_string_pretty(&items).unwrap_or_default()
}

fn invalid(message: impl Into<String>, findings: &[Finding]) -> Refusal {
    let record =
        |finding: &Finding| vec![("DataPath", finding.path.clone()), ("Message", finding.message.clone())];
    Refusal::of(&shapes::DASHBOARD_INVALID_INPUT_ERROR, message)
        .with_records("dashboardValidationMessages", findings.iter().map(record).collect())
}

pub(super) fn get(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::GetDashboardRequest,
) -> Result<shapes::GetDashboardResponse, Refusal> {
    check_name(&request.dashboard_name, "DashboardName")?;
    let name: Arc<str> = Arc::from(request.dashboard_name);
    let dashboard = cx.cloudwatch.dashboards.get(&name).ok_or_else(|| not_found(&name))?;
    Ok(shapes::GetDashboardResponse {
        dashboard_arn: Some(arn(cx, &name)),
        dashboard_body: Some(dashboard.body.clone()),
        dashboard_name: Some(name.to_string()),
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListDashboardsRequest,
) -> Result<shapes::ListDashboardsResponse, Refusal> {
    let prefix = request.dashboard_name_prefix.unwrap_or_default();
    check_name(&prefix, "DashboardNamePrefix")?;
    let begins = |dashboard: &&Dashboard| dashboard.name.starts_with(&prefix);
    let found = cx.cloudwatch.dashboards.range(Arc::from(prefix.as_str())..).take_while(begins);
    let key = |dashboard: &&Dashboard| dashboard.name.to_string();
    let page = page(found, key, request.next_token.as_deref(), LIST_PAGE)
        .map_err(|()| invalid_value("The value for parameter NextToken is invalid."))?;
    let entry = |dashboard: &Dashboard| shapes::DashboardEntry {
        dashboard_name: Some(dashboard.name.to_string()),
        dashboard_arn: Some(arn(cx, &dashboard.name)),
        last_modified: Some(dashboard.modified_at),
        size: i64::try_from(dashboard.body.len()).ok(),
    };
    let entries = page.items.into_iter().map(entry).collect();
    Ok(shapes::ListDashboardsResponse { dashboard_entries: Some(entries), next_token: page.next })
}

/// Deletes as many as there are; a name without a dashboard is told afterwards (CloudWatch API reference).
pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteDashboardsRequest,
) -> Result<shapes::DeleteDashboardsResponse, Refusal> {
    if request.dashboard_names.is_empty() || request.dashboard_names.len() > DELETED_MAX {
        return Err(invalid_value(format!(
            "The parameter DashboardNames must have between 1 and {DELETED_MAX} names."
        )));
    }
    let mut missing = None;
    for name in request.dashboard_names {
        check_name(&name, "DashboardNames")?;
        let name: Arc<str> = Arc::from(name);
        if cx.cloudwatch.dashboards.remove(&name).is_none() {
            missing.get_or_insert(name);
        }
    }
    match missing {
        Some(name) => Err(not_found(&name)),
        None => Ok(shapes::DeleteDashboardsResponse {}),
    }
}

fn check_name(name: &str, parameter: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.len() <= NAME_MAX && name.chars().all(plain) {
        return Ok(());
    }
    Err(invalid_value(format!(
        "The value {name} for parameter {parameter} is invalid: it may have up to {NAME_MAX} letters, digits, dots, dashes and underscores."
    )))
}

fn not_found(name: &str) -> Refusal {
    Refusal::of(&shapes::DASHBOARD_NOT_FOUND_ERROR, format!("Dashboard {name} does not exist"))
}

/// Dashboards belong to the account and to no region.
pub(super) fn arn(cx: &Engine, name: &str) -> String {
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", cx.config.account)
}

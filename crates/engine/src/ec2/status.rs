//! DescribeInstanceStatus.

use capstan_model::{Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    DescribeInstanceStatusRequest, DescribeInstanceStatusResponse, InstanceStateName, InstanceStatus,
    InstanceStatusDetails, InstanceStatusSummary, OperatorResponse, StatusName, StatusType, SummaryStatus,
};

use crate::{Caller, Engine};

use super::filter::Filters;
use super::instance::{existing, fields, ids_or_pages, order, state};
use super::{Instance, dry_run, page_of};

/// How long both checks say `initializing` once an instance runs; our reading of consoles, which show a few minutes.
const INITIALIZING: Span = Span::from_mins(2);

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInstanceStatusRequest,
) -> Result<DescribeInstanceStatusResponse, Refusal> {
    dry_run(request.dry_run)?;
    ids_or_pages(request.instance_ids.as_ref(), request.max_results)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let ids = existing(cx, request.instance_ids.as_deref().unwrap_or_default())?;
    let all = request.include_all_instances == Some(true);
    let now = cx.now;
    let mut fitting: Vec<&Instance> = cx.ec2.instances.iter().collect();
    fitting.retain(|instance| {
        (ids.is_empty() || ids.contains(&instance.id))
            && (all || instance.state == InstanceStateName::Running)
            && filters.fit(&instance.tags, |name, put| {
                let (status, check) = checks(instance, now);
                match name {
                    "attached-ebs-status.status" | "instance-status.status" | "system-status.status" => {
                        put(status.as_str());
                    }
                    "instance-status.reachability" | "system-status.reachability" => {
                        check.iter().for_each(|check| put(check.as_str()));
                    }
                    "availability-zone"
                    | "availability-zone-id"
                    | "instance-state-code"
                    | "instance-state-name" => {
                        fields(cx, instance, name, put);
                    }
                    _ => {}
                }
            })
    });
    fitting.sort_by_cached_key(|instance| order(instance));
    let page =
        page_of(fitting, |instance| order(instance), request.next_token.as_deref(), request.max_results)?;
    Ok(DescribeInstanceStatusResponse {
        instance_statuses: Some(page.items.into_iter().map(|instance| described(instance, now)).collect()),
        next_token: page.next,
    })
}

fn described(instance: &Instance, now: Time) -> InstanceStatus {
    let (status, check) = checks(instance, now);
    let summary = InstanceStatusSummary {
        details: check.map(|check| {
            vec![InstanceStatusDetails {
                impaired_since: None,
                name: Some(StatusName::Reachability),
                status: Some(check),
            }]
        }),
        status: Some(status),
    };
    InstanceStatus {
        availability_zone: Some(instance.zone.name.into()),
        availability_zone_id: Some(instance.zone.id.into()),
        operator: Some(OperatorResponse { managed: Some(false), ..Default::default() }),
        instance_id: Some(instance.id.to_string()),
        instance_state: Some(state(instance.state)),
        instance_status: Some(summary.clone()),
        system_status: Some(summary),
        ..Default::default()
    }
}

/// The status of both checks, and what they found; nothing is checked but running instances.
fn checks(instance: &Instance, now: Time) -> (SummaryStatus, Option<StatusType>) {
    match instance.running_at {
        Some(since) if instance.state == InstanceStateName::Running => {
            if now < since + INITIALIZING {
                (SummaryStatus::Initializing, Some(StatusType::Initializing))
            } else {
                (SummaryStatus::Ok, Some(StatusType::Passed))
            }
        }
        _ => (SummaryStatus::NotApplicable, None),
    }
}

const FILTERS: &[&str] = &[
    "attached-ebs-status.status",
    "availability-zone",
    "availability-zone-id",
    "event.code",
    "event.description",
    "event.instance-event-id",
    "event.not-after",
    "event.not-before",
    "event.not-before-deadline",
    "instance-state-code",
    "instance-state-name",
    "instance-status.reachability",
    "instance-status.status",
    "operator.managed",
    "operator.principal",
    "system-status.reachability",
    "system-status.status",
];

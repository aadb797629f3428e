//! Event buses.

use std::sync::Arc;

use capstan_shapes::{Refusal, events as shapes};

use super::rows::Bus;
use crate::kernel::page;
use crate::{Caller, Engine};

pub(super) const DEFAULT: &str = "default";
const PAGE: usize = 100;

pub(super) fn start(cx: &mut Engine) {
    let now = cx.now;
    cx.events.buses.insert(Bus {
        name: Arc::from(DEFAULT),
        description: None,
        created_at: now,
        modified_at: now,
    });
}

pub(super) fn arn(cx: &Engine, bus: &str) -> String {
    cx.arn("events", format_args!("event-bus/{bus}"))
}

/// The bus of that name or ARN, `default` when none is given.
pub(super) fn find(cx: &Engine, name: Option<&str>) -> Result<Arc<str>, Refusal> {
    let text = name.unwrap_or(DEFAULT);
    let name = match text.strip_prefix("arn:") {
        Some(_) => text.strip_prefix(&arn(cx, "")).unwrap_or(text),
        None => text,
    };
    let bus = cx.events.buses.get(&Arc::from(name)).map(|bus| bus.name.clone());
    bus.ok_or_else(|| super::not_found(format!("Event bus {name} does not exist.")))
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeEventBusRequest,
) -> Result<shapes::DescribeEventBusResponse, Refusal> {
    let name = find(cx, request.name.as_deref())?;
    let bus = &cx.events.buses.get(&name).expect("it was found");
    Ok(shapes::DescribeEventBusResponse {
        name: Some(name.to_string()),
        arn: Some(arn(cx, &name)),
        description: bus.description.clone(),
        creation_time: Some(bus.created_at),
        last_modified_time: Some(bus.modified_at),
        ..shapes::DescribeEventBusResponse::default()
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListEventBusesRequest,
) -> Result<shapes::ListEventBusesResponse, Refusal> {
    let prefix = request.name_prefix.unwrap_or_default();
    let buses = cx.events.buses.iter().filter(|bus| bus.name.starts_with(&*prefix));
    let size = usize::try_from(request.limit.unwrap_or_default()).ok().filter(|size| *size > 0);
    let page = page(buses, |bus| bus.name.to_string(), request.next_token.as_deref(), size.unwrap_or(PAGE))
        .map_err(|()| super::invalid_token())?;
    let shown = |bus: &Bus| shapes::EventBus {
        name: Some(bus.name.to_string()),
        arn: Some(arn(cx, &bus.name)),
        description: bus.description.clone(),
        creation_time: Some(bus.created_at),
        last_modified_time: Some(bus.modified_at),
        ..shapes::EventBus::default()
    };
    Ok(shapes::ListEventBusesResponse {
        event_buses: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

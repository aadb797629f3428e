//! Event buses.

use std::sync::Arc;

use capstan_shapes::{Refusal, events as shapes};

use super::rows::{Bus, RuleIndex};
use super::{limit_exceeded, page_of, tag, validation};
use crate::{Caller, Engine};

pub(super) const DEFAULT: &str = "default";
/// Event buses in a region (EventBridge quotas).
const BUSES_MAX: usize = 100;

/// Every account has the default bus.
pub(crate) fn start(cx: &mut Engine) {
    let now = cx.now;
    cx.events.default_bus = Arc::from(DEFAULT);
    cx.events.buses.insert(Bus {
        name: cx.events.default_bus.clone(),
        description: None,
        kms_key: None,
        dead_letter: None,
        log: None,
        tags: Default::default(),
        created_at: now,
        modified_at: now,
    });
}

pub(super) fn arn(cx: &Engine, bus: &str) -> String {
    cx.arn("events", format_args!("event-bus/{bus}"))
}

/// The bus of that name or ARN, `default` when none is given; whether or not there is one.
pub(super) fn named(cx: &Engine, name: Option<&str>) -> Arc<str> {
    let text = name.unwrap_or(DEFAULT);
    Arc::from(text.strip_prefix(&arn(cx, "")).unwrap_or(text))
}

pub(super) fn find(cx: &Engine, name: Option<&str>) -> Result<Arc<str>, Refusal> {
    let name = named(cx, name);
    if cx.events.buses.contains(&name) {
        return Ok(name);
    }
    Err(super::not_found(format!("Event bus {name} does not exist.")))
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateEventBusRequest,
) -> Result<shapes::CreateEventBusResponse, Refusal> {
    let name: Arc<str> = Arc::from(request.name);
    if request.event_source_name.is_some() {
        return Err(super::not_found("There is no partner event source of that name: Capstan has none."));
    }
    if name.contains('/') {
        return Err(validation("Event bus name must not contain '/'."));
    }
    if cx.events.buses.contains(&name) {
        let message = format!("Event bus {name} already exists.");
        return Err(Refusal::of(&shapes::RESOURCE_ALREADY_EXISTS_EXCEPTION, message));
    }
    if cx.events.buses.len() >= BUSES_MAX {
        return Err(limit_exceeded());
    }
    let now = cx.now;
    let bus = Bus {
        name: name.clone(),
        description: request.description.clone(),
        kms_key: request.kms_key_identifier.clone(),
        dead_letter: request.dead_letter_config.clone(),
        log: request.log_config.clone(),
        tags: tag::merged(caller, &Default::default(), request.tags.unwrap_or_default())?,
        created_at: now,
        modified_at: now,
    };
    cx.events.buses.insert(bus);
    Ok(shapes::CreateEventBusResponse {
        event_bus_arn: Some(arn(cx, &name)),
        description: request.description,
        kms_key_identifier: request.kms_key_identifier,
        dead_letter_config: request.dead_letter_config,
        log_config: request.log_config,
    })
}

/// What the request does not name stays as it is.
pub(super) fn update(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::UpdateEventBusRequest,
) -> Result<shapes::UpdateEventBusResponse, Refusal> {
    let name = find(cx, request.name.as_deref())?;
    let (now, arn) = (cx.now, arn(cx, &name));
    let mut bus = cx.events.buses.edit(&name).expect("it was found");
    bus.modified_at = now;
    if let Some(description) = request.description {
        bus.description = Some(description);
    }
    if let Some(key) = request.kms_key_identifier {
        bus.kms_key = Some(key).filter(|key| !key.is_empty());
    }
    if let Some(dead_letter) = request.dead_letter_config {
        bus.dead_letter = Some(dead_letter).filter(|config| config.arn.is_some());
    }
    if let Some(log) = request.log_config {
        bus.log = Some(log);
    }
    Ok(shapes::UpdateEventBusResponse {
        arn: Some(arn),
        name: Some(name.to_string()),
        description: bus.description.clone(),
        kms_key_identifier: bus.kms_key.clone(),
        dead_letter_config: bus.dead_letter.clone(),
        log_config: bus.log.clone(),
    })
}

/// A bus that is not there is deleted already.
pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteEventBusRequest,
) -> Result<shapes::DeleteEventBusResponse, Refusal> {
    let name: Arc<str> = Arc::from(request.name);
    if &*name == DEFAULT {
        return Err(validation(format!("Cannot delete event bus {name}.")));
    }
    if cx.events.rules.count_by(&RuleIndex::Bus(name.clone())) > 0 {
        return Err(validation(format!("Event bus {name} can't be deleted since it has rules.")));
    }
    cx.events.buses.remove(&name);
    Ok(shapes::DeleteEventBusResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeEventBusRequest,
) -> Result<shapes::DescribeEventBusResponse, Refusal> {
    let name = find(cx, request.name.as_deref())?;
    let bus = cx.events.buses.get(&name).expect("it was found");
    Ok(shapes::DescribeEventBusResponse {
        name: Some(name.to_string()),
        arn: Some(arn(cx, &name)),
        description: bus.description.clone(),
        kms_key_identifier: bus.kms_key.clone(),
        dead_letter_config: bus.dead_letter.clone(),
        policy: None,
        log_config: bus.log.clone(),
        creation_time: Some(bus.created_at),
        last_modified_time: Some(bus.modified_at),
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListEventBusesRequest,
) -> Result<shapes::ListEventBusesResponse, Refusal> {
    let prefix = request.name_prefix.unwrap_or_default();
    let buses = cx.events.buses.iter().filter(|bus| bus.name.starts_with(&*prefix));
    let page = page_of(buses, |bus| bus.name.to_string(), request.next_token.as_deref(), request.limit)?;
    let shown = |bus: &Bus| shapes::EventBus {
        name: Some(bus.name.to_string()),
        arn: Some(arn(cx, &bus.name)),
        description: bus.description.clone(),
        policy: None,
        creation_time: Some(bus.created_at),
        last_modified_time: Some(bus.modified_at),
    };
    Ok(shapes::ListEventBusesResponse {
        event_buses: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

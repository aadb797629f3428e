//! Listeners.

use std::sync::Arc;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::attributes::{Attributes, Owner};
use super::rows::{Action, Listener, ListenerIndex, Name, RuleIndex, Tags};
use super::{action, changed, hex_id, invalid_marker, load_balancer, tag, target, validation};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Of a load balancer (ALB quotas).
const LISTENERS_MAX: usize = 50;
const PAGE: i32 = 400;

/// Of HTTPS listeners that name none (API reference, CreateListener).
const SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// The listener of that ARN, or AWS's refusal.
pub(super) fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a Listener, Refusal> {
    cx.elb
        .listeners
        .get(&Arc::from(arn))
        .ok_or_else(|| Refusal::of(&shapes::LISTENER_NOT_FOUND_EXCEPTION, "One or more listeners not found"))
}

/// What decides how a listener is connected to.
#[derive(PartialEq)]
struct Settings {
    port: u16,
    protocol: shapes::ProtocolEnum,
    certificates: Vec<String>,
    ssl_policy: Option<String>,
}

fn settings(
    port: i32,
    protocol: shapes::ProtocolEnum,
    certificates: Vec<String>,
    ssl_policy: Option<String>,
) -> Result<Settings, Refusal> {
    let port = u16::try_from(port).map_err(|_| validation(format!("The port '{port}' is not valid")))?;
    match protocol {
        shapes::ProtocolEnum::Http if certificates.is_empty() && ssl_policy.is_none() => {
            Ok(Settings { port, protocol, certificates, ssl_policy })
        }
        shapes::ProtocolEnum::Http => Err(super::invalid_configuration(
            "A certificate or security policy cannot be specified for HTTP listeners",
        )),
        shapes::ProtocolEnum::Https if certificates.is_empty() => {
            Err(validation("A certificate must be specified for HTTPS listeners"))
        }
        shapes::ProtocolEnum::Https => {
            let ssl_policy = Some(ssl_policy.unwrap_or_else(|| SSL_POLICY.to_owned()));
            Ok(Settings { port, protocol, certificates, ssl_policy })
        }
        _ => Err(validation(format!("Listener protocol '{protocol}' must be one of 'HTTPS, HTTP'"))),
    }
}

fn certificate_arns(certificates: Option<Vec<shapes::Certificate>>) -> Vec<String> {
    certificates
        .unwrap_or_default()
        .into_iter()
        .filter_map(|certificate| certificate.certificate_arn)
        .collect()
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateListenerRequest,
) -> Result<shapes::CreateListenerResponse, Refusal> {
    let balancer = load_balancer::find(cx, &request.load_balancer_arn)?;
    let load_balancer = balancer.arn.clone();
    let port = request.port.ok_or_else(|| validation("A listener port must be specified"))?;
    let protocol = request.protocol.ok_or_else(|| validation("A listener protocol must be specified"))?;
    let certificates = certificate_arns(request.certificates);
    let settings = settings(port, protocol, certificates, request.ssl_policy)?;
    let default_action = action::read(cx, &load_balancer, request.default_actions)?;
    let tags = tag::read(caller, request.tags)?;
    let on_port = cx.elb.listeners_of(&load_balancer).find(|known| known.port == settings.port);
    if let Some(known) = on_port {
        // The same call again gives the same listener.
        if settings_of(known) == settings && known.default_action == default_action {
            return Ok(shapes::CreateListenerResponse { listeners: Some(vec![shown(known)]) });
        }
        return Err(duplicate());
    }
    if cx.elb.listeners_of(&load_balancer).count() >= LISTENERS_MAX {
        let message =
            format!("The maximum number of listeners has been reached on load balancer '{load_balancer}'");
        return Err(Refusal::of(&shapes::TOO_MANY_LISTENERS_EXCEPTION, message));
    }
    let id = hex_id(cx, "elb.listener-id");
    let rule = hex_id(cx, "elb.rule-id");
    // The load balancer's ARN ends in `loadbalancer/app/NAME/ID`; those of what it has are made of the same parts.
    let place = load_balancer.rsplit_once(":loadbalancer/").map_or("", |(_, place)| place);
    let arn: Name = cx.arn("elasticloadbalancing", format_args!("listener/{place}/{id}")).into();
    let default_rule =
        cx.arn("elasticloadbalancing", format_args!("listener-rule/{place}/{id}/{rule}")).into();
    let row = Listener {
        arn,
        load_balancer,
        port: settings.port,
        protocol: settings.protocol,
        certificates: settings.certificates,
        ssl_policy: settings.ssl_policy,
        default_action,
        default_rule,
        default_rule_tags: Tags::new(),
        attributes: Attributes::defaults(Owner::Listener),
        tags,
    };
    let told = shown(&row);
    let groups = action::groups_of(None, Some(&row.default_action));
    cx.elb.listeners.insert(row);
    after_change(cx, &groups);
    Ok(shapes::CreateListenerResponse { listeners: Some(vec![told]) })
}

fn duplicate() -> Refusal {
    let message = "A listener already exists on this port for this load balancer";
    Refusal::of(&shapes::DUPLICATE_LISTENER_EXCEPTION, message)
}

fn settings_of(listener: &Listener) -> Settings {
    Settings {
        port: listener.port,
        protocol: listener.protocol,
        certificates: listener.certificates.clone(),
        ssl_policy: listener.ssl_policy.clone(),
    }
}

/// What follows when actions came or went: the use of their groups, and the data plane.
pub(super) fn after_change(cx: &mut Engine, groups: &[Name]) {
    for group in groups {
        target::refresh(cx, group);
    }
    changed(cx);
}

fn shown(listener: &Listener) -> shapes::Listener {
    let secure = listener.protocol == shapes::ProtocolEnum::Https;
    // Only the default certificate is described with the listener.
    let certificate = listener
        .certificates
        .first()
        .map(|arn| shapes::Certificate { certificate_arn: Some(arn.clone()), is_default: None });
    shapes::Listener {
        listener_arn: Some(listener.arn.to_string()),
        load_balancer_arn: Some(listener.load_balancer.to_string()),
        port: Some(i32::from(listener.port)),
        protocol: Some(listener.protocol),
        certificates: secure.then(|| certificate.into_iter().collect()),
        ssl_policy: listener.ssl_policy.clone(),
        default_actions: Some(action::shown(&listener.default_action)),
        alpn_policy: None,
        mutual_authentication: secure.then(|| shapes::MutualAuthenticationAttributes {
            mode: Some("off".to_owned()),
            ..shapes::MutualAuthenticationAttributes::default()
        }),
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeListenersRequest,
) -> Result<shapes::DescribeListenersResponse, Refusal> {
    let mut chosen: Vec<&Listener> = Vec::new();
    match (&request.load_balancer_arn, &request.listener_arns) {
        (Some(_), Some(_)) => {
            return Err(validation(
                "You cannot specify both a load balancer ARN and a list of listener ARNs",
            ));
        }
        (Some(arn), None) => {
            let arn = load_balancer::find(cx, arn)?.arn.clone();
            chosen.extend(cx.elb.listeners_of(&arn));
        }
        (None, Some(arns)) => {
            for arn in arns {
                chosen.push(find(cx, arn)?);
            }
        }
        (None, None) => {
            return Err(validation("You must specify either listener ARNs or a load balancer ARN"));
        }
    }
    chosen.sort_by(|a, b| a.arn.cmp(&b.arn));
    chosen.dedup_by(|a, b| a.arn == b.arn);
    let size = usize::try_from(request.page_size.unwrap_or(PAGE)).unwrap_or(1);
    let page = page(chosen, |listener| listener.arn.to_string(), request.marker.as_deref(), size)
        .map_err(|()| invalid_marker())?;
    Ok(shapes::DescribeListenersResponse {
        listeners: Some(page.items.into_iter().map(shown).collect()),
        next_marker: page.next,
    })
}

pub(super) fn modify(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ModifyListenerRequest,
) -> Result<shapes::ModifyListenerResponse, Refusal> {
    let listener = find(cx, &request.listener_arn)?;
    let arn = listener.arn.clone();
    let protocol = request.protocol.unwrap_or(listener.protocol);
    // Certificate and policy of before hold on only while the protocol stays.
    let stays = protocol == listener.protocol;
    let certificates = match request.certificates {
        Some(certificates) => certificate_arns(Some(certificates)),
        None if stays => listener.certificates.clone(),
        None => Vec::new(),
    };
    let ssl_policy = request.ssl_policy.or_else(|| listener.ssl_policy.clone().filter(|_| stays));
    let port = request.port.unwrap_or_else(|| i32::from(listener.port));
    let settings = settings(port, protocol, certificates, ssl_policy)?;
    let on_port = cx.elb.listeners_of(&listener.load_balancer).find(|other| other.port == settings.port);
    if on_port.is_some_and(|other| other.arn != arn) {
        return Err(duplicate());
    }
    let before = listener.default_action.clone();
    let after = match request.default_actions {
        Some(actions) => action::read(cx, &listener.load_balancer, actions)?,
        None => before.clone(),
    };
    let groups = action::groups_of(Some(&before), Some(&after));
    if let Some(mut listener) = cx.elb.listeners.edit(&arn) {
        listener.port = settings.port;
        listener.protocol = settings.protocol;
        listener.certificates = settings.certificates;
        listener.ssl_policy = settings.ssl_policy;
        listener.default_action = after;
    }
    after_change(cx, &groups);
    Ok(shapes::ModifyListenerResponse { listeners: Some(vec![shown(find(cx, &arn)?)]) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteListenerRequest,
) -> Result<shapes::DeleteListenerResponse, Refusal> {
    let arn = find(cx, &request.listener_arn)?.arn.clone();
    let groups = remove(cx, &arn);
    after_change(cx, &groups);
    Ok(shapes::DeleteListenerResponse {})
}

/// Takes a listener and its rules away. Gives the groups that they forwarded to.
pub(super) fn remove(cx: &mut Engine, arn: &Name) -> Vec<Name> {
    let mut actions: Vec<Action> = Vec::new();
    let rules: Vec<Name> = cx.elb.rules_of(arn).map(|rule| rule.arn.clone()).collect();
    actions.extend(rules.iter().filter_map(|rule| cx.elb.rules.remove(rule)).map(|rule| rule.action));
    actions.extend(cx.elb.listeners.remove(arn).map(|listener| listener.default_action));
    let mut groups: Vec<Name> = actions.iter().flat_map(Action::target_groups).cloned().collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Rules of all listeners of a load balancer, without the default ones.
pub(super) fn rules_behind(cx: &Engine, load_balancer: &Name) -> usize {
    let listeners = cx.elb.listeners.by(&ListenerIndex::LoadBalancer(load_balancer.clone()));
    listeners.map(|listener| cx.elb.rules_of(&listener.arn).count()).sum()
}

/// Whether that priority is taken on the listener, and by which rule.
pub(super) fn rule_with_priority(cx: &Engine, listener: &Name, priority: i32) -> Option<Name> {
    let index = RuleIndex::Listener(listener.clone(), priority);
    cx.elb.rules.by(&index).next().map(|rule| rule.arn.clone())
}

pub(super) fn describe_attributes(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeListenerAttributesRequest,
) -> Result<shapes::DescribeListenerAttributesResponse, Refusal> {
    let listener = find(cx, &request.listener_arn)?;
    Ok(shapes::DescribeListenerAttributesResponse {
        attributes: Some(shown_attributes(&listener.attributes)),
    })
}

pub(super) fn modify_attributes(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ModifyListenerAttributesRequest,
) -> Result<shapes::ModifyListenerAttributesResponse, Refusal> {
    let listener = find(cx, &request.listener_arn)?;
    let arn = listener.arn.clone();
    let mut attributes = listener.attributes.clone();
    let pairs = request.attributes.into_iter().map(|attribute| (attribute.key, attribute.value)).collect();
    attributes.change(Owner::Listener, pairs)?;
    let told = shown_attributes(&attributes);
    if let Some(mut listener) = cx.elb.listeners.edit(&arn) {
        listener.attributes = attributes;
    }
    Ok(shapes::ModifyListenerAttributesResponse { attributes: Some(told) })
}

fn shown_attributes(attributes: &Attributes) -> Vec<shapes::ListenerAttribute> {
    let shown = |(key, value): (&str, &str)| shapes::ListenerAttribute {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    attributes.iter().map(shown).collect()
}

//! Account settings.

use capstan_shapes::{Refusal, ecs as shapes};
use shapes::SettingName;

use super::AccountSetting;
use super::cluster::{bad_token, invalid};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Every setting with the values it may have (none: digits of days) and the value it has when nobody set it
/// (ECS guide, ecs-account-settings).
const SETTINGS: &[(SettingName, &[&str], &str)] = &[
    (SettingName::ServiceLongArnFormat, ON_OFF, "enabled"),
    (SettingName::TaskLongArnFormat, ON_OFF, "enabled"),
    (SettingName::ContainerInstanceLongArnFormat, ON_OFF, "enabled"),
    (SettingName::AwsvpcTrunking, ON_OFF, "disabled"),
    (SettingName::ContainerInsights, &["enabled", "disabled", "enhanced"], "disabled"),
    (SettingName::FargateFIPSMode, ON_OFF, "disabled"),
    (SettingName::TagResourceAuthorization, &["on", "off"], "on"),
    (SettingName::FargateTaskRetirementWaitPeriod, &["0", "7", "14"], "7"),
    (SettingName::GuardDutyActivate, &["on", "off"], "off"),
    (SettingName::DefaultLogDriverMode, &["blocking", "non-blocking"], "non-blocking"),
    (SettingName::FargateEventWindows, ON_OFF, "disabled"),
];

const ON_OFF: &[&str] = &["enabled", "disabled"];

/// The value that holds for the account: its own, else everyone's default, else AWS's.
pub(super) fn effective(cx: &Engine, name: SettingName) -> String {
    let set =
        |principal: Option<String>| cx.ecs.settings.get(&(name, principal)).map(|row| row.value.clone());
    set(Some(root(cx))).or_else(|| set(None)).unwrap_or_else(|| preset(name).to_owned())
}

fn preset(name: SettingName) -> &'static str {
    SETTINGS.iter().find(|(known, _, _)| *known == name).map_or("disabled", |(_, _, value)| value)
}

/// Who makes the calls here: the account's root.
fn root(cx: &Engine) -> String {
    format!("arn:aws:iam::{}:root", cx.config.account)
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutAccountSettingRequest,
) -> Result<shapes::PutAccountSettingResponse, Refusal> {
    let principal = request.principal_arn.unwrap_or_else(|| root(cx));
    let setting = set(cx, request.name, Some(principal), request.value)?;
    Ok(shapes::PutAccountSettingResponse { setting: Some(setting) })
}

pub(super) fn put_default(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutAccountSettingDefaultRequest,
) -> Result<shapes::PutAccountSettingDefaultResponse, Refusal> {
    let setting = set(cx, request.name, None, request.value)?;
    Ok(shapes::PutAccountSettingDefaultResponse { setting: Some(setting) })
}

fn set(
    cx: &mut Engine,
    name: SettingName,
    principal: Option<String>,
    value: String,
) -> Result<shapes::Setting, Refusal> {
    let allowed =
        SETTINGS.iter().find(|(known, _, _)| *known == name).map_or(ON_OFF, |(_, values, _)| values);
    if !allowed.contains(&value.as_str()) {
        let allowed = allowed.join(", ");
        return Err(invalid(format!(
            "Invalid setting value {value:?} for {name}. Valid values are: {allowed}."
        )));
    }
    cx.ecs.settings.insert(AccountSetting { name, value: value.clone(), principal: principal.clone() });
    Ok(shown(cx, name, principal, value))
}

fn shown(cx: &Engine, name: SettingName, principal: Option<String>, value: String) -> shapes::Setting {
    let principal_arn = Some(principal.unwrap_or_else(|| root(cx)));
    // GuardDuty sets its own (ECS model, Setting.type).
    let managed = name == SettingName::GuardDutyActivate;
    let r#type = Some(if managed { shapes::SettingType::AwsManaged } else { shapes::SettingType::User });
    shapes::Setting { name: Some(name), value: Some(value), principal_arn, r#type }
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteAccountSettingRequest,
) -> Result<shapes::DeleteAccountSettingResponse, Refusal> {
    let principal = request.principal_arn.unwrap_or_else(|| root(cx));
    let key = (request.name, Some(principal));
    let Some(row) = cx.ecs.settings.remove(&key) else {
        return Err(invalid(format!("The setting {} is not set for {}.", key.0, key.1.unwrap_or_default())));
    };
    let setting = shown(cx, row.name, row.principal, row.value);
    Ok(shapes::DeleteAccountSettingResponse { setting: Some(setting) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListAccountSettingsRequest,
) -> Result<shapes::ListAccountSettingsResponse, Refusal> {
    let principal = request.principal_arn.unwrap_or_else(|| root(cx));
    let mut settings = Vec::new();
    for (name, _, preset) in SETTINGS {
        let set =
            |principal: Option<String>| cx.ecs.settings.get(&(*name, principal)).map(|row| row.value.clone());
        let own = set(Some(principal.clone()));
        let value = match request.effective_settings {
            Some(true) => Some(own.or_else(|| set(None)).unwrap_or_else(|| (*preset).to_owned())),
            _ => own,
        };
        let asked = request.name.is_none_or(|asked| asked == *name);
        if let Some(value) = value.filter(|value| request.value.as_ref().is_none_or(|asked| asked == value))
            && asked
        {
            settings.push(shown(cx, *name, Some(principal.clone()), value));
        }
    }
    settings.sort_by(|a, b| a.name.map(SettingName::as_str).cmp(&b.name.map(SettingName::as_str)));
    let size = match request.max_results {
        None => 10,
        Some(size @ 1..=10) => usize::try_from(size).unwrap_or(10),
        Some(_) => return Err(invalid("maxResults must be between 1 and 10.")),
    };
    let key = |setting: &shapes::Setting| setting.name.map_or("", SettingName::as_str).to_owned();
    let page = page(settings, key, request.next_token.as_deref(), size).map_err(|()| bad_token())?;
    Ok(shapes::ListAccountSettingsResponse { settings: Some(page.items), next_token: page.next })
}

//! `AWS::IAM::InstanceProfile`.

use capstan_shapes::{Refusal, iam as shapes};
use serde_json::{Map, Value as Json};

use super::or_absent;
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call};
use crate::cloudformation::types::common::{attributes, tag_changes, texts};

pub(super) const HANDLER: Handler = Handler {
    type_name: "AWS::IAM::InstanceProfile",
    inert: Some("stored and read back; what an instance's role may do is not enforced"),
    create,
    update,
    delete,
    stable: always,
    attributes: of,
};

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "InstanceProfileName", 128);
    let tags = resource.all_tags().into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
    let request = shapes::CreateInstanceProfileRequest {
        instance_profile_name: name.clone(),
        path: resource.text("Path").map(str::to_owned),
        tags: Some(tags).filter(|tags: &Vec<_>| !tags.is_empty()),
    };
    call(cx, request)?;
    for role_name in texts(resource, "Roles") {
        let instance_profile_name = name.clone();
        let added = call(cx, shapes::AddRoleToInstanceProfileRequest { instance_profile_name, role_name });
        if let Err(refusal) = added {
            let made = Resource { physical_id: name, ..resource.clone() };
            let _ = delete(cx, &made);
            return Err(refusal);
        }
    }
    Ok(name)
}

fn remove(cx: &mut Engine, resource: &Resource, role_name: String) -> Result<(), Refusal> {
    let instance_profile_name = resource.physical_id.clone();
    or_absent(call(cx, shapes::RemoveRoleFromInstanceProfileRequest { instance_profile_name, role_name }))
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let (before, after) = (texts(old, "Roles"), texts(new, "Roles"));
    for role in before.iter().filter(|role| !after.contains(role)) {
        remove(cx, new, role.clone())?;
    }
    let name = &new.physical_id;
    for role in after.into_iter().filter(|role| !before.contains(role)) {
        let request =
            shapes::AddRoleToInstanceProfileRequest { instance_profile_name: name.clone(), role_name: role };
        call(cx, request)?;
    }
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        let instance_profile_name = name.clone();
        call(cx, shapes::UntagInstanceProfileRequest { instance_profile_name, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let tags = set.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
        call(cx, shapes::TagInstanceProfileRequest { instance_profile_name: name.clone(), tags })?;
    }
    Ok(())
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let profile = cx.iam.instance_profile(&resource.physical_id);
    if let Some(role) = profile.and_then(|profile| profile.role.clone()) {
        remove(cx, resource, role)?;
    }
    let instance_profile_name = resource.physical_id.clone();
    call(cx, shapes::DeleteInstanceProfileRequest { instance_profile_name })?;
    Ok(Progress::Done)
}

fn of(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let profile = cx.iam.instance_profile(&resource.physical_id);
    profile.map(|profile| attributes([("Arn", profile.arn.clone())])).unwrap_or_default()
}

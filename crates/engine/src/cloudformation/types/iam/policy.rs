//! `AWS::IAM::Policy`: one inline policy that roles, users and groups hold.

use capstan_shapes::Refusal;

use super::INERT;
use super::identity::{OF_GROUP, OF_ROLE, OF_USER, Verbs};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, random_suffix, scalar};
use crate::cloudformation::types::common::{attributes, changed, texts};

pub(super) const HANDLER: Handler = Handler {
    type_name: "AWS::IAM::Policy",
    inert: Some(INERT),
    create,
    update,
    delete,
    stable: always,
    attributes: |_, resource| attributes([("Id", resource.physical_id.clone())]),
};

/// The properties that name who holds a policy, and how it is given to them.
pub(super) const HOLDERS: [(&str, &Verbs); 3] =
    [("Groups", &OF_GROUP), ("Roles", &OF_ROLE), ("Users", &OF_USER)];

/// The policy has no name of its own in IAM: CloudFormation makes one of parts of the stack's and the logical id (observed).
fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    if HOLDERS.iter().all(|(property, _)| texts(resource, property).is_empty()) {
        return Err(Refusal::new(
            "InvalidRequest",
            "At least one of [Groups,Roles,Users] must be non-empty.",
        ));
    }
    if let Err(refusal) = put(cx, None, resource) {
        let _ = delete(cx, resource);
        return Err(refusal);
    }
    let part = |text: &str| text.chars().take(5).collect::<String>();
    let suffix = random_suffix(cx);
    Ok(format!("{}-{}-{suffix}", part(&resource.stack_name), part(&resource.logical_id)))
}

fn name(resource: &Resource) -> &str {
    resource.text("PolicyName").unwrap_or_default()
}

fn put(cx: &mut Engine, old: Option<&Resource>, new: &Resource) -> Result<(), Refusal> {
    let document = new.get("PolicyDocument").map(scalar).unwrap_or_default();
    for (property, verbs) in HOLDERS {
        for holder in texts(new, property) {
            (verbs.put)(cx, &holder, name(new), document.clone())?;
        }
        let Some(old) = old else { continue };
        let after = texts(new, property);
        for holder in texts(old, property) {
            if changed(old, new, "PolicyName") || !after.contains(&holder) {
                (verbs.delete)(cx, &holder, name(old))?;
            }
        }
    }
    Ok(())
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    put(cx, Some(old), new)
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    for (property, verbs) in HOLDERS {
        for holder in texts(resource, property) {
            (verbs.delete)(cx, &holder, name(resource))?;
        }
    }
    Ok(Progress::Done)
}

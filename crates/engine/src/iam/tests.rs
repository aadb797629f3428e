use capstan_model::Time;
use capstan_shapes::iam::{
    AddRoleToInstanceProfileRequest, AttachRolePolicyRequest, CreateInstanceProfileRequest,
    CreatePolicyRequest, CreatePolicyVersionRequest, CreateRoleRequest, CreateServiceLinkedRoleRequest,
    DeletePolicyRequest, DeletePolicyVersionRequest, DeleteRoleRequest, DeleteServiceLinkedRoleRequest,
    DetachRolePolicyRequest, GetPolicyRequest, GetRolePolicyRequest, GetRoleRequest, ListPoliciesRequest,
    PutRolePolicyRequest, RemoveRoleFromInstanceProfileRequest, TagRoleRequest,
};

use crate::testing::{ok, refused};
use crate::{Config, Engine};

const TRUST: &str = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}}"#;
const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

fn engine() -> Engine {
    Engine::new(Config::new(1), Time::ZERO)
}

fn role(name: &str) -> CreateRoleRequest {
    CreateRoleRequest {
        role_name: name.into(),
        assume_role_policy_document: TRUST.into(),
        ..Default::default()
    }
}

#[test]
fn a_role_is_found_by_name_and_arn() {
    let mut engine = engine();
    let made = ok(&mut engine, CreateRoleRequest { path: Some("/team/".into()), ..role("Web") }).role;
    assert_eq!(made.arn, "arn:aws:iam::000000000000:role/team/Web");
    assert!(made.role_id.starts_with("AROA") && made.role_id.len() == 21, "{}", made.role_id);
    let found = |name: &str| engine.iam().role(name).is_some();
    let cases = [
        ("Web", true),
        ("web", true),
        ("arn:aws:iam::000000000000:role/team/Web", true),
        ("arn:aws:iam::000000000000:role/Web", false),
        ("arn:aws:iam::111111111111:role/team/Web", false),
        ("none", false),
    ];
    for (name, is) in cases {
        assert_eq!(found(name), is, "{name}");
    }
    refused(&mut engine, role("WEB"), "EntityAlreadyExists", "Role with name WEB already exists.");
    let odd = CreateRoleRequest { path: Some("team".into()), ..role("x") };
    refused(&mut engine, odd, "ValidationError", "must begin and end with /");
}

#[test]
fn a_role_goes_last() {
    let mut engine = engine();
    ok(&mut engine, role("web"));
    let delete = DeleteRoleRequest { role_name: "web".into() };
    let arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role";
    let attach = AttachRolePolicyRequest { role_name: "web".into(), policy_arn: arn.into() };
    ok(&mut engine, attach.clone());
    ok(&mut engine, attach);
    assert_eq!(ok(&mut engine, ListPoliciesRequest::default()).policies.unwrap().len(), 1);
    refused(&mut engine, delete.clone(), "DeleteConflict", "must detach all policies first");
    ok(&mut engine, DetachRolePolicyRequest { role_name: "web".into(), policy_arn: arn.into() });
    let put = |document: &str| PutRolePolicyRequest {
        role_name: "web".into(),
        policy_name: "inline".into(),
        policy_document: document.into(),
    };
    refused(&mut engine, put("{"), "MalformedPolicyDocument", "Syntax errors in policy.");
    ok(&mut engine, put(POLICY));
    let get = GetRolePolicyRequest { role_name: "web".into(), policy_name: "inline".into() };
    assert!(ok(&mut engine, get).policy_document.starts_with("%7B%22Statement%22%3A"));
    refused(&mut engine, delete.clone(), "DeleteConflict", "must delete policies first");
    let inline = capstan_shapes::iam::DeleteRolePolicyRequest {
        role_name: "web".into(),
        policy_name: "inline".into(),
    };
    ok(&mut engine, inline);
    ok(&mut engine, CreateInstanceProfileRequest { instance_profile_name: "p".into(), ..Default::default() });
    let add = AddRoleToInstanceProfileRequest { instance_profile_name: "p".into(), role_name: "web".into() };
    ok(&mut engine, add.clone());
    refused(&mut engine, add, "LimitExceeded", "InstanceSessionsPerInstanceProfile: 1");
    assert_eq!(engine.iam().instance_profile("p").unwrap().role.as_deref(), Some("web"));
    refused(&mut engine, delete.clone(), "DeleteConflict", "must remove roles from instance profile first");
    let remove =
        RemoveRoleFromInstanceProfileRequest { instance_profile_name: "p".into(), role_name: "web".into() };
    ok(&mut engine, remove);
    ok(&mut engine, delete.clone());
    refused(&mut engine, delete, "NoSuchEntity", "The role with name web cannot be found.");
}

#[test]
fn versions_of_a_policy() {
    let mut engine = engine();
    let create =
        CreatePolicyRequest { policy_name: "p".into(), policy_document: POLICY.into(), ..Default::default() };
    let arn = ok(&mut engine, create.clone()).policy.unwrap().arn.unwrap();
    refused(&mut engine, create, "EntityAlreadyExists", "A policy called p already exists");
    let version = CreatePolicyVersionRequest {
        policy_arn: arn.clone(),
        policy_document: POLICY.into(),
        set_as_default: Some(true),
    };
    for _ in 0..4 {
        ok(&mut engine, version.clone());
    }
    refused(&mut engine, version.clone(), "LimitExceeded", "up to 5 versions");
    let delete = |id: &str| DeletePolicyVersionRequest { policy_arn: arn.clone(), version_id: id.into() };
    refused(&mut engine, delete("v5"), "DeleteConflict", "default version");
    refused(&mut engine, delete("v6"), "NoSuchEntity", "version v6 does not exist");
    let whole = DeletePolicyRequest { policy_arn: arn.clone() };
    refused(&mut engine, whole.clone(), "DeleteConflict", "more than one version");
    for id in ["v1", "v2", "v3", "v4"] {
        ok(&mut engine, delete(id));
    }
    assert_eq!(
        ok(&mut engine, version).policy_version.unwrap().version_id.as_deref(),
        Some("v6"),
        "numbers do not come again"
    );
    ok(&mut engine, delete("v5"));
    ok(&mut engine, role("web"));
    let attach = AttachRolePolicyRequest { role_name: "web".into(), policy_arn: arn.clone() };
    ok(&mut engine, attach);
    let get = GetPolicyRequest { policy_arn: arn.clone() };
    assert_eq!(ok(&mut engine, get).policy.unwrap().attachment_count, Some(1));
    refused(&mut engine, whole, "DeleteConflict", "Cannot delete a policy attached to entities.");
}

#[test]
fn roles_of_services() {
    let mut engine = engine();
    let create =
        CreateServiceLinkedRoleRequest { aws_service_name: "ecs.amazonaws.com".into(), ..Default::default() };
    let made = ok(&mut engine, create.clone()).role.unwrap();
    assert_eq!(
        made.arn,
        "arn:aws:iam::000000000000:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
    );
    refused(&mut engine, create.clone(), "InvalidInput", "has been taken in this account");
    let suffixed = CreateServiceLinkedRoleRequest { custom_suffix: Some("x".into()), ..create };
    refused(&mut engine, suffixed, "InvalidInput", "Custom suffix is not allowed");
    let name = made.role_name;
    let delete = DeleteRoleRequest { role_name: name.clone() };
    refused(&mut engine, delete, "UnmodifiableEntity", "only modifiable by AWS");
    let tag = TagRoleRequest { role_name: name.clone(), tags: Vec::new() };
    refused(&mut engine, tag, "UnmodifiableEntity", "protected role");
    ok(&mut engine, DeleteServiceLinkedRoleRequest { role_name: name.clone() });
    refused(&mut engine, GetRoleRequest { role_name: name }, "NoSuchEntity", "cannot be found");
}

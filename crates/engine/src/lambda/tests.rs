use capstan_model::Time;
use capstan_shapes::lambda::{
    AddPermissionRequest, CreateFunctionRequest, DeleteFunctionRequest, FunctionCode, GetFunctionRequest,
    GetPolicyRequest, ListVersionsByFunctionRequest, Runtime, UpdateFunctionCodeRequest,
};
use capstan_shapes::{Blob, iam};

use crate::testing::{ok, refused};
use crate::{Config, Engine};

fn zip(content: &[u8]) -> Option<Blob> {
    Some(Blob([b"PK\x05\x06", content].concat().into()))
}

fn function() -> CreateFunctionRequest {
    CreateFunctionRequest {
        function_name: "drain".into(),
        runtime: Some(Runtime::Python312),
        handler: Some("index.handler".into()),
        role: "arn:aws:iam::000000000000:role/drain".into(),
        code: FunctionCode { zip_file: zip(b"one"), ..Default::default() },
        publish: Some(true),
        ..Default::default()
    }
}

#[test]
fn a_function_is_kept_and_shown() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    refused(&mut engine, function(), "InvalidParameterValueException", "cannot be assumed by Lambda");
    let trust = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}}"#;
    let role = iam::CreateRoleRequest {
        role_name: "drain".into(),
        assume_role_policy_document: trust.into(),
        ..Default::default()
    };
    ok(&mut engine, role);
    let made = ok(&mut engine, function());
    assert_eq!((made.version.as_deref(), made.code_size), (Some("1"), Some(7)));
    refused(&mut engine, function(), "ResourceConflictException", "Function already exist: drain");
    let again = UpdateFunctionCodeRequest {
        function_name: "drain".into(),
        zip_file: zip(b"two"),
        publish: Some(true),
        ..Default::default()
    };
    let updated = ok(&mut engine, again.clone());
    assert_ne!(updated.code_sha256, made.code_sha256);
    let stale = UpdateFunctionCodeRequest { revision_id: made.revision_id, ..again };
    refused(&mut engine, stale, "PreconditionFailedException", "does not match the latest RevisionId");
    let list = ListVersionsByFunctionRequest { function_name: "drain".into(), ..Default::default() };
    let versions = ok(&mut engine, list).versions.unwrap();
    let numbers: Vec<_> = versions.iter().filter_map(|each| each.version.as_deref()).collect();
    assert_eq!(numbers, ["$LATEST", "1", "2"]);
    let permission = AddPermissionRequest {
        function_name: "arn:aws:lambda:us-east-1:000000000000:function:drain".into(),
        statement_id: "sns".into(),
        action: "lambda:InvokeFunction".into(),
        principal: "sns.amazonaws.com".into(),
        source_arn: Some("arn:aws:sns:us-east-1:000000000000:topic".into()),
        ..Default::default()
    };
    ok(&mut engine, permission.clone());
    refused(
        &mut engine,
        permission,
        "ResourceConflictException",
        "The statement id (sns) provided already exists",
    );
    let policy = ok(&mut engine, GetPolicyRequest { function_name: "drain".into(), qualifier: None });
    assert!(policy.policy.unwrap().contains(r#""Condition":{"ArnLike":{"AWS:SourceArn":"#));
    ok(&mut engine, DeleteFunctionRequest { function_name: "drain".into(), qualifier: None });
    let get = GetFunctionRequest { function_name: "drain".into(), qualifier: None };
    refused(&mut engine, get, "ResourceNotFoundException", "Function not found: arn:aws:lambda:");
}

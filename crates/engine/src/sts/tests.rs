use capstan_model::{Span, Time};
use capstan_shapes::sts::{
    AssumeRoleRequest, AssumeRoleResponse, GetCallerIdentityRequest, GetCallerIdentityResponse,
    GetSessionTokenRequest,
};
use capstan_shapes::{Call, iam};

use crate::testing::{ok, pass, refused};
use crate::{Caller, Config, Engine, Input};

fn as_key<C: Call>(engine: &mut Engine, key: &str, request: C) -> C::Output {
    let caller = Caller::User { access_key: key.into() };
    let now = engine.now();
    let reply = engine.step(now, Input::Call { caller, request: Box::new(request.into()) }).reply;
    C::output(reply.unwrap().unwrap()).unwrap()
}

fn who(engine: &mut Engine, key: &str) -> String {
    as_key(engine, key, GetCallerIdentityRequest {}).arn.unwrap()
}

fn role(engine: &mut Engine, name: &str) -> String {
    let trust = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}}"#;
    let request = iam::CreateRoleRequest {
        role_name: name.into(),
        assume_role_policy_document: trust.into(),
        ..Default::default()
    };
    ok(engine, request).role.arn
}

fn assume(role_arn: &str) -> AssumeRoleRequest {
    AssumeRoleRequest {
        role_arn: role_arn.into(),
        role_session_name: "aws-cdk-me".into(),
        ..Default::default()
    }
}

#[test]
fn a_user_is_the_account() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let expected = GetCallerIdentityResponse {
        user_id: Some("000000000000".into()),
        account: Some("000000000000".into()),
        arn: Some("arn:aws:iam::000000000000:root".into()),
    };
    assert_eq!(ok(&mut engine, GetCallerIdentityRequest {}), expected);
}

#[test]
fn who_assumed_a_role_is_its_session_until_it_ends() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let arn = role(&mut engine, "deploy");
    let AssumeRoleResponse { credentials, assumed_role_user, .. } = ok(&mut engine, assume(&arn));
    let (credentials, user) = (credentials.unwrap(), assumed_role_user.unwrap());
    let session = "arn:aws:sts::000000000000:assumed-role/deploy/aws-cdk-me";
    assert_eq!(user.arn, session);
    assert!(credentials.access_key_id.starts_with("ASIA") && credentials.access_key_id.len() == 20);
    assert_eq!(credentials.secret_access_key.len(), 40);
    assert_eq!(who(&mut engine, &credentials.access_key_id), session);
    pass(&mut engine, Span::from_secs(3601));
    assert!(engine.sts().sessions().is_empty());
}

#[test]
fn roles_that_cannot_be_assumed() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let arn = role(&mut engine, "deploy");
    let missing = arn.replace("deploy", "none");
    let denied = "User: arn:aws:iam::000000000000:root is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000000:role/none";
    refused(&mut engine, assume(&missing), "AccessDenied", denied);
    refused(&mut engine, assume("arn:aws:iam::000000000000:user/deploy"), "ValidationError", "is invalid");
    let long = AssumeRoleRequest { duration_seconds: Some(3601), ..assume(&arn) };
    refused(&mut engine, long, "ValidationError", "exceeds the MaxSessionDuration");
    let odd = AssumeRoleRequest { policy: Some("{".into()), ..assume(&arn) };
    refused(&mut engine, odd, "MalformedPolicyDocument", "Syntax errors");
}

#[test]
fn keys_of_users_name_them() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    ok(&mut engine, iam::CreateUserRequest { user_name: "Ann".into(), ..Default::default() });
    let key = ok(&mut engine, iam::CreateAccessKeyRequest { user_name: Some("ann".into()) }).access_key;
    let ann = "arn:aws:iam::000000000000:user/Ann";
    assert_eq!(who(&mut engine, &key.access_key_id), ann);
    let session = as_key(&mut engine, &key.access_key_id, GetSessionTokenRequest::default());
    let session = session.credentials.unwrap();
    assert_eq!(session.expiration, engine.now() + Span::from_secs(43_200));
    assert_eq!(who(&mut engine, &session.access_key_id), ann);
}

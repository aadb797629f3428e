use capstan_model::{Span, Time};
use capstan_shapes::kms::{
    CancelKeyDeletionRequest, CreateAliasRequest, CreateKeyRequest, DescribeKeyRequest,
    EnableKeyRotationRequest, GetKeyRotationStatusRequest, KeySpec, KeyState, ScheduleKeyDeletionRequest,
};

use crate::testing::{ok, pass, refused};
use crate::{Config, Engine};

#[test]
fn a_key_goes_when_its_time_has_come() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let key = ok(&mut engine, CreateKeyRequest::default()).key_metadata.unwrap();
    let alias = CreateAliasRequest { alias_name: "alias/mine".into(), target_key_id: key.key_id.clone() };
    ok(&mut engine, alias.clone());
    refused(&mut engine, alias, "AlreadyExistsException", "already exists");
    let describe = |name: &str| DescribeKeyRequest { key_id: name.into(), grant_tokens: None };
    let arn = key.arn.clone().unwrap();
    for name in [key.key_id.as_str(), &arn, "alias/mine", "arn:aws:kms:us-east-1:000000000000:alias/mine"] {
        assert_eq!(ok(&mut engine, describe(name)).key_metadata, Some(key.clone()), "{name}");
    }
    let schedule = ScheduleKeyDeletionRequest { key_id: arn.clone(), pending_window_in_days: Some(7) };
    ok(&mut engine, schedule.clone());
    refused(&mut engine, schedule.clone(), "KMSInvalidStateException", "is pending deletion");
    ok(&mut engine, CancelKeyDeletionRequest { key_id: arn.clone() });
    let state = ok(&mut engine, describe(&arn)).key_metadata.unwrap().key_state;
    assert_eq!(state, Some(KeyState::Disabled));
    ok(&mut engine, schedule);
    pass(&mut engine, Span::from_hours(7 * 24));
    refused(&mut engine, describe(&arn), "NotFoundException", &format!("Key '{arn}' does not exist"));
    assert!(engine.kms().aliases().is_empty());
}

#[test]
fn rotation() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let key = ok(&mut engine, CreateKeyRequest::default()).key_metadata.unwrap().key_id;
    ok(&mut engine, EnableKeyRotationRequest { key_id: key.clone(), rotation_period_in_days: Some(90) });
    pass(&mut engine, Span::from_hours(91 * 24));
    let status = ok(&mut engine, GetKeyRotationStatusRequest { key_id: key });
    assert_eq!(status.next_rotation_date, Some(Time::ZERO + Span::from_hours(180 * 24)));
    let spec = CreateKeyRequest { key_spec: Some(KeySpec::Hmac256), ..Default::default() };
    let key = ok(&mut engine, spec).key_metadata.unwrap().key_id;
    let enable = EnableKeyRotationRequest { key_id: key, rotation_period_in_days: None };
    refused(&mut engine, enable, "UnsupportedOperationException", "cannot rotate");
    let unclear = CreateKeyRequest { key_spec: Some(KeySpec::Rsa2048), ..Default::default() };
    refused(&mut engine, unclear, "ValidationException", "You must specify a KeyUsage");
}

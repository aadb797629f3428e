//! Keys.

use std::collections::BTreeMap;

use capstan_model::Span;
use capstan_shapes::{Refusal, kms as shapes};
use shapes::{
    CustomerMasterKeySpec, EncryptionAlgorithmSpec as Encryption, KeyAgreementAlgorithmSpec, KeySpec,
    KeyState, KeyUsageType as Usage, MacAlgorithmSpec as Mac, OriginType, SigningAlgorithmSpec as Signing,
};

use super::{Key, edit, find, invalid_state, listed, policy, tag};
use crate::{Caller, Engine};

/// Days until a key goes away, where the request does not say (7 to 30).
const PENDING_DAYS: i32 = 30;

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateKeyRequest,
) -> Result<shapes::CreateKeyResponse, Refusal> {
    let older = request.customer_master_key_spec.and_then(|spec| KeySpec::parse(spec.as_str()));
    let spec = request.key_spec.or(older).unwrap_or(KeySpec::SymmetricDefault);
    let usage = match (request.key_usage, usages(spec)) {
        (Some(given), allowed) if allowed.contains(&given) => given,
        (None, [only]) => *only,
        (None, _) if spec == KeySpec::SymmetricDefault => Usage::EncryptDecrypt,
        (None, _) => {
            return Err(invalid(format!("You must specify a KeyUsage value for a key of the spec {spec}.")));
        }
        (Some(given), _) => {
            return Err(invalid(format!("KeyUsage {given} is not compatible with KeySpec {spec}")));
        }
    };
    let origin = request.origin.unwrap_or(OriginType::AwsKms);
    let in_store = matches!(origin, OriginType::AwsCloudhsm | OriginType::ExternalKeyStore);
    if in_store || request.custom_key_store_id.is_some() || request.xks_key_id.is_some() {
        return Err(Refusal::of(
            &shapes::CUSTOM_KEY_STORE_NOT_FOUND_EXCEPTION,
            "There are no custom key stores here: make a key with the origin AWS_KMS or EXTERNAL.",
        ));
    }
    if let Some(text) = &request.policy {
        policy::check(text)?;
    }
    let mut tags = BTreeMap::new();
    tag::extend(caller, &mut tags, request.tags.unwrap_or_default())?;
    let multi_region = request.multi_region == Some(true);
    let id = match multi_region {
        true => format!("mrk-{:032x}", cx.chance.u128("kms.key")),
        false => cx.chance.uuid("kms.key"),
    };
    let row = Key {
        arn: cx.arn("kms", format_args!("key/{id}")),
        id,
        created: cx.now,
        description: request.description.unwrap_or_default(),
        usage,
        spec,
        origin,
        multi_region,
        enabled: origin != OriginType::External,
        deletion: None,
        policy: request.policy.unwrap_or_else(|| policy::default(cx)),
        rotation: None,
        tags,
    };
    let key_metadata = Some(shown(cx, &row));
    cx.kms.keys.insert(row);
    Ok(shapes::CreateKeyResponse { key_metadata })
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", message)
}

/// What a key can be for, by its spec (KMS guide, key type reference).
fn usages(spec: KeySpec) -> &'static [Usage] {
    match spec {
        KeySpec::SymmetricDefault => &[Usage::EncryptDecrypt],
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => &[Usage::EncryptDecrypt, Usage::SignVerify],
        KeySpec::Sm2 => &[Usage::EncryptDecrypt, Usage::SignVerify, Usage::KeyAgreement],
        KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 => {
            &[Usage::SignVerify, Usage::KeyAgreement]
        }
        KeySpec::EccSecgP256k1
        | KeySpec::EccNistEdwards25519
        | KeySpec::MlDsa44
        | KeySpec::MlDsa65
        | KeySpec::MlDsa87 => &[Usage::SignVerify],
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
            &[Usage::GenerateVerifyMac]
        }
    }
}

fn encryption(spec: KeySpec) -> Vec<Encryption> {
    match spec {
        KeySpec::SymmetricDefault => vec![Encryption::SymmetricDefault],
        KeySpec::Sm2 => vec![Encryption::Sm2pke],
        _ => vec![Encryption::RsaesOaepSha1, Encryption::RsaesOaepSha256],
    }
}

fn signing(spec: KeySpec) -> Vec<Signing> {
    match spec {
        KeySpec::EccNistP256 | KeySpec::EccSecgP256k1 => vec![Signing::EcdsaSha256],
        KeySpec::EccNistP384 => vec![Signing::EcdsaSha384],
        KeySpec::EccNistP521 => vec![Signing::EcdsaSha512],
        KeySpec::EccNistEdwards25519 => vec![Signing::Ed25519Sha512, Signing::Ed25519PhSha512],
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => vec![Signing::MlDsaShake256],
        KeySpec::Sm2 => vec![Signing::Sm2dsa],
        _ => vec![
            Signing::RsassaPkcs1V15Sha256,
            Signing::RsassaPkcs1V15Sha384,
            Signing::RsassaPkcs1V15Sha512,
            Signing::RsassaPssSha256,
            Signing::RsassaPssSha384,
            Signing::RsassaPssSha512,
        ],
    }
}

fn mac(spec: KeySpec) -> Vec<Mac> {
    match spec {
        KeySpec::Hmac224 => vec![Mac::HmacSha224],
        KeySpec::Hmac384 => vec![Mac::HmacSha384],
        KeySpec::Hmac512 => vec![Mac::HmacSha512],
        _ => vec![Mac::HmacSha256],
    }
}

pub(super) fn shown(cx: &Engine, row: &Key) -> shapes::KeyMetadata {
    let state = match (row.deletion, row.origin, row.enabled) {
        (Some(_), _, _) => KeyState::PendingDeletion,
        (None, OriginType::External, false) => KeyState::PendingImport,
        (None, _, false) => KeyState::Disabled,
        (None, _, true) => KeyState::Enabled,
    };
    let primary =
        shapes::MultiRegionKey { arn: Some(row.arn.clone()), region: Some(cx.config.region.name.to_owned()) };
    shapes::KeyMetadata {
        aws_account_id: Some(cx.config.account.clone()),
        key_id: row.id.clone(),
        arn: Some(row.arn.clone()),
        creation_date: Some(row.created),
        enabled: Some(state == KeyState::Enabled),
        description: Some(row.description.clone()),
        key_usage: Some(row.usage),
        key_state: Some(state),
        deletion_date: row.deletion,
        origin: Some(row.origin),
        key_manager: Some(shapes::KeyManagerType::Customer),
        customer_master_key_spec: CustomerMasterKeySpec::parse(row.spec.as_str()),
        key_spec: Some(row.spec),
        encryption_algorithms: (row.usage == Usage::EncryptDecrypt).then(|| encryption(row.spec)),
        signing_algorithms: (row.usage == Usage::SignVerify).then(|| signing(row.spec)),
        key_agreement_algorithms: (row.usage == Usage::KeyAgreement)
            .then(|| vec![KeyAgreementAlgorithmSpec::Ecdh]),
        mac_algorithms: (row.usage == Usage::GenerateVerifyMac).then(|| mac(row.spec)),
        multi_region: Some(row.multi_region),
        multi_region_configuration: row.multi_region.then(|| shapes::MultiRegionConfiguration {
            multi_region_key_type: Some(shapes::MultiRegionKeyType::Primary),
            primary_key: Some(primary),
            replica_keys: Some(Vec::new()),
        }),
        ..shapes::KeyMetadata::default()
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeKeyRequest,
) -> Result<shapes::DescribeKeyResponse, Refusal> {
    Ok(shapes::DescribeKeyResponse { key_metadata: Some(shown(cx, find(cx, &request.key_id)?)) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListKeysRequest,
) -> Result<shapes::ListKeysResponse, Refusal> {
    let page = listed(cx.kms.keys.iter(), |row| row.id.clone(), request.marker, request.limit, 100)?;
    let shown =
        |row: &Key| shapes::KeyListEntry { key_id: Some(row.id.clone()), key_arn: Some(row.arn.clone()) };
    Ok(shapes::ListKeysResponse {
        keys: Some(page.items.into_iter().map(shown).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}

pub(super) fn describe_anew(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateKeyDescriptionRequest,
) -> Result<shapes::UpdateKeyDescriptionResponse, Refusal> {
    edit(cx, &request.key_id)?.description = request.description;
    Ok(shapes::UpdateKeyDescriptionResponse {})
}

pub(super) fn enable(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::EnableKeyRequest,
) -> Result<shapes::EnableKeyResponse, Refusal> {
    let mut row = edit(cx, &request.key_id)?;
    if row.origin == OriginType::External {
        return Err(invalid_state(format!("{} is pending import.", row.arn)));
    }
    row.enabled = true;
    Ok(shapes::EnableKeyResponse {})
}

pub(super) fn disable(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DisableKeyRequest,
) -> Result<shapes::DisableKeyResponse, Refusal> {
    edit(cx, &request.key_id)?.enabled = false;
    Ok(shapes::DisableKeyResponse {})
}

pub(super) fn schedule_deletion(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ScheduleKeyDeletionRequest,
) -> Result<shapes::ScheduleKeyDeletionResponse, Refusal> {
    let days = request.pending_window_in_days.unwrap_or(PENDING_DAYS);
    if !(7..=30).contains(&days) {
        return Err(invalid("PendingWindowInDays must be between 7 and 30."));
    }
    let at = cx.now + Span::from_hours(24 * i64::from(days));
    let mut row = edit(cx, &request.key_id)?;
    row.deletion = Some(at);
    row.enabled = false;
    Ok(shapes::ScheduleKeyDeletionResponse {
        key_id: Some(row.arn.clone()),
        deletion_date: Some(at),
        key_state: Some(KeyState::PendingDeletion),
        pending_window_in_days: Some(days),
    })
}

/// The key is there again, disabled.
pub(super) fn cancel_deletion(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CancelKeyDeletionRequest,
) -> Result<shapes::CancelKeyDeletionResponse, Refusal> {
    let key = find(cx, &request.key_id)?;
    let (id, arn) = (key.id.clone(), key.arn.clone());
    if key.deletion.is_none() {
        return Err(invalid_state(format!("{arn} is not pending deletion.")));
    }
    if let Some(mut row) = cx.kms.keys.edit(&id) {
        row.deletion = None;
    }
    Ok(shapes::CancelKeyDeletionResponse { key_id: Some(arn) })
}

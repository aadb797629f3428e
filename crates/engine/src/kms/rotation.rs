//! Rotation of keys, as it is said to be.

use capstan_model::Span;
use capstan_shapes::{Refusal, kms as shapes};
use shapes::{KeySpec, OriginType};

use super::{Key, edit, find};
use crate::kernel::Edit;
use crate::{Caller, Engine};

/// Days between rotations where the request does not say.
const PERIOD_DAYS: i32 = 365;

/// A key that can rotate: symmetric, with material of KMS, and not disabled.
fn rotating<'a>(cx: &'a mut Engine, id: &str) -> Result<Edit<'a, Key>, Refusal> {
    let row = edit(cx, id)?;
    if row.spec != KeySpec::SymmetricDefault || row.origin != OriginType::AwsKms {
        return Err(Refusal::of(
            &shapes::UNSUPPORTED_OPERATION_EXCEPTION,
            format!("{} cannot rotate: only symmetric encryption keys of the origin AWS_KMS do.", row.arn),
        ));
    }
    if !row.enabled {
        return Err(Refusal::of(&shapes::DISABLED_EXCEPTION, format!("{} is disabled.", row.arn)));
    }
    Ok(row)
}

pub(super) fn enable(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::EnableKeyRotationRequest,
) -> Result<shapes::EnableKeyRotationResponse, Refusal> {
    let now = cx.now;
    let mut row = rotating(cx, &request.key_id)?;
    let since = row.rotation.map_or(now, |(_, since)| since);
    row.rotation = Some((request.rotation_period_in_days.unwrap_or(PERIOD_DAYS), since));
    Ok(shapes::EnableKeyRotationResponse {})
}

pub(super) fn disable(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DisableKeyRotationRequest,
) -> Result<shapes::DisableKeyRotationResponse, Refusal> {
    rotating(cx, &request.key_id)?.rotation = None;
    Ok(shapes::DisableKeyRotationResponse {})
}

pub(super) fn status(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetKeyRotationStatusRequest,
) -> Result<shapes::GetKeyRotationStatusResponse, Refusal> {
    let row = find(cx, &request.key_id)?;
    if row.spec != KeySpec::SymmetricDefault || row.origin != OriginType::AwsKms {
        return Err(Refusal::of(
            &shapes::UNSUPPORTED_OPERATION_EXCEPTION,
            format!("{} cannot rotate: only symmetric encryption keys of the origin AWS_KMS do.", row.arn),
        ));
    }
    // Rotation rests while the key waits for its end.
    let rotation = row.rotation.filter(|_| row.deletion.is_none());
    let next = |(days, since): (i32, capstan_model::Time)| {
        let period = Span::from_hours(24 * i64::from(days.max(1)));
        let past = (cx.now - since).as_secs() / period.as_secs();
        since + Span::from_secs(period.as_secs() * (past + 1))
    };
    Ok(shapes::GetKeyRotationStatusResponse {
        key_rotation_enabled: Some(rotation.is_some()),
        key_id: Some(row.arn.clone()),
        rotation_period_in_days: rotation.map(|(days, _)| days),
        next_rotation_date: rotation.map(next),
        on_demand_rotation_start_date: None,
    })
}

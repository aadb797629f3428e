//! Capabilities: what callers must acknowledge about a template.

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{Capability, INSUFFICIENT_CAPABILITIES_EXCEPTION};
use capstan_template::Template;

/// Refuses a template that needs more than the caller acknowledges. `CAPABILITY_NAMED_IAM` includes `CAPABILITY_IAM`.
pub(super) fn check(template: &Template, acknowledged: &[Capability]) -> Result<(), Refusal> {
    let has = |name: &str| {
        acknowledged.iter().any(|capability| {
            capability.as_str() == name
                || (name == "CAPABILITY_IAM" && *capability == Capability::CapabilityNamedIam)
        })
    };
    let missing: Vec<&str> = template.capabilities().into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::of(
        &INSUFFICIENT_CAPABILITIES_EXCEPTION,
        format!("Requires capabilities : [{}]", missing.join(", ")),
    ))
}

//! IAM's resource types.

mod identity;
mod instance_profile;
mod managed_policy;
mod policy;
mod service_linked_role;

use capstan_shapes::Refusal;

use crate::cloudformation::resource::Handler;

const INERT: &str = "policies are stored and read back, not enforced";

pub(super) const HANDLERS: &[Handler] = &[
    identity::GROUP,
    identity::ROLE,
    identity::USER,
    instance_profile::HANDLER,
    managed_policy::HANDLER,
    policy::HANDLER,
    service_linked_role::HANDLER,
];

/// What was to be taken away may be gone already, with whatever it was part of.
fn or_absent<T>(answer: Result<T, Refusal>) -> Result<(), Refusal> {
    match answer {
        Err(refusal) if refusal.code != "NoSuchEntity" => Err(refusal),
        _ => Ok(()),
    }
}

//! What acts, what is accepted without effect, and what is absent, as `/_capstan/coverage` tells it.

use capstan_shapes::SERVICES;
use serde_json::{Value, json};

/// Settings of a service that are taken and do nothing: `(Operation.member, why)`.
pub type Inert = (&'static str, &'static [(&'static str, &'static str)]);

/// Every service with its operations, all of which act: the engine does not compile without a handler for each that has
/// shapes. Operations of AWS that are not built are absent and answer 501.
pub fn coverage(inert: &[Inert]) -> Value {
    let services = SERVICES.iter().map(|service| {
        let operations: Vec<&str> = service.operations.iter().map(|operation| operation.name).collect();
        let of_service =
            inert.iter().filter(|(name, _)| *name == service.name).flat_map(|(_, list)| list.iter());
        let without_effect: Vec<Value> =
            of_service.map(|(setting, why)| json!({ "setting": setting, "why": why })).collect();
        let protocols: Vec<String> =
            service.protocols.iter().map(|protocol| format!("{protocol:?}")).collect();
        json!({
            "name": service.name,
            "version": service.version,
            "protocols": protocols,
            "acts": operations,
            "acceptedWithoutEffect": without_effect,
            "absent": "every other operation of this service: it answers 501 NotImplemented",
        })
    });
    json!({
        "services": services.collect::<Vec<_>>(),
        "absent": "every other AWS service: a request to it answers 501 NotImplemented",
    })
}

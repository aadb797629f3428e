//! What is built, as `/_capstan/coverage` tells it.

use capstan_shapes::SERVICES;
use serde_json::{Value, json};

/// A parameter that is accepted and has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ineffective {
    /// As in the coverage: `ecs`.
    pub service: &'static str,
    pub operation: &'static str,
    /// From the request down: `networkConfiguration.awsvpcConfiguration`.
    pub parameter: &'static str,
}

/// Every service with its operations that act. Operations of AWS that are not built are absent; `is_built` (service,
/// operation) leaves out those that have a shape and no behaviour.
pub fn coverage(is_built: impl Fn(&str, &str) -> bool, ineffective: &[Ineffective]) -> Value {
    let services = SERVICES.iter().map(|service| {
        let built = service.operations.iter().filter(|operation| is_built(service.name, operation.name));
        let operations = built.map(|operation| {
            let here = ineffective
                .iter()
                .filter(|entry| entry.service == service.name && entry.operation == operation.name);
            let without_effect: Vec<_> = here.map(|entry| entry.parameter).collect();
            json!({ "name": operation.name, "acts": true, "parametersWithoutEffect": without_effect })
        });
        let protocols = service.protocols.iter().map(|protocol| format!("{protocol:?}"));
        json!({
            "name": service.name,
            "version": service.version,
            "protocols": protocols.collect::<Vec<_>>(),
            "operations": operations.collect::<Vec<_>>(),
        })
    });
    json!({ "services": services.collect::<Vec<_>>() })
}

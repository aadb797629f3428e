//! Cloud Map: private DNS namespaces and their services. Nothing is registered in them and no name is resolved.

mod namespace;
mod operation;
mod rows;
mod service;
mod tag;
#[cfg(test)]
mod tests;

use capstan_shapes::{Refusal, servicediscovery};

use crate::kernel::{Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub use rows::{Namespace, Operation, Service};

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreatePrivateDnsNamespace.Name", "kept and shown; there is no DNS server that knows it"),
    ("CreatePrivateDnsNamespace.Vpc", "kept; that the VPC exists is not checked"),
    ("CreateService.DnsConfig", "kept and shown; no records are made"),
    ("CreateService.HealthCheckConfig", "kept and shown; nothing is checked"),
    ("CreateService.HealthCheckCustomConfig", "kept and shown; nothing is checked"),
    ("GetOperation.OwnerAccount", "nothing is shared between accounts"),
];

/// The tables of Cloud Map.
#[derive(Clone, Debug, Default)]
pub struct ServiceDiscovery {
    namespaces: Table<Namespace>,
    operations: Table<Operation>,
    services: Table<Service>,
}

impl ServiceDiscovery {
    pub fn namespaces(&self) -> &Table<Namespace> {
        &self.namespaces
    }

    pub fn services(&self) -> &Table<Service> {
        &self.services
    }
}

tables!(ServiceDiscovery { namespaces, operations, services });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: servicediscovery::Request,
) -> Result<servicediscovery::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, servicediscovery {
        CreatePrivateDnsNamespace => namespace::create,
        CreateService => service::create,
        DeleteNamespace => namespace::delete,
        DeleteService => service::delete,
        GetNamespace => namespace::get,
        GetOperation => operation::get,
        GetService => service::get,
        ListNamespaces => namespace::list,
        ListOperations => operation::list,
        ListServices => service::list,
        ListTagsForResource => tag::list,
        TagResource => tag::add,
        UntagResource => tag::remove,
        UpdatePrivateDnsNamespace => namespace::update,
        UpdateService => service::update,
    }))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&servicediscovery::INVALID_INPUT, message)
}

/// A page of up to `max` items, 100 where the request does not say.
fn listed<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    max: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(100);
    page(items, key, token, size).map_err(|()| invalid("The next token is not valid."))
}

/// An id: a prefix and small letters and digits.
fn id(cx: &mut Engine, prefix: &str, length: usize) -> String {
    crate::iam::code(prefix, length, cx.chance.u128("servicediscovery.id")).to_lowercase()
}

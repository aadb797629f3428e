//! Where a reported port really answers. Several instances share this machine, so two of them may both report host port
//! 80; the balancer asks here for the socket.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, RwLock};

use capstan_model::InstanceId;

/// Shared, cheap to clone. Only TCP ports are in it. An entry lives from its container's start (before that is
/// reported) until the container is gone.
#[derive(Clone, Debug, Default)]
pub struct AddressBook(Arc<RwLock<BTreeMap<Key, SocketAddr>>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// An instance and the host port that was reported.
    Instance(InstanceId, u16),
    /// The address of a task's own interface and a container port.
    Task(IpAddr, u16),
}

impl AddressBook {
    /// The socket behind a reported host port of an instance (target type `instance`).
    pub fn of_instance(&self, instance: InstanceId, host_port: u16) -> Option<SocketAddr> {
        self.get(&Key::Instance(instance, host_port))
    }

    /// The socket behind a port of a task's own address (target type `ip`).
    pub fn of_task_ip(&self, ip: IpAddr, container_port: u16) -> Option<SocketAddr> {
        self.get(&Key::Task(ip, container_port))
    }

    fn get(&self, key: &Key) -> Option<SocketAddr> {
        self.0.read().unwrap_or_else(|e| e.into_inner()).get(key).copied()
    }

    pub(crate) fn insert(&self, key: Key, socket: SocketAddr) {
        self.0.write().unwrap_or_else(|e| e.into_inner()).insert(key, socket);
    }

    /// Removes the entry, unless the key has been given to another socket since.
    pub(crate) fn remove(&self, key: &Key, socket: SocketAddr) {
        let mut entries = self.0.write().unwrap_or_else(|e| e.into_inner());
        if entries.get(key) == Some(&socket) {
            entries.remove(key);
        }
    }
}

//! Free ports of 127.0.0.1.
//!
//! A port is chosen by binding it, and released for the process that will bind it again. Between the two somebody else
//! could take it, so: ports that this pool gave out are not given out again until they are returned, and they are taken
//! from above the kernel's own range, in which connections of clients come and go.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::spec::Protocol;

/// With fewer ports than this above the kernel's range, the kernel chooses.
const WORTHWHILE: u16 = 1_000;

#[derive(Debug)]
pub(crate) struct PortPool {
    range: Option<RangeInclusive<u16>>,
    next: u16,
    taken: BTreeSet<(Protocol, u16)>,
}

impl PortPool {
    pub(crate) fn new() -> Self {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
            .ok()
            .and_then(|text| above_kernel_range(&text));
        // Pools on one machine start at different places.
        static POOLS: AtomicU32 = AtomicU32::new(0);
        let pool = POOLS.fetch_add(1, Ordering::Relaxed);
        let next = range.as_ref().map_or(0, |range| {
            let ports = u32::from(range.end() - range.start()) + 1;
            let step = std::process::id().wrapping_mul(61).wrapping_add(pool.wrapping_mul(127)) % ports;
            range.start() + step as u16
        });
        Self { range, next, taken: BTreeSet::new() }
    }

    /// `wanted` when it is not 0 and is free, else another free port; `None` when this host has none left.
    pub(crate) fn take(&mut self, protocol: Protocol, wanted: u16) -> Option<u16> {
        let port = self.free(protocol, wanted)?;
        self.taken.insert((protocol, port));
        Some(port)
    }

    pub(crate) fn give_back(&mut self, protocol: Protocol, port: u16) {
        self.taken.remove(&(protocol, port));
    }

    fn free(&mut self, protocol: Protocol, wanted: u16) -> Option<u16> {
        if wanted != 0 && !self.taken.contains(&(protocol, wanted)) && bind(protocol, wanted).is_some() {
            return Some(wanted);
        }
        if let Some(range) = self.range.clone() {
            for _ in range.clone() {
                let port = self.next;
                self.next = if port == *range.end() { *range.start() } else { port + 1 };
                if !self.taken.contains(&(protocol, port)) && bind(protocol, port).is_some() {
                    return Some(port);
                }
            }
        }
        // The kernel does not offer the same port again at once; a few tries pass over those already given out.
        (0..64).find_map(|_| bind(protocol, 0).filter(|port| !self.taken.contains(&(protocol, *port))))
    }
}

/// Binds and releases; the port that was bound.
fn bind(protocol: Protocol, port: u16) -> Option<u16> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let bound = match protocol {
        Protocol::Tcp => TcpListener::bind(address).and_then(|socket| socket.local_addr()),
        Protocol::Udp => UdpSocket::bind(address).and_then(|socket| socket.local_addr()),
    };
    bound.ok().map(|address| address.port())
}

/// The ports above the kernel's range, given as `lowest highest`; `None` when there are too few.
fn above_kernel_range(text: &str) -> Option<RangeInclusive<u16>> {
    let highest: u16 = text.split_whitespace().nth(1)?.parse().ok()?;
    let first = highest.checked_add(1)?;
    (u16::MAX - first >= WORTHWHILE).then_some(first..=u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, expect: Option<RangeInclusive<u16>>| {
            assert_eq!(above_kernel_range(text), expect, "{text}");
        };
        check("32768\t60999\n", Some(61_000..=65_535));
        check("1024 65535", None);
        check("1024 65000", None);
        check("1024", None);
        check("", None);
        check("a b", None);
    }

    #[test]
    fn gives_a_port_once_and_a_taken_one_never() {
        let mut pool = PortPool::new();
        let first = pool.take(Protocol::Tcp, 0).expect("a port");
        let second = pool.take(Protocol::Tcp, first).expect("a port");
        assert_ne!(first, second, "already given out");
        assert_eq!(pool.take(Protocol::Udp, first), Some(first), "UDP has its own ports");
        pool.give_back(Protocol::Tcp, first);
        assert_eq!(pool.take(Protocol::Tcp, first), Some(first));

        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let held = holder.local_addr().expect("an address").port();
        assert_ne!(pool.take(Protocol::Tcp, held), Some(held), "held by somebody else");
    }

    #[test]
    fn the_kernel_chooses_where_there_is_no_range() {
        let mut pool = PortPool { range: None, next: 0, taken: BTreeSet::new() };
        let ports: BTreeSet<_> = (0..20).map(|_| pool.take(Protocol::Tcp, 0)).collect();
        assert_eq!(ports.len(), 20);
        assert!(!ports.contains(&None));
    }
}

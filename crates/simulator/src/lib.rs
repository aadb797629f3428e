//! The virtual driver: event queue, virtual hosts, scenarios.

//! The HTTP data plane: listeners, rules, target groups, health checks, draining.

//! The instance catalogue: what a type has and what it costs.

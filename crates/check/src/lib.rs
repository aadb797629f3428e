//! Invariants over the engine's state and over one step.

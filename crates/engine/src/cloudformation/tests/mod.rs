//! Stacks through the engine's door.

//! The live driver: gateway, engine thread, executor.

//! AWS protocols over shapes, error bodies, SigV4.

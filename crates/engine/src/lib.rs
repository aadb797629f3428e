//! The state machine: a kernel and one room per AWS service.

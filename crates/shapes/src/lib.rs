//! AWS request and response types, generated from the service models, with their constraints.

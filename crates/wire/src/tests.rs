//! What goes over the wire and comes back, and the exact words of errors.

mod client;
mod errors;
mod rest_client;
mod round_trip;
mod routes;
mod values;

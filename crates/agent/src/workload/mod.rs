//! Images that Capstan brings itself: `capstan/web`.

pub mod web;
mod web_body;
mod web_options;

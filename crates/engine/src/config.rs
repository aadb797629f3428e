//! What an engine is told at its start.

use capstan_market::Market;
use capstan_model::{Region, region};

/// Settings that hold for an engine's whole life.
#[derive(Clone, Debug)]
pub struct Config {
    pub region: &'static Region,
    /// Twelve digits.
    pub account: String,
    /// Root of all chance.
    pub seed: u64,
    /// Where agents reach the API: `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// What Spot costs, and how much of it there is.
    pub market: Market,
    /// Whether CloudTrail keeps a record of every call. It costs a copy of each request.
    pub trail: bool,
    /// Spot Instances that one action of an experiment may interrupt: AWS's quota, 100 today, 5 in its console and older
    /// pages (FIS guide, fis-quotas).
    pub fis_spot_targets: usize,
    /// Whether stacks may have resources of types that Capstan does not have: placeholders stand for them.
    pub lenient_templates: bool,
}

impl Config {
    /// `us-east-1`, account `000000000000` (as local AWS endpoints have it), with that seed, a calm market and no trail.
    pub fn new(seed: u64) -> Self {
        let region = region("us-east-1").expect("the catalogue has us-east-1");
        Self {
            region,
            account: "000000000000".to_owned(),
            seed,
            endpoint: "http://127.0.0.1:4566".to_owned(),
            market: Market::Calm,
            trail: false,
            fis_spot_targets: crate::fis::SPOT_TARGETS,
            lenient_templates: false,
        }
    }
}

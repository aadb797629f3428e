//! DescribeSpotPriceHistory (EC2 guide, using-spot-instances-history): what pools have cost, latest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capstan_market::Pool;
use capstan_model::{MicroDollars, Span, Time, catalogue};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    DescribeSpotPriceHistoryRequest, DescribeSpotPriceHistoryResponse, RIProductDescription, SpotPrice,
};

use crate::ec2::filter::Filters;
use crate::ec2::{Tags, dry_run, invalid};
use crate::{Caller, Engine};

/// How far prices are told back.
const KEPT: Span = Span::from_hours(90 * 24);
/// The most that a page holds, and what it holds unless told.
const PAGE_MAX: i32 = 1000;
/// Since when a price holds that never changes: the beginning of its day.
const DAY: Span = Span::from_hours(24);

/// What Linux is called; there is no other system here.
const PRODUCTS: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];

const FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "instance-type",
    "product-description",
    "spot-price",
    "timestamp",
];

/// One price of a pool. The order is that of the answer: latest first, then by type and zone.
type Entry = (Time, Reverse<Pool>);

pub(in crate::ec2) fn history(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeSpotPriceHistoryRequest,
) -> Result<DescribeSpotPriceHistoryResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let size = match request.max_results {
        None => PAGE_MAX,
        Some(size @ 1..=PAGE_MAX) => size,
        Some(size) => {
            return Err(invalid(format!(
                "Value ( {size} ) for parameter maxResults is invalid. Expecting a value from 1 to {PAGE_MAX}."
            )));
        }
    };
    let to = request.end_time.unwrap_or(cx.now).min(cx.now);
    let from = request.start_time.unwrap_or(cx.now - KEPT).max(cx.now - KEPT);
    if let (Some(start), Some(end)) = (request.start_time, request.end_time)
        && start > end
    {
        return Err(invalid("The start time must not be after the end time."));
    }
    let resume = match request.next_token.as_deref().filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => Some(
            decode(token)
                .ok_or_else(|| Refusal::new("InvalidNextToken", "The specified NextToken is not valid."))?,
        ),
    };
    let linux = request.product_descriptions.as_ref().is_none_or(|wanted| {
        wanted.is_empty() || wanted.iter().any(|each| PRODUCTS.contains(&each.as_str()))
    });
    let market = &cx.config.market;
    // The price in force at that moment, with its beginning.
    let entry = |pool: Pool, at: Time| -> Entry {
        (market.price_since(pool, at).unwrap_or_else(|| from.floor(DAY)), Reverse(pool))
    };
    let mut latest = BinaryHeap::new();
    for pool in pools(cx, &request).into_iter().filter(|_| linux && from <= to) {
        let mut first = entry(pool, resume.map_or(to, |(time, _)| to.min(time)));
        if resume.is_some_and(|(time, at)| first > (time, Reverse(at))) {
            let earlier = entry(pool, first.0 - Span::from_micros(1));
            // A price that has held since ever was told.
            if earlier.0 == first.0 {
                continue;
            }
            first = earlier;
        }
        // The one that was in force when the period began is the last; an earlier page has told it.
        if first.0 >= entry(pool, from.min(to)).0 {
            latest.push(first);
        }
    }
    let (mut found, mut next_token) = (Vec::new(), None);
    while let Some((time, Reverse(pool))) = latest.pop() {
        let price = market.price(pool, time.max(from.floor(DAY))).unwrap_or_default();
        if fits(&filters, pool, time, price) {
            if found.len() >= usize::try_from(size).unwrap_or(usize::MAX) {
                next_token = Some(encode(time, pool));
                break;
            }
            found.push(described(pool, time, price));
        }
        if time > from {
            let earlier = entry(pool, time - Span::from_micros(1));
            if earlier.0 < time {
                latest.push(earlier);
            }
        }
    }
    Ok(DescribeSpotPriceHistoryResponse { next_token, spot_price_history: Some(found) })
}

/// The pools of the region that the request's own parameters ask for.
fn pools(cx: &Engine, request: &DescribeSpotPriceHistoryRequest) -> Vec<Pool> {
    let types = request.instance_types.as_deref().unwrap_or_default();
    let (zone_name, zone_id) = (&request.availability_zone, &request.availability_zone_id);
    let zones = cx.config.region.zones.iter().filter(|zone| {
        zone_name.as_deref().is_none_or(|name| name == zone.name)
            && zone_id.as_deref().is_none_or(|id| id == zone.id)
    });
    let named = |kind: &catalogue::InstanceType| types.is_empty() || types.contains(&kind.name);
    let kinds = || catalogue::all().iter().filter(|kind| named(kind));
    zones
        .flat_map(|zone| kinds().map(move |instance_type| Pool { instance_type, zone }))
        .filter(|pool| pool.listed_price().is_some())
        .collect()
}

fn fits(filters: &Filters<'_>, pool: Pool, time: Time, price: MicroDollars) -> bool {
    filters.fit(&Tags::new(), |name, put| match name {
        "availability-zone" => put(pool.zone.name),
        "availability-zone-id" => put(pool.zone.id),
        "instance-type" => put(&pool.instance_type.name),
        "product-description" => PRODUCTS.into_iter().for_each(put),
        "spot-price" => {
            put(&price.to_string());
            put(&price.decimal());
        }
        "timestamp" => put(&time.iso_millis()),
        _ => {}
    })
}

fn described(pool: Pool, time: Time, price: MicroDollars) -> SpotPrice {
    SpotPrice {
        availability_zone: Some(pool.zone.name.into()),
        availability_zone_id: Some(pool.zone.id.into()),
        instance_type: Some(pool.instance_type.name.clone()),
        product_description: Some(RIProductDescription::LinuxUnix),
        spot_price: Some(price.to_string()),
        timestamp: Some(time.floor(Span::from_secs(1))),
    }
}

fn encode(time: Time, pool: Pool) -> String {
    let text = format!("{} {} {}", time.as_micros(), pool.instance_type.name, pool.zone.name);
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(token: &str) -> Option<(Time, Pool)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.split(' ');
    let time = Time::from_micros(parts.next()?.parse().ok()?);
    let pool = Pool::find(parts.next()?, parts.next()?)?;
    parts.next().is_none().then_some((time, pool))
}

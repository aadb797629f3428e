//! Prefix lists of AWS: the services that gateway endpoints lead to. Nobody else's exist here.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    DescribeManagedPrefixListsRequest, DescribeManagedPrefixListsResponse, DescribePrefixListsRequest,
    DescribePrefixListsResponse, Filter, ManagedPrefixList, PrefixList, PrefixListState,
};

use crate::ec2::filter::{Filters, TAGS};
use crate::ec2::{Tags, digest, dry_run, page_of};
use crate::{Caller, Engine};

/// Services with gateway endpoints (VPC guide, gateway endpoints).
pub(super) const SERVICES: &[&str] = &["dynamodb", "s3"];

/// Id and name of a service's list.
struct List {
    id: String,
    name: String,
}

/// The id of the list of a service, by its whole name: `com.amazonaws.eu-west-1.s3`.
pub(super) fn id_of(name: &str) -> String {
    format!("pl-{:08x}", digest(name.bytes()) >> 32)
}

fn lists(
    cx: &Engine,
    ids: Option<&Vec<String>>,
    filters: Option<&Vec<Filter>>,
) -> Result<Vec<List>, Refusal> {
    let filters = Filters::new(filters, &["owner-id", "prefix-list-id", "prefix-list-name", TAGS])?;
    let name = |service: &&str| format!("com.amazonaws.{}.{service}", cx.config.region.name);
    let all: Vec<List> = SERVICES.iter().map(name).map(|name| List { id: id_of(&name), name }).collect();
    let ids = ids.map_or(&[][..], Vec::as_slice);
    if let Some(id) = ids.iter().find(|id| !all.iter().any(|list| list.id == **id)) {
        return Err(Refusal::new(
            "InvalidPrefixListID.NotFound",
            format!("The prefix list ID '{id}' does not exist"),
        ));
    }
    let fits = |list: &List| {
        (ids.is_empty() || ids.contains(&list.id))
            && filters.fit(&Tags::new(), |name, put| match name {
                "owner-id" => put("AWS"),
                "prefix-list-id" => put(&list.id),
                "prefix-list-name" => put(&list.name),
                _ => {}
            })
    };
    Ok(all.into_iter().filter(fits).collect())
}

/// Without addresses: the services answer on this machine.
pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribePrefixListsRequest,
) -> Result<DescribePrefixListsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let lists = lists(cx, request.prefix_list_ids.as_ref(), request.filters.as_ref())?;
    let page = page_of(lists, |list| list.name.clone(), request.next_token.as_deref(), request.max_results)?;
    let told = |list: List| PrefixList {
        cidrs: Some(Vec::new()),
        prefix_list_id: Some(list.id),
        prefix_list_name: Some(list.name),
    };
    Ok(DescribePrefixListsResponse {
        next_token: page.next,
        prefix_lists: Some(page.items.into_iter().map(told).collect()),
    })
}

pub(in crate::ec2) fn describe_managed(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeManagedPrefixListsRequest,
) -> Result<DescribeManagedPrefixListsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let lists = lists(cx, request.prefix_list_ids.as_ref(), request.filters.as_ref())?;
    let page = page_of(lists, |list| list.name.clone(), request.next_token.as_deref(), request.max_results)?;
    let region = cx.config.region.name;
    let told = |list: List| ManagedPrefixList {
        prefix_list_arn: Some(format!("arn:aws:ec2:{region}:aws:prefix-list/{}", list.id)),
        prefix_list_id: Some(list.id),
        address_family: Some("IPv4".into()),
        state: Some(PrefixListState::CreateComplete),
        prefix_list_name: Some(list.name),
        tags: Some(Vec::new()),
        owner_id: Some("AWS".into()),
        ..ManagedPrefixList::default()
    };
    Ok(DescribeManagedPrefixListsResponse {
        next_token: page.next,
        prefix_lists: Some(page.items.into_iter().map(told).collect()),
    })
}

//! Route tables and what they are tied to.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AssociateRouteTableRequest, AssociateRouteTableResponse, CreateRouteTableRequest,
    CreateRouteTableResponse, DeleteRouteTableRequest, DeleteRouteTableResponse, DescribeRouteTablesRequest,
    DescribeRouteTablesResponse, DisassociateRouteTableRequest, DisassociateRouteTableResponse,
    ReplaceRouteTableAssociationRequest, ReplaceRouteTableAssociationResponse, RouteTableAssociation,
    RouteTableAssociationState, RouteTableAssociationStateCode,
};

use super::resource::{Resource, find, repeated};
use super::{RouteTable, RouteTableUse, ask, in_use, listed, route, select, tags_of, yes};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, draw_id, dry_run, missing};
use crate::{Caller, Engine};

/// Puts a table in; the id.
pub(super) fn insert(cx: &mut Engine, vpc: &str, client_token: Option<String>, tags: Tags) -> String {
    let id = draw_id(cx, "rtb", "ec2.route-table-id");
    let table =
        RouteTable { id: id.clone(), vpc: vpc.to_owned(), routes: Default::default(), client_token, tags };
    cx.ec2.network.route_tables.insert(table);
    id
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateRouteTableRequest,
) -> Result<CreateRouteTableResponse, Refusal> {
    let client_token = request.client_token;
    if let Some(made) = repeated(&cx.ec2.network.route_tables, client_token.as_ref()) {
        return Ok(CreateRouteTableResponse { route_table: Some(described(cx, made)), client_token });
    }
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?.id.clone();
    let tags = tags_of::<RouteTable>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let id = insert(cx, &vpc, client_token.clone(), tags);
    let table = find(&cx.ec2.network.route_tables, &id)?;
    Ok(CreateRouteTableResponse { route_table: Some(described(cx, table)), client_token })
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteRouteTableRequest,
) -> Result<DeleteRouteTableResponse, Refusal> {
    let id = request.route_table_id;
    let table = find(&cx.ec2.network.route_tables, &id)?;
    if !uses(cx, table).is_empty() {
        return Err(in_use(RouteTable::NOUN, &id));
    }
    dry_run(request.dry_run)?;
    cx.ec2.network.route_tables.remove(&id);
    let through = cx.ec2.network.endpoints.iter().filter(|row| row.route_tables.contains(&id));
    for endpoint in through.map(|row| row.id.clone()).collect::<Vec<_>>() {
        if let Some(mut row) = cx.ec2.network.endpoints.edit(&endpoint) {
            row.route_tables.retain(|table| *table != id);
        }
    }
    Ok(DeleteRouteTableResponse {})
}

/// What the table is tied to: the VPC as its main one (no subnet) and subnets.
fn uses<'a>(cx: &'a Engine, table: &RouteTable) -> Vec<(&'a RouteTableUse, Option<&'a str>)> {
    let network = &cx.ec2.network;
    let main = network.vpcs.get(&table.vpc).map(|vpc| (&vpc.main_route_table, None));
    let subnets = network.subnets.iter();
    let subnets = subnets.filter_map(|row| Some((row.route_table.as_ref()?, Some(row.id.as_str()))));
    main.into_iter().chain(subnets).filter(|(of, _)| of.table == table.id).collect()
}

/// What an association's id stands for.
enum Owner {
    /// The main table of that VPC.
    Vpc(String),
    Subnet(String),
}

fn owner(cx: &Engine, association: &str) -> Result<Owner, Refusal> {
    let network = &cx.ec2.network;
    if let Some(vpc) = network.vpcs.iter().find(|row| row.main_route_table.association == association) {
        return Ok(Owner::Vpc(vpc.id.clone()));
    }
    let is = |of: &RouteTableUse| of.association == association;
    let subnet = network.subnets.iter().find(|row| row.route_table.as_ref().is_some_and(is));
    subnet.map(|row| Owner::Subnet(row.id.clone())).ok_or_else(|| no_association(association))
}

pub(super) fn no_association(id: &str) -> Refusal {
    Refusal::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
}

fn associated() -> Option<RouteTableAssociationState> {
    let state = Some(RouteTableAssociationStateCode::Associated);
    Some(RouteTableAssociationState { state, status_message: None })
}

pub(in crate::ec2) fn associate(
    cx: &mut Engine,
    _caller: &Caller,
    request: AssociateRouteTableRequest,
) -> Result<AssociateRouteTableResponse, Refusal> {
    if request.gateway_id.is_some() || request.public_ipv4_pool.is_some() {
        return Err(Refusal::new(
            "UnsupportedOperation",
            "Route tables are associated with subnets only here, not with gateways or pools.",
        ));
    }
    let network = &cx.ec2.network;
    let table = find(&network.route_tables, &request.route_table_id)?;
    let subnet = network.subnet(request.subnet_id.as_deref().ok_or_else(|| missing("subnetId"))?)?;
    same_vpc(&table.vpc, &subnet.vpc, &table.id, &subnet.id)?;
    let (table, id) = (table.id.clone(), subnet.id.clone());
    if let Some(of) = &subnet.route_table {
        if of.table == table {
            return Ok(AssociateRouteTableResponse {
                association_id: Some(of.association.clone()),
                association_state: associated(),
            });
        }
        return Err(Refusal::new(
            "Resource.AlreadyAssociated",
            format!(
                "the specified association for route table {table} conflicts with an existing association"
            ),
        ));
    }
    dry_run(request.dry_run)?;
    let association = draw_id(cx, "rtbassoc", "ec2.route-table-association-id");
    if let Some(mut subnet) = cx.ec2.network.subnets.edit(&id) {
        subnet.route_table = Some(RouteTableUse { association: association.clone(), table });
    }
    Ok(AssociateRouteTableResponse { association_id: Some(association), association_state: associated() })
}

fn same_vpc(a: &str, b: &str, table: &str, subnet: &str) -> Result<(), Refusal> {
    if a == b {
        return Ok(());
    }
    let message = format!("Route table {table} and network {subnet} belong to different networks");
    Err(Refusal::new("InvalidParameterValue", message))
}

pub(in crate::ec2) fn disassociate(
    cx: &mut Engine,
    _caller: &Caller,
    request: DisassociateRouteTableRequest,
) -> Result<DisassociateRouteTableResponse, Refusal> {
    let association = request.association_id;
    match owner(cx, &association)? {
        Owner::Vpc(_) => Err(crate::ec2::invalid(format!(
            "cannot disassociate the main route table association {association}"
        ))),
        Owner::Subnet(id) => {
            dry_run(request.dry_run)?;
            if let Some(mut subnet) = cx.ec2.network.subnets.edit(&id) {
                subnet.route_table = None;
            }
            Ok(DisassociateRouteTableResponse {})
        }
    }
}

pub(in crate::ec2) fn replace_association(
    cx: &mut Engine,
    _caller: &Caller,
    request: ReplaceRouteTableAssociationRequest,
) -> Result<ReplaceRouteTableAssociationResponse, Refusal> {
    let owner = owner(cx, &request.association_id)?;
    let network = &cx.ec2.network;
    let table = find(&network.route_tables, &request.route_table_id)?;
    let (id, vpc) = match &owner {
        Owner::Vpc(id) => (id, id),
        Owner::Subnet(id) => (id, &network.subnet(id)?.vpc),
    };
    same_vpc(&table.vpc, vpc, &table.id, id)?;
    dry_run(request.dry_run)?;
    let table = table.id.clone();
    let association = draw_id(cx, "rtbassoc", "ec2.route-table-association-id");
    let new = RouteTableUse { association: association.clone(), table };
    let network = &mut cx.ec2.network;
    match owner {
        Owner::Vpc(id) => {
            if let Some(mut vpc) = network.vpcs.edit(&id) {
                vpc.main_route_table = new;
            }
        }
        Owner::Subnet(id) => {
            if let Some(mut subnet) = network.subnets.edit(&id) {
                subnet.route_table = Some(new);
            }
        }
    }
    Ok(ReplaceRouteTableAssociationResponse {
        new_association_id: Some(association),
        association_state: associated(),
    })
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeRouteTablesRequest,
) -> Result<DescribeRouteTablesResponse, Refusal> {
    let asked = ask!(request, route_table_ids, filters);
    let page = select(&cx.ec2.network.route_tables, &asked, FILTERS, |table, name, put| {
        fields(cx, table, name, put);
    })?;
    Ok(DescribeRouteTablesResponse {
        route_tables: Some(page.items.into_iter().map(|table| described(cx, table)).collect()),
        next_token: page.next,
    })
}

fn fields(cx: &Engine, table: &RouteTable, name: &str, put: &mut dyn FnMut(&str)) {
    match name {
        "association.gateway-id" => {}
        "association.main" => uses(cx, table).iter().for_each(|(_, subnet)| put(yes(subnet.is_none()))),
        "association.route-table-association-id" => {
            uses(cx, table).iter().for_each(|(of, _)| put(&of.association));
        }
        "association.route-table-id" => uses(cx, table).iter().for_each(|(of, _)| put(&of.table)),
        "association.state" => uses(cx, table).iter().for_each(|_| put("associated")),
        "association.subnet-id" => uses(cx, table).into_iter().filter_map(|(_, id)| id).for_each(put),
        "owner-id" => put(&cx.config.account),
        "route-table-id" => put(&table.id),
        "vpc-id" => put(&table.vpc),
        _ => {
            let Some(member) = name.strip_prefix("route.") else { return };
            for route in route::described(cx, table) {
                let text = match member {
                    "destination-cidr-block" => route.destination_cidr_block,
                    "destination-prefix-list-id" => route.destination_prefix_list_id,
                    "gateway-id" => route.gateway_id,
                    "instance-id" => route.instance_id,
                    "nat-gateway-id" => route.nat_gateway_id,
                    "origin" => route.origin.map(|origin| origin.to_string()),
                    "state" => route.state.map(|state| state.to_string()),
                    _ => None,
                };
                text.iter().for_each(|text| put(text));
            }
        }
    }
}

fn described(cx: &Engine, table: &RouteTable) -> ec2::RouteTable {
    let association = |(of, subnet): (&RouteTableUse, Option<&str>)| RouteTableAssociation {
        main: Some(subnet.is_none()),
        route_table_association_id: Some(of.association.clone()),
        route_table_id: Some(of.table.clone()),
        subnet_id: subnet.map(str::to_owned),
        association_state: associated(),
        ..RouteTableAssociation::default()
    };
    ec2::RouteTable {
        associations: Some(uses(cx, table).into_iter().map(association).collect()),
        propagating_vgws: Some(Vec::new()),
        route_table_id: Some(table.id.clone()),
        routes: Some(route::described(cx, table)),
        tags: listed(&table.tags),
        vpc_id: Some(table.vpc.clone()),
        owner_id: Some(cx.config.account.clone()),
    }
}

const FILTERS: &[&str] = &[
    "association.gateway-id",
    "association.main",
    "association.route-table-association-id",
    "association.route-table-id",
    "association.state",
    "association.subnet-id",
    "owner-id",
    "route-table-id",
    "route.destination-cidr-block",
    "route.destination-ipv6-cidr-block",
    "route.destination-prefix-list-id",
    "route.egress-only-internet-gateway-id",
    "route.gateway-id",
    "route.instance-id",
    "route.nat-gateway-id",
    "route.origin",
    "route.state",
    "route.transit-gateway-id",
    "route.vpc-peering-connection-id",
    "vpc-id",
    TAGS,
];

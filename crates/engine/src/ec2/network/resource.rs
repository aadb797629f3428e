//! What the resources of networks have in common: ids, tags, and how they are described.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::Filter;

use super::{
    Address, DhcpOptions, InternetGateway, NatGateway, NetworkAcl, NetworkInterface, RouteTable,
    SecurityGroup, SecurityGroupRule, Subnet, Vpc, VpcEndpoint,
};
use crate::ec2::filter::Filters;
use crate::ec2::{KeyPair, Tags, at_least_five, dry_run, page_of};
use crate::kernel::{Page, Row, Table};

/// A resource with an id of its own and tags.
pub(in crate::ec2) trait Resource: Row<Key = String> {
    /// What its ids begin with: `vpc`.
    const PREFIX: &'static str;
    /// As tags name its kind: `vpc`.
    const KIND: &'static str;
    /// What the error codes about its ids begin with: `InvalidVpcID`.
    const CODE: &'static str;
    /// As messages call it: `vpc`.
    const NOUN: &'static str;

    fn id(&self) -> &str;
    fn tags(&self) -> &Tags;
    fn tags_mut(&mut self) -> &mut Tags;

    /// What told a repetition of the call that made it from a new one.
    fn client_token(&self) -> Option<&str> {
        None
    }

    /// The refusal of an id that nothing has.
    fn absent(id: &str) -> Refusal {
        if !id.strip_prefix(Self::PREFIX).is_some_and(|rest| rest.starts_with('-')) {
            return Refusal::new(
                format!("{}.Malformed", Self::CODE),
                format!("Invalid id: \"{id}\" (expecting \"{}-...\")", Self::PREFIX),
            );
        }
        let message = match Self::KIND {
            "security-group" => format!("The security group '{id}' does not exist"),
            "natgateway" => {
                return Refusal::new("NatGatewayNotFound", format!("The Nat Gateway {id} was not found"));
            }
            _ => format!("The {} ID '{id}' does not exist", Self::NOUN),
        };
        let code = if Self::CODE == "InvalidGroupId" { "InvalidGroup" } else { Self::CODE };
        Refusal::new(format!("{code}.NotFound"), message)
    }
}

macro_rules! resources {
    ($($row:ident { $prefix:literal $kind:literal $code:literal $noun:literal $(, $token:ident)? })*) => {$(
        impl Resource for $row {
            const PREFIX: &'static str = $prefix;
            const KIND: &'static str = $kind;
            const CODE: &'static str = $code;
            const NOUN: &'static str = $noun;

            fn id(&self) -> &str {
                &self.id
            }

            fn tags(&self) -> &Tags {
                &self.tags
            }

            fn tags_mut(&mut self) -> &mut Tags {
                &mut self.tags
            }

            $(fn client_token(&self) -> Option<&str> {
                self.$token.as_deref()
            })?
        }
    )*};
}

resources! {
    Address { "eipalloc" "elastic-ip" "InvalidAllocationID" "allocation" }
    DhcpOptions { "dopt" "dhcp-options" "InvalidDhcpOptionID" "dhcpOption" }
    InternetGateway { "igw" "internet-gateway" "InvalidInternetGatewayID" "internetGateway" }
    NatGateway { "nat" "natgateway" "InvalidNatGatewayID" "natGateway", client_token }
    NetworkAcl { "acl" "network-acl" "InvalidNetworkAclID" "networkAcl", client_token }
    NetworkInterface { "eni" "network-interface" "InvalidNetworkInterfaceID" "networkInterface", client_token }
    RouteTable { "rtb" "route-table" "InvalidRouteTableID" "routeTable", client_token }
    SecurityGroup { "sg" "security-group" "InvalidGroupId" "security group" }
    SecurityGroupRule { "sgr" "security-group-rule" "InvalidSecurityGroupRuleId" "security group rule" }
    Subnet { "subnet" "subnet" "InvalidSubnetID" "subnet" }
    Vpc { "vpc" "vpc" "InvalidVpcID" "vpc" }
    VpcEndpoint { "vpce" "vpc-endpoint" "InvalidVpcEndpointId" "Vpc Endpoint", client_token }
    KeyPair { "key" "key-pair" "InvalidKeyPairId" "key pair" }
}

/// A table of resources, whatever their kind.
pub(in crate::ec2) trait Tagged {
    fn prefix(&self) -> &'static str;
    fn kind(&self) -> &'static str;
    /// Tags of the resource of that id, or EC2's refusal.
    fn tags(&self, id: &str) -> Result<&Tags, Refusal>;
    /// Changes the tags of a resource that is there.
    fn change_tags(&mut self, id: &str, change: &mut dyn FnMut(&mut Tags));
    /// Gives every resource's id and tags to `put`.
    fn each<'a>(&'a self, put: &mut dyn FnMut(&'a str, &'a Tags));
}

impl<R: Resource> Tagged for Table<R> {
    fn prefix(&self) -> &'static str {
        R::PREFIX
    }

    fn kind(&self) -> &'static str {
        R::KIND
    }

    fn tags(&self, id: &str) -> Result<&Tags, Refusal> {
        find(self, id).map(R::tags)
    }

    fn change_tags(&mut self, id: &str, change: &mut dyn FnMut(&mut Tags)) {
        if let Some(mut row) = self.edit(&id.to_owned()) {
            change(row.tags_mut());
        }
    }

    fn each<'a>(&'a self, put: &mut dyn FnMut(&'a str, &'a Tags)) {
        self.iter().for_each(|row| put(row.id(), row.tags()));
    }
}

/// The row of that id, or EC2's refusal.
pub(in crate::ec2) fn find<'a, R: Resource>(table: &'a Table<R>, id: &str) -> Result<&'a R, Refusal> {
    table.get(&id.to_owned()).ok_or_else(|| R::absent(id))
}

/// What an earlier call with the same client token has made.
pub(super) fn repeated<'a, R: Resource>(table: &'a Table<R>, token: Option<&String>) -> Option<&'a R> {
    let token = token?.as_str();
    table.iter().find(|row| row.client_token() == Some(token))
}

/// What a describe call asks for.
pub(in crate::ec2) struct Ask<'a> {
    pub(in crate::ec2) dry_run: Option<bool>,
    pub(in crate::ec2) ids: Option<&'a Vec<String>>,
    pub(in crate::ec2) filters: Option<&'a Vec<Filter>>,
    pub(in crate::ec2) next_token: Option<&'a str>,
    pub(in crate::ec2) max_results: Option<i32>,
}

/// `ask!(request, vpc_ids, filters)`: the members are called alike in all these requests, but for ids and filters.
macro_rules! ask {
    ($request:ident, $ids:ident, $filters:ident) => {
        $crate::ec2::network::resource::Ask {
            dry_run: $request.dry_run,
            ids: $request.$ids.as_ref(),
            filters: $request.$filters.as_ref(),
            next_token: $request.next_token.as_deref(),
            max_results: $request.max_results,
        }
    };
}

pub(in crate::ec2) use ask;

/// The page of rows that a describe call asks for. `known` are its filters; `fields` gives what a filter of that name
/// finds at a row.
pub(in crate::ec2) fn select<'a, R: Resource>(
    table: &'a Table<R>,
    ask: &Ask<'_>,
    known: &[&str],
    fields: impl Fn(&R, &str, &mut dyn FnMut(&str)),
) -> Result<Page<&'a R>, Refusal> {
    dry_run(ask.dry_run)?;
    at_least_five(ask.max_results)?;
    let filters = Filters::new(ask.filters, known)?;
    let ids = ask.ids.map_or(&[][..], Vec::as_slice);
    for id in ids {
        find(table, id)?;
    }
    let fitting = table.iter().filter(|row| {
        (ids.is_empty() || ids.iter().any(|id| id == row.id()))
            && filters.fit(row.tags(), |name, put| fields(row, name, put))
    });
    page_of(fitting, |row| row.id().to_owned(), ask.next_token, ask.max_results)
}

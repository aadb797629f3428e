//! DHCP options, and describe calls for what never exists here.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AttributeValue, DescribeDhcpOptionsRequest, DescribeDhcpOptionsResponse, DescribeFlowLogsRequest,
    DescribeFlowLogsResponse, DescribeVpnGatewaysRequest, DescribeVpnGatewaysResponse, DhcpConfiguration,
};

use super::{DhcpOptions, ask, listed, select};
use crate::ec2::dry_run;
use crate::ec2::filter::{Filters, TAGS};
use crate::{Caller, Engine};

/// What every VPC's instances are told (VPC guide, DHCP option sets: the default one).
fn configurations(cx: &Engine) -> [(&'static str, String); 2] {
    let domain = match cx.config.region.name {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    [("domain-name", domain), ("domain-name-servers", "AmazonProvidedDNS".to_owned())]
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeDhcpOptionsRequest,
) -> Result<DescribeDhcpOptionsResponse, Refusal> {
    let configurations = configurations(cx);
    let account = &cx.config.account;
    let known = ["dhcp-options-id", "key", "owner-id", "value", TAGS];
    let asked = ask!(request, dhcp_options_ids, filters);
    let page = select(&cx.ec2.network.dhcp_options, &asked, &known, |row, name, put| match name {
        "dhcp-options-id" => put(&row.id),
        "key" => configurations.iter().for_each(|(key, _)| put(key)),
        "owner-id" => put(account),
        "value" => configurations.iter().for_each(|(_, value)| put(value)),
        _ => {}
    })?;
    let configuration = |(key, value): &(&str, String)| DhcpConfiguration {
        key: Some((*key).to_owned()),
        values: Some(vec![AttributeValue { value: Some(value.clone()) }]),
    };
    let told = |row: &DhcpOptions| ec2::DhcpOptions {
        owner_id: Some(account.clone()),
        tags: listed(&row.tags),
        dhcp_options_id: Some(row.id.clone()),
        dhcp_configurations: Some(configurations.iter().map(configuration).collect()),
    };
    Ok(DescribeDhcpOptionsResponse {
        next_token: page.next,
        dhcp_options: Some(page.items.into_iter().map(told).collect()),
    })
}

pub(in crate::ec2) fn describe_vpn_gateways(
    _cx: &mut Engine,
    _caller: &Caller,
    request: DescribeVpnGatewaysRequest,
) -> Result<DescribeVpnGatewaysResponse, Refusal> {
    let known = [
        "amazon-side-asn",
        "attachment.state",
        "attachment.vpc-id",
        "availability-zone",
        "state",
        "type",
        "vpn-gateway-id",
        TAGS,
    ];
    Filters::new(request.filters.as_ref(), &known)?;
    dry_run(request.dry_run)?;
    match request.vpn_gateway_ids.iter().flatten().next() {
        Some(id) => Err(Refusal::new(
            "InvalidVpnGatewayID.NotFound",
            format!("The vpnGateway ID '{id}' does not exist"),
        )),
        None => Ok(DescribeVpnGatewaysResponse { vpn_gateways: Some(Vec::new()) }),
    }
}

pub(in crate::ec2) fn describe_flow_logs(
    _cx: &mut Engine,
    _caller: &Caller,
    request: DescribeFlowLogsRequest,
) -> Result<DescribeFlowLogsResponse, Refusal> {
    let known = [
        "deliver-log-status",
        "flow-log-id",
        "log-destination-type",
        "log-group-name",
        "resource-id",
        "traffic-type",
        TAGS,
    ];
    Filters::new(request.filter.as_ref(), &known)?;
    dry_run(request.dry_run)?;
    match request.flow_log_ids.iter().flatten().next() {
        Some(id) => Err(Refusal::new(
            "InvalidFlowLogId.NotFound",
            format!("These flow log ids in the input list are not found: [{id}]"),
        )),
        None => Ok(DescribeFlowLogsResponse { flow_logs: Some(Vec::new()), next_token: None }),
    }
}

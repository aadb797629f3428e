//! What DescribeAccountAttributes says about the account (API reference, DescribeAccountAttributes).

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    AccountAttribute, AccountAttributeName, AccountAttributeValue, DescribeAccountAttributesRequest,
    DescribeAccountAttributesResponse,
};

use super::dry_run;
use crate::{Caller, Engine};

pub(super) fn describe_attributes(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeAccountAttributesRequest,
) -> Result<DescribeAccountAttributesResponse, Refusal> {
    dry_run(request.dry_run)?;
    let default_vpc = cx.ec2.default_vpc().map_or("none", |vpc| vpc.id.as_str());
    let all = [("default-vpc", default_vpc), ("supported-platforms", "VPC")];
    let asked = request.attribute_names.unwrap_or_default();
    let wanted = |name: &str| {
        asked.is_empty() || asked.iter().any(|asked: &AccountAttributeName| asked.as_str() == name)
    };
    let told = |(name, value): (&str, &str)| AccountAttribute {
        attribute_name: Some(name.to_owned()),
        attribute_values: Some(vec![AccountAttributeValue { attribute_value: Some(value.to_owned()) }]),
    };
    Ok(DescribeAccountAttributesResponse {
        account_attributes: Some(all.into_iter().filter(|(name, _)| wanted(name)).map(told).collect()),
    })
}

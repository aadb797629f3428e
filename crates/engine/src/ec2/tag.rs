//! Tags.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{Tag, TagSpecification};

use crate::Caller;

use super::{Tags, invalid};

/// Tags that a resource can have, those of AWS not counted (EC2 guide, tag-restrictions).
const TAGS_MAX: usize = 50;

/// The tags of a request by resource type. Other types than `allowed` are refused.
pub(super) fn of_specifications(
    caller: &Caller,
    specifications: Option<Vec<TagSpecification>>,
    allowed: &[&'static str],
) -> Result<BTreeMap<&'static str, Tags>, Refusal> {
    let mut found: BTreeMap<&'static str, Tags> = BTreeMap::new();
    for specification in specifications.into_iter().flatten() {
        let kind = specification.resource_type.unwrap_or_default();
        let Some(kind) = allowed.iter().find(|each| **each == kind) else {
            return Err(invalid(format!(
                "'{kind}' is not a valid taggable resource type for this operation."
            )));
        };
        let tags = found.entry(kind).or_default();
        tags.extend(checked(caller, specification.tags.unwrap_or_default())?);
        limit(tags)?;
    }
    Ok(found)
}

/// The tags of a request, held against AWS's restrictions.
pub(super) fn checked(caller: &Caller, tags: Vec<Tag>) -> Result<Tags, Refusal> {
    let mut found = Tags::new();
    for tag in tags {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        if key.is_empty() {
            return Err(invalid("Tag key cannot be empty"));
        }
        if reserved(&key) && !matches!(caller, Caller::Service(_)) {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        if key.chars().count() > 127 {
            return Err(invalid("Tag key exceeds the maximum length of 127 characters"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("Tag value exceeds the maximum length of 256 characters"));
        }
        found.insert(key, value);
    }
    Ok(found)
}

/// Refuses more tags than a resource can have.
pub(super) fn limit(tags: &Tags) -> Result<(), Refusal> {
    if tags.keys().filter(|key| !reserved(key)).count() > TAGS_MAX {
        return Err(Refusal::new(
            "TagLimitExceeded",
            format!("The maximum number of Tags for a resource has been reached: {TAGS_MAX}."),
        ));
    }
    Ok(())
}

pub(super) fn reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// As describe calls list them; nothing when there are none.
pub(super) fn listed(tags: &Tags) -> Option<Vec<Tag>> {
    let tag = |(key, value): (&String, &String)| Tag { key: Some(key.clone()), value: Some(value.clone()) };
    (!tags.is_empty()).then(|| tags.iter().map(tag).collect())
}

//! Filters of lists.

use capstan_shapes::{Refusal, ssm as shapes};

use super::{Parameter, Version};

/// Which keys and options an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Path,
    Describe,
}

/// Refuses filters that the operation does not have.
pub(super) fn check(filters: &[shapes::ParameterStringFilter], of: Of) -> Result<(), Refusal> {
    for filter in filters {
        let key = filter.key.as_str();
        let known = match of {
            Of::Path => matches!(key, "Type" | "KeyId" | "Label" | "DataType"),
            Of::Describe => {
                matches!(key, "Name" | "Path" | "Type" | "KeyId" | "Tier" | "DataType")
                    || key.starts_with("tag:")
            }
        };
        if !known {
            return Err(Refusal::of(
                &shapes::INVALID_FILTER_KEY,
                match of {
                    Of::Path => format!(
                        "The following filter key is not valid: {key}. Valid filter keys include: [Type, KeyId, Label, DataType]."
                    ),
                    Of::Describe => format!(
                        "The following filter key is not valid: {key}. Valid filter keys include: [Path, Name, Type, KeyId, Tier, DataType, tag:KEY]."
                    ),
                },
            ));
        }
        let option = filter.option.as_deref().unwrap_or_default();
        let known = match key {
            "Path" => matches!(option, "" | "Recursive" | "OneLevel"),
            "Name" => matches!(option, "" | "Equals" | "BeginsWith" | "Contains"),
            _ => matches!(option, "" | "Equals" | "BeginsWith"),
        };
        if !known {
            return Err(Refusal::of(
                &shapes::INVALID_FILTER_OPTION,
                format!("The following filter option is not valid: {option}."),
            ));
        }
        let values = filter.values.as_deref().unwrap_or_default();
        let fits = match key {
            "Path" => values.iter().all(|path| path.starts_with('/')),
            "Type" => values.iter().all(|kind| shapes::ParameterType::VALUES.contains(&kind.as_str())),
            _ => true,
        };
        if !fits || (values.is_empty() && !key.starts_with("tag:")) {
            return Err(Refusal::of(
                &shapes::INVALID_FILTER_VALUE,
                format!("The filter value is not valid for the key {key}. Value: {values:?}."),
            ));
        }
    }
    Ok(())
}

/// Whether the newest version of a parameter fits all filters.
pub(super) fn fits(row: &Parameter, version: &Version, filters: &[shapes::ParameterStringFilter]) -> bool {
    filters.iter().all(|filter| {
        let values = filter.values.as_deref().unwrap_or_default();
        let option = filter.option.as_deref().unwrap_or_default();
        let like = |text: &str| {
            values.iter().any(|value| match option {
                "BeginsWith" => text.starts_with(value.as_str()),
                "Contains" => text.contains(value.as_str()),
                _ => text == value,
            })
        };
        match filter.key.as_str() {
            "Path" => values.iter().any(|path| is_below(&row.name, path, option == "Recursive")),
            // A name may be given without its leading slash.
            "Name" => like(&row.name) || (option == "BeginsWith" && like(row.name.trim_start_matches('/'))),
            "Type" => like(version.r#type.as_str()),
            "KeyId" => version.key_id.as_deref().is_some_and(like),
            "Tier" => like(version.tier.as_str()),
            "DataType" => like(&version.data_type),
            "Label" => version.labels.iter().any(|label| like(label)),
            key => {
                let tag = key.strip_prefix("tag:").and_then(|key| row.tags.get(key));
                tag.is_some_and(|value| values.is_empty() || like(value))
            }
        }
    })
}

/// Whether a name is in the hierarchy below a path: right below it, or anywhere.
pub(super) fn is_below(name: &str, path: &str, recursive: bool) -> bool {
    let path = path.trim_end_matches('/');
    let rest = name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| !rest.is_empty() && (recursive || !rest.contains('/')))
}

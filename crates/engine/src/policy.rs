//! Resource policies of any service: whether a document lets a service principal do something.
//!
//! What is read: `Effect`, `Principal` (`*`, `Service`, `AWS`), `Action`, `Resource` and the conditions on `aws:SourceArn`
//! and `aws:SourceAccount` (IAM guide, policy elements and evaluation logic). A condition with another operator or key
//! counts as not met, so that a policy never allows more than it says.

use serde_json::Value as Json;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    /// The principal: `events.amazonaws.com`.
    pub(crate) service: &'a str,
    /// `logs:PutLogEvents`
    pub(crate) action: &'a str,
    /// Names of the resource: a statement that fits one of them fits.
    pub(crate) resources: &'a [&'a str],
    /// On whose behalf: `aws:SourceArn`.
    pub(crate) source_arn: Option<&'a str>,
    /// `aws:SourceAccount`
    pub(crate) account: &'a str,
}

/// A policy document that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    statements: Vec<Json>,
}

impl Policy {
    /// Why not, as the error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?;
        let statements = match json.get("Statement") {
            Some(Json::Array(statements)) => statements.clone(),
            Some(statement @ Json::Object(_)) => vec![statement.clone()],
            _ => return Err("it has no Statement".to_owned()),
        };
        for statement in &statements {
            match statement.get("Effect").and_then(Json::as_str) {
                Some("Allow" | "Deny") => {}
                _ => return Err("a statement has neither Effect Allow nor Deny".to_owned()),
            }
            let has = |names: [&str; 2]| names.iter().any(|name| statement.get(name).is_some());
            if !has(["Principal", "NotPrincipal"]) {
                return Err("a statement has no Principal".to_owned());
            }
            if !has(["Action", "NotAction"]) {
                return Err("a statement has no Action".to_owned());
            }
        }
        Ok(Self { statements })
    }
}

/// A statement that allows it and none that denies it.
pub(crate) fn is_allowed(policies: impl IntoIterator<Item = Policy>, access: &Access<'_>) -> bool {
    let mut allowed = false;
    for policy in policies {
        for statement in policy.statements.iter().filter(|statement| applies(statement, access)) {
            match statement.get("Effect").and_then(Json::as_str) {
                Some("Allow") => allowed = true,
                _ => return false,
            }
        }
    }
    allowed
}

fn applies(statement: &Json, access: &Access<'_>) -> bool {
    let action = |pattern: &str| is_like(&pattern.to_lowercase(), &access.action.to_lowercase());
    let resource = |pattern: &str| access.resources.iter().any(|resource| is_like(pattern, resource));
    is_principal(statement, access)
        && either(statement, "Action", "NotAction", &action)
        && either(statement, "Resource", "NotResource", &resource)
        && statement.get("Condition").is_none_or(|condition| is_met(condition, access))
}

/// Whether one of the texts of `name` fits, or none of those of `not`. An element that is not there fits.
fn either(statement: &Json, name: &str, not: &str, fits: &dyn Fn(&str) -> bool) -> bool {
    match (statement.get(name), statement.get(not)) {
        (Some(found), _) => texts(found).any(fits),
        (None, Some(found)) => !texts(found).any(fits),
        (None, None) => true,
    }
}

fn is_principal(statement: &Json, access: &Access<'_>) -> bool {
    let named = |principal: &Json| match principal {
        Json::String(text) => text == "*",
        Json::Object(kinds) => kinds.iter().any(|(kind, names)| match kind.as_str() {
            "Service" => texts(names).any(|name| name == "*" || name == access.service),
            "AWS" => texts(names).any(|name| name == "*"),
            _ => false,
        }),
        _ => false,
    };
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(principal), _) => named(principal),
        (None, Some(principal)) => !named(principal),
        (None, None) => false,
    }
}

/// All operators, all keys, any value.
fn is_met(condition: &Json, access: &Access<'_>) -> bool {
    let Some(operators) = condition.as_object() else { return false };
    operators.iter().all(|(operator, keys)| {
        let (operator, if_exists) =
            operator.strip_suffix("IfExists").map_or((operator.as_str(), false), |name| (name, true));
        keys.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, values)| {
                let found = match key.to_lowercase().as_str() {
                    "aws:sourcearn" => access.source_arn,
                    "aws:sourceaccount" => Some(access.account),
                    _ => None,
                };
                let Some(found) = found else { return if_exists };
                let any = |fits: &dyn Fn(&str) -> bool| texts(values).any(fits);
                match operator {
                    "StringEquals" => any(&|value| value == found),
                    "StringNotEquals" => !any(&|value| value == found),
                    "ArnEquals" | "ArnLike" | "StringLike" => any(&|value| is_like(value, found)),
                    "ArnNotEquals" | "ArnNotLike" | "StringNotLike" => !any(&|value| is_like(value, found)),
                    _ => false,
                }
            })
        })
    })
}

fn texts(value: &Json) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    one.into_iter().chain(value.as_array().into_iter().flatten().filter_map(Json::as_str))
}

/// Whether a text fits a pattern in which `*` stands for any characters and `?` for one.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the latest star does not fit: there, with one more character for the star.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "aXbYbZc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("/aws/events/*:*", "/aws/events/spot:log-stream:x", true),
            ("**a", "ba", true),
            ("ä?", "äö", true),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn statements() {
        let access = Access {
            service: "events.amazonaws.com",
            action: "logs:PutLogEvents",
            resources: &["arn:aws:logs:us-east-1:1:log-group:/aws/events/x:log-stream:y"],
            source_arn: Some("arn:aws:events:us-east-1:1:rule/r"),
            account: "1",
        };
        let events = r#""Principal":{"Service":["delivery.logs.amazonaws.com","events.amazonaws.com"]}"#;
        let everything = r#""Action":"logs:*","Resource":"*""#;
        let check = |statements: &str, expect: bool| {
            let policy = Policy::parse(&format!("{{\"Statement\":[{statements}]}}")).expect(statements);
            assert_eq!(is_allowed([policy], &access), expect, "{statements}");
        };
        let allow = |rest: &str| format!("{{\"Effect\":\"Allow\",{rest}}}");
        check(&allow(&format!("{events},{everything}")), true);
        check(&allow(&format!(r#""Principal":"*",{everything}"#)), true);
        check(&allow(&format!(r#""Principal":{{"AWS":"*"}},{everything}"#)), true);
        check(&allow(&format!(r#""Principal":{{"Service":"sns.amazonaws.com"}},{everything}"#)), false);
        check(
            &allow(&format!(
                r#"{events},"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:us-east-1:1:log-group:/aws/events/*:*""#
            )),
            true,
        );
        check(&allow(&format!(r#"{events},"Action":"logs:CreateLogStream","Resource":"*""#)), false);
        check(&allow(&format!(r#"{events},"NotAction":"logs:CreateLogStream","Resource":"*""#)), true);
        check(
            &allow(&format!(
                r#"{events},"Action":"*","Resource":"arn:aws:logs:us-east-1:1:log-group:/other:*""#
            )),
            false,
        );
        check(
            &allow(&format!(
                r#"{events},{everything},"Condition":{{"ArnEquals":{{"aws:SourceArn":"arn:aws:events:us-east-1:1:rule/r"}}}}"#
            )),
            true,
        );
        check(
            &allow(&format!(
                r#"{events},{everything},"Condition":{{"ArnLike":{{"aws:SourceArn":["a","arn:aws:events:*:rule/q"]}}}}"#
            )),
            false,
        );
        check(
            &allow(&format!(
                r#"{events},{everything},"Condition":{{"StringEquals":{{"aws:SourceAccount":"1"}}}}"#
            )),
            true,
        );
        check(
            &allow(&format!(
                r#"{events},{everything},"Condition":{{"IpAddress":{{"aws:SourceIp":"10.0.0.0/8"}}}}"#
            )),
            false,
        );
        let deny = format!("{{\"Effect\":\"Deny\",{events},{everything}}}");
        check(&format!("{},{deny}", allow(&format!("{events},{everything}"))), false);
        for text in ["", "{}", r#"{"Statement":[{}]}"#, r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }
}

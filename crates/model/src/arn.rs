//! Amazon Resource Names.

use std::fmt;

/// The parts of an ARN: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`. The resource may hold colons and slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// `None` when the text is not of that form (another partition than `aws` included).
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition) = (parts.next()?, parts.next()?);
        let (service, region, account, resource) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let whole = arn == "arn" && partition == "aws" && !resource.is_empty();
        whole.then_some(Self { service, region, account, resource })
    }

    /// What stands after `KIND/` in the resource, when the resource is of that kind.
    pub fn after(&self, kind: &str) -> Option<&'a str> {
        self.resource.strip_prefix(kind)?.strip_prefix('/')
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, region, account, resource } = self;
        write!(f, "arn:aws:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        let text = "arn:aws:ecs:eu-west-1:012345678910:task/container-demo/14b6";
        let arn = Arn::parse(text).unwrap();
        assert_eq!(arn.after("task"), Some("container-demo/14b6"));
        assert_eq!(arn.after("service"), None);
        assert_eq!(arn.to_string(), text);
        assert_eq!(Arn::parse("arn:aws:ecs"), None);
        assert_eq!(Arn::parse("container-demo"), None);
    }
}

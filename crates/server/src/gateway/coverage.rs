//! What acts, what is accepted without effect, and what is absent: as `/_capstan/coverage` tells it, and as docs/coverage.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use capstan_shapes::{ABSENT_RESOURCE_TYPES, Operation, RESOURCE_TYPES, SERVICES, Service};
use serde_json::{Value, json};

/// Settings of a service that are taken and do nothing: `(Operation.member, why)`, or `(Operation, why)` where nothing
/// acts behind the whole operation.
type Inert = (&'static str, &'static [(&'static str, &'static str)]);

/// What the engine has to tell.
#[derive(Clone, Debug)]
pub struct Coverage {
    inert: Vec<Inert>,
    /// Each with the reason why nothing acts behind it, if nothing does.
    resource_types: BTreeMap<&'static str, Option<&'static str>>,
}

impl Coverage {
    pub fn of_engine() -> Self {
        Self {
            inert: capstan_engine::inert(),
            resource_types: capstan_engine::cloudformation::resource_types(),
        }
    }

    fn entries(&self, service: &Service) -> impl Iterator<Item = (&'static str, &'static str)> + use<'_> {
        let name = service.name;
        let lists = self.inert.iter().filter(move |(of, _)| *of == name);
        lists.flat_map(|(_, list)| list.iter().copied())
    }

    /// Why nothing acts behind the operation.
    fn why_inert(&self, service: &Service, operation: &Operation) -> Option<&'static str> {
        self.entries(service).find(|(setting, _)| *setting == operation.name).map(|(_, why)| why)
    }

    /// Types that have no handler, and those of the same services that have no schema either.
    fn absent_types(&self) -> Vec<&'static str> {
        let unhandled = RESOURCE_TYPES.iter().map(|schema| schema.name);
        let mut absent: Vec<&str> =
            unhandled.filter(|name| !self.resource_types.contains_key(name)).collect();
        absent.extend(ABSENT_RESOURCE_TYPES.iter().filter(|name| !self.resource_types.contains_key(*name)));
        absent.sort_unstable();
        absent
    }

    /// Every service with its operations. The engine does not compile without a handler for each that has shapes; operations
    /// of AWS that are not built answer 501.
    pub fn json(&self) -> Value {
        let services = SERVICES.iter().map(|service| {
            let (inert, acts): (Vec<_>, Vec<_>) =
                service.operations.iter().partition(|operation| self.why_inert(service, operation).is_some());
            let acts: Vec<&str> = acts.into_iter().map(|operation| operation.name).collect();
            let inert: Vec<Value> = inert
                .into_iter()
                .map(|operation| json!({ "operation": operation.name, "why": self.why_inert(service, operation) }))
                .collect();
            let settings = self.entries(service).filter(|(setting, _)| setting.contains('.'));
            let without_effect: Vec<Value> =
                settings.map(|(setting, why)| json!({ "setting": setting, "why": why })).collect();
            let protocols: Vec<String> =
                service.protocols.iter().map(|protocol| format!("{protocol:?}")).collect();
            json!({
                "name": service.name,
                "version": service.version,
                "protocols": protocols,
                "acts": acts,
                "inert": inert,
                "acceptedWithoutEffect": without_effect,
                "absent": service.absent,
            })
        });
        let types = self.resource_types.iter().map(|(name, inert)| match inert {
            None => json!({ "type": name, "status": "acts" }),
            Some(why) => json!({ "type": name, "status": "inert", "why": why }),
        });
        json!({
            "services": services.collect::<Vec<_>>(),
            "absent": "every other AWS service: a request to it answers 501 NotImplemented",
            "resourceTypes": types.collect::<Vec<_>>(),
            "absentResourceTypes": self.absent_types(),
        })
    }

    /// The page docs/coverage.md.
    pub fn markdown(&self) -> String {
        let mut page = String::from(HEAD);
        page.push_str("| service | acts | inert | absent |\n| --- | ---: | ---: | ---: |\n");
        for service in SERVICES {
            let inert = service.operations.iter().filter(|o| self.why_inert(service, o).is_some()).count();
            let acts = service.operations.len() - inert;
            let (name, absent) = (service.name, service.absent.len());
            let _ = writeln!(page, "| [{name}](#{name}) | {acts} | {inert} | {absent} |");
        }
        let inert = self.resource_types.values().filter(|why| why.is_some()).count();
        let acts = self.resource_types.len() - inert;
        let absent = self.absent_types();
        let _ = writeln!(page, "| [resource types](#resource-types) | {acts} | {inert} | {} |", absent.len());
        for service in SERVICES {
            self.section(service, &mut page);
        }
        page.push_str("\n## Resource types\n\n");
        page.push_str("What CloudFormation makes of templates. Any other type is refused by name.\n\n");
        page.push_str("| type | | why |\n| --- | --- | --- |\n");
        for (name, why) in &self.resource_types {
            let status = if why.is_some() { "inert" } else { "acts" };
            let _ = writeln!(page, "| {name} | {status} | {} |", cell(why.unwrap_or_default()));
        }
        let _ = writeln!(page, "\nAbsent of the same services: {}.", names(&absent));
        page
    }

    fn section(&self, service: &Service, page: &mut String) {
        let _ =
            write!(page, "\n## {}\n\n| operation | | without effect |\n| --- | --- | --- |\n", service.name);
        for operation in service.operations {
            let inert = self.why_inert(service, operation);
            let member = |(setting, why): (&'static str, &'static str)| {
                let member = setting.strip_prefix(operation.name)?.strip_prefix('.')?;
                Some(format!("`{member}`: {why}"))
            };
            let notes = inert.map(str::to_owned).into_iter().chain(self.entries(service).filter_map(member));
            let notes: Vec<String> = notes.collect();
            let status = if inert.is_some() { "inert" } else { "acts" };
            let _ = writeln!(page, "| {} | {status} | {} |", operation.name, cell(&notes.join("; ")));
        }
        if !service.absent.is_empty() {
            let _ = writeln!(page, "\nAbsent: {}.", names(service.absent));
        }
        // Settings of shapes that several operations share.
        let of_operation = |setting: &str| {
            let name = setting.split('.').next().unwrap_or_default();
            service.operation(name).is_some()
        };
        for (setting, why) in self.entries(service).filter(|(setting, _)| !of_operation(setting)) {
            let _ = writeln!(page, "\nWithout effect wherever it occurs: `{setting}`: {why}.");
        }
    }
}

const HEAD: &str = "\
# Coverage

Written by `capstan coverage --markdown` (`make coverage`); do not edit. A running server tells the same at `/_capstan/coverage`.

*Acts*: does what AWS documents. *Inert*: kept, checked and read back as AWS would, and nothing happens because of it. *Absent*: an
operation of the service's model that answers 501 and names itself, or a resource type that is refused by name. Services that
are not listed are absent as a whole.

";

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn names(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_and_what_does_not() {
        let coverage = Coverage {
            inert: vec![(
                "sts",
                &[("GetCallerIdentity", "nobody asks"), ("AssumeRole.Policy", "nobody | looks")],
            )],
            resource_types: [("AWS::ECS::Cluster", None), ("AWS::ECR::Repository", Some("no registry"))]
                .into(),
        };
        let page = coverage.json();
        let services = page["services"].as_array().expect("services");
        let sts = services.iter().find(|service| service["name"] == "sts").expect("sts");
        assert_eq!(sts["inert"].to_string(), r#"[{"operation":"GetCallerIdentity","why":"nobody asks"}]"#);
        assert!(
            sts["acts"].as_array().is_some_and(|acts| acts.iter().all(|name| name != "GetCallerIdentity"))
        );
        assert!(
            sts["absent"]
                .as_array()
                .is_some_and(|absent| absent.iter().any(|name| name == "AssumeRoleWithSAML"))
        );
        let page = coverage.markdown();
        for line in [
            "| GetCallerIdentity | inert | nobody asks |",
            "| AssumeRole | acts | `Policy`: nobody \\| looks |",
            "| AWS::ECS::Cluster | acts |  |",
            "| AWS::ECR::Repository | inert | no registry |",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}");
        }
    }

    #[test]
    fn the_page_in_docs_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/coverage.md");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        let now = Coverage::of_engine().markdown();
        let differs = there.lines().zip(now.lines()).find(|(there, now)| there != now);
        assert!(
            there == now,
            "docs/coverage.md is stale: run `make coverage`. First difference: {differs:?}"
        );
    }
}

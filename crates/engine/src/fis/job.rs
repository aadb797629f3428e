//! What an action is to do: its parameters, read.

use std::collections::BTreeMap;

use capstan_model::{Arn, AvailabilityZone, Span};
use capstan_shapes::Refusal;
use capstan_shapes::cloudwatch::StateValue;

use super::{ActionType, invalid};
use crate::Engine;

/// Faults last so long at least (FIS guide, fis-actions-reference).
const DURATION_MIN: Span = Span::from_mins(1);
const DURATION_MAX: Span = Span::from_hours(12);
const INTERRUPTION_MIN: Span = Span::from_mins(2);
const INTERRUPTION_MAX: Span = Span::from_mins(15);
const ALARMS_MAX: usize = 5;
const SCOPES: &[&str] = &["all", "availability-zone", "dynamodb", "prefix-list", "s3", "s3express", "vpc"];

/// An action's work.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Alarms by name, one of the states for each.
    AssertAlarms {
        alarms: Vec<String>,
        states: Vec<StateValue>,
    },
    /// EC2 has no capacity in the zones for that share of the launches, of groups or of roles.
    CapacityError {
        zones: Vec<&'static str>,
        percentage: u64,
        duration: Span,
        groups: bool,
    },
    DisruptConnectivity {
        duration: Span,
    },
    Drain {
        percentage: usize,
        duration: Span,
    },
    /// `before`: from the action's start until the instances are gone.
    Interrupt {
        before: Span,
    },
    Reboot,
    /// `lenient`: instances that were terminated meanwhile are no failure.
    StopInstances {
        restart_after: Option<Span>,
        lenient: bool,
    },
    StopTasks,
    Terminate,
    Wait {
        duration: Span,
    },
}

/// Reads the parameters of the action of that name.
pub(super) fn read(
    cx: &Engine,
    name: &str,
    kind: &ActionType,
    given: &BTreeMap<String, String>,
) -> Result<Job, Refusal> {
    if let Some(unknown) = given.keys().find(|key| kind.parameters.iter().all(|each| each.name != **key)) {
        return Err(invalid(format!("Unexpected parameter \"{unknown}\" found in action \"{name}\".")));
    }
    if let Some(missing) = kind.parameters.iter().find(|each| each.required && !given.contains_key(each.name))
    {
        return Err(invalid(format!("Missing parameter \"{}\" in action \"{name}\".", missing.name)));
    }
    let parameters = Parameters { action: name, given };
    let job = match kind.id {
        "aws:cloudwatch:assert-alarm-state" => Job::AssertAlarms {
            alarms: parameters.alarms()?,
            states: parameters.list("alarmStates", StateValue::parse)?,
        },
        "aws:ec2:api-insufficient-instance-capacity-error" => parameters.capacity_error(cx, false)?,
        "aws:ec2:asg-insufficient-instance-capacity-error" => parameters.capacity_error(cx, true)?,
        "aws:ec2:reboot-instances" => Job::Reboot,
        "aws:ec2:send-spot-instance-interruptions" => {
            let name = "durationBeforeInterruption";
            let before = parameters.duration(name, INTERRUPTION_MIN, INTERRUPTION_MAX)?;
            Job::Interrupt { before: before.unwrap_or(INTERRUPTION_MIN) }
        }
        "aws:ec2:stop-instances" => Job::StopInstances {
            restart_after: parameters.duration("startInstancesAfterDuration", DURATION_MIN, DURATION_MAX)?,
            lenient: parameters.flag("completeIfInstancesTerminated")?,
        },
        "aws:ec2:terminate-instances" => Job::Terminate,
        "aws:ecs:drain-container-instances" => Job::Drain {
            percentage: usize::try_from(parameters.percentage("drainagePercentage")?).unwrap_or(100),
            duration: parameters.fault_duration()?,
        },
        "aws:ecs:stop-task" => Job::StopTasks,
        "aws:network:disrupt-connectivity" => {
            parameters.list("scope", |scope| SCOPES.iter().find(|each| **each == scope))?;
            Job::DisruptConnectivity { duration: parameters.fault_duration()? }
        }
        _ => Job::Wait { duration: parameters.fault_duration()? },
    };
    Ok(job)
}

struct Parameters<'a> {
    action: &'a str,
    given: &'a BTreeMap<String, String>,
}

impl Parameters<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    fn wrong(&self, name: &str, rule: &str) -> Refusal {
        let value = self.get(name).unwrap_or_default();
        let action = self.action;
        invalid(format!("Invalid value \"{value}\" for parameter \"{name}\" in action \"{action}\": {rule}."))
    }

    fn duration(&self, name: &str, min: Span, max: Span) -> Result<Option<Span>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let rule = || {
            let (min, max) = (min.as_secs() / 60, max.as_secs() / 60);
            format!("give an ISO 8601 duration from {min} to {max} minutes, such as PT{min}M")
        };
        match duration(text) {
            Some(span) if (min..=max).contains(&span) => Ok(Some(span)),
            _ => Err(self.wrong(name, &rule())),
        }
    }

    fn fault_duration(&self) -> Result<Span, Refusal> {
        Ok(self.duration("duration", DURATION_MIN, DURATION_MAX)?.unwrap_or(DURATION_MIN))
    }

    /// 100 when it is not given.
    fn percentage(&self, name: &str) -> Result<u64, Refusal> {
        let percentage = self.get(name).unwrap_or("100").parse().ok();
        let found = percentage.filter(|number| (1..=100).contains(number));
        found.ok_or_else(|| self.wrong(name, "give a whole number from 1 to 100"))
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.wrong(name, "give true or false")),
        }
    }

    /// What stands between the commas, each read.
    fn list<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Refusal> {
        let items = self.get(name).unwrap_or_default().split(',').map(|item| {
            let item = item.trim();
            read(item).ok_or_else(|| self.wrong(name, &format!("\"{item}\" is not known")))
        });
        items.collect()
    }

    fn alarms(&self) -> Result<Vec<String>, Refusal> {
        let names = self.list("alarmArns", |arn| alarm_name(arn).map(str::to_owned))?;
        if names.len() > ALARMS_MAX {
            return Err(self.wrong("alarmArns", "give at most five alarms"));
        }
        Ok(names)
    }

    fn capacity_error(&self, cx: &Engine, groups: bool) -> Result<Job, Refusal> {
        let zones: &[AvailabilityZone] = cx.config.region.zones;
        let zone = |given: &str| zones.iter().find(|zone| zone.name == given || zone.id == given);
        let zones = self.list(ZONES, |given| zone(given).map(|zone| zone.name))?;
        let (percentage, duration) = (self.percentage("percentage")?, self.fault_duration()?);
        Ok(Job::CapacityError { zones, percentage, duration, groups })
    }
}

const ZONES: &str = "availabilityZoneIdentifiers";

/// The name in an alarm's ARN.
pub(super) fn alarm_name(arn: &str) -> Option<&str> {
    Arn::parse(arn).filter(|arn| arn.service == "cloudwatch")?.resource.strip_prefix("alarm:")
}

/// `PT2M`, `PT1H30M`, `P1DT12H`: days, hours, minutes and seconds in that order, whole numbers.
pub(super) fn duration(text: &str) -> Option<Span> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut secs = 0_i64;
    for (mut rest, units) in [(days, &[('D', 86_400)][..]), (time, &[('H', 3_600), ('M', 60), ('S', 1)][..])]
    {
        for (unit, size) in units {
            let Some((number, after)) = rest.split_once(*unit) else { continue };
            let number: u32 = number.parse().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit()))?;
            secs += i64::from(number) * size;
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(Span::from_secs(secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, secs: Option<i64>| {
            assert_eq!(duration(text), secs.map(Span::from_secs), "{text}");
        };
        check("PT2M", Some(120));
        check("PT1H30M", Some(5_400));
        check("PT90S", Some(90));
        check("P1D", Some(86_400));
        check("P1DT1S", Some(86_401));
        for wrong in
            ["", "P", "PT", "2M", "PT2", "PTM", "P2M", "PT2M1H", "PT-2M", "PT+2M", "PT1.5M", "P1DT", "PT2m"]
        {
            check(wrong, None);
        }
        check("PT4294967295H", Some(i64::from(u32::MAX) * 3_600));
        check("PT4294967296H", None);
    }
}

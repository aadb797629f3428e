//! Launch configurations.

use capstan_model::Time;
use capstan_shapes::autoscaling as shapes;

use super::Name;
use crate::kernel::{NoIndex, Row};

/// What instances are launched from, the old way: it never changes.
#[derive(Clone, Debug)]
pub struct LaunchConfiguration {
    pub name: Name,
    /// `arn:aws:autoscaling:R:A:launchConfiguration:UUID:launchConfigurationName/NAME`
    pub arn: Name,
    pub created: Time,
    /// As it was created.
    pub given: shapes::CreateLaunchConfigurationRequest,
}

impl Row for LaunchConfiguration {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "autoscaling.launch_configurations";
    fn key(&self) -> Name {
        self.name.clone()
    }
}

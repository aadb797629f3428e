//! What a user of the server in this process calls, and what every story begins with: a network, an image, a load balancer.

use capstan_server::{Caller, Control};
use capstan_shapes::{Call, ec2, elbv2, ssm};

/// The image with the ECS agent that instances run.
const AMI: &str = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id";

pub(crate) fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The way to the API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) control: Control,
}

/// The default VPC.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) vpc: String,
    pub(crate) subnets: Vec<String>,
}

/// A load balancer with one target group, as its creator wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front {
    /// Of the load balancer and of its target group.
    pub(crate) name: &'static str,
    pub(crate) deregistration_delay_secs: u32,
    pub(crate) check_every_secs: i32,
    pub(crate) unhealthy_threshold: i32,
}

/// The same, created.
#[derive(Clone, Debug)]
pub(crate) struct Balanced {
    /// ARN.
    pub(crate) target_group: String,
    /// The load balancer's name for the `Host` header.
    pub(crate) dns_name: String,
}

impl Api {
    pub(crate) fn new(control: Control) -> Self {
        Self { control }
    }

    /// One call as a user makes it.
    pub(crate) async fn call<C: Call>(&self, request: C) -> Result<C::Output, String> {
        let caller = Caller::User { access_key: "demo".to_owned() };
        let answer = self.control.call(caller, request.into()).await;
        let answer = answer.map_err(|refusal| format!("{} was refused: {refusal}", C::OPERATION.name))?;
        C::output(answer).ok_or_else(|| format!("{} was answered with another output", C::OPERATION.name))
    }

    pub(crate) async fn network(&self) -> Result<Network, String> {
        let subnets = self.call(ec2::DescribeSubnetsRequest::default()).await?.subnets.unwrap_or_default();
        let vpc = subnets.first().and_then(|subnet| subnet.vpc_id.clone());
        let subnets: Vec<String> = subnets.into_iter().filter_map(|subnet| subnet.subnet_id).collect();
        match vpc {
            Some(vpc) if !subnets.is_empty() => Ok(Network { vpc, subnets }),
            _ => Err("the default VPC has no subnets".to_owned()),
        }
    }

    /// Id of the image.
    pub(crate) async fn image(&self) -> Result<String, String> {
        let parameter = ssm::GetParameterRequest { name: AMI.to_owned(), ..Default::default() };
        let value = self.call(parameter).await?.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| format!("the parameter {AMI} has no value"))
    }

    /// A load balancer that listens on that port, and forwards to dynamic ports of instances.
    pub(crate) async fn create_balancer(
        &self,
        network: &Network,
        front: &Front,
        port: u16,
    ) -> Result<Balanced, String> {
        let create = elbv2::CreateLoadBalancerRequest {
            name: front.name.to_owned(),
            subnets: Some(network.subnets.clone()),
            ..Default::default()
        };
        let balancers = self.call(create).await?.load_balancers;
        let balancer = balancers.unwrap_or_default().pop().unwrap_or_default();
        let arn = balancer.load_balancer_arn.ok_or("the new load balancer has no ARN")?;
        let dns_name = balancer.dns_name.ok_or("the new load balancer has no DNS name")?;
        // A sped-up clock would end a connection that this machine, under load, leaves idle for two real seconds.
        let modify = elbv2::ModifyLoadBalancerAttributesRequest {
            load_balancer_arn: arn.clone(),
            attributes: vec![elbv2::LoadBalancerAttribute {
                key: text("idle_timeout.timeout_seconds"),
                value: text("600"),
            }],
        };
        self.call(modify).await?;

        let create = elbv2::CreateTargetGroupRequest {
            name: front.name.to_owned(),
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(80),
            vpc_id: Some(network.vpc.clone()),
            target_type: Some(elbv2::TargetTypeEnum::Instance),
            health_check_path: text("/health"),
            health_check_interval_seconds: Some(front.check_every_secs),
            healthy_threshold_count: Some(2),
            unhealthy_threshold_count: Some(front.unhealthy_threshold),
            ..Default::default()
        };
        let groups = self.call(create).await?.target_groups.unwrap_or_default();
        let group = groups.into_iter().next().and_then(|group| group.target_group_arn);
        let target_group = group.ok_or("the new target group has no ARN")?;
        let modify = elbv2::ModifyTargetGroupAttributesRequest {
            target_group_arn: target_group.clone(),
            attributes: vec![elbv2::TargetGroupAttribute {
                key: text("deregistration_delay.timeout_seconds"),
                value: Some(front.deregistration_delay_secs.to_string()),
            }],
        };
        self.call(modify).await?;

        let forward = elbv2::Action {
            r#type: elbv2::ActionTypeEnum::Forward,
            target_group_arn: Some(target_group.clone()),
            ..Default::default()
        };
        let create = elbv2::CreateListenerRequest {
            load_balancer_arn: arn,
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(i32::from(port)),
            default_actions: vec![forward],
            ..Default::default()
        };
        self.call(create).await?;
        Ok(Balanced { target_group, dns_name })
    }
}

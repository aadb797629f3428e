#!/usr/bin/env python3
"""The platform of the Spot capacity provider workshop: a network, a cluster with two groups, and a balanced service."""

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

# Ten types in each zone: as many pools as can be had.
TYPES = ["m5.large", "m5d.large", "m5a.large", "m5ad.large", "m5n.large", "m5dn.large", "m3.large", "m4.large", "t3.large", "t2.large"]


class Base(cdk.Stack):
    """Network, cluster, and the groups of instances."""

    def __init__(self, scope: Construct, name: str, **options) -> None:
        super().__init__(scope, name, **options)
        self.vpc = ec2.Vpc(self, "BaseVPC", ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/24"))
        self.cluster = ecs.Cluster(self, "ECSCluster", cluster_name="container-demo", vpc=self.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED)
        self.on_demand = self.provider("OnDemand", "EC2Capacity", spot=False)
        self.spot = self.provider("Spot", "ECSEC2SpotCapacity", spot=True)
        # The first task on an On-Demand Instance, the others on either in turn.
        self.strategy = [
            ecs.CapacityProviderStrategy(capacity_provider=self.on_demand.capacity_provider_name, base=1, weight=1),
            ecs.CapacityProviderStrategy(capacity_provider=self.spot.capacity_provider_name, weight=1),
        ]
        self.cluster.add_default_capacity_provider_strategy(self.strategy)
        for name, provider in (("EC2ASGName", self.on_demand), ("EC2SpotASGName", self.spot)):
            cdk.CfnOutput(self, f"{name}Output", value=provider.auto_scaling_group.auto_scaling_group_name, export_name=name)
        cdk.CfnOutput(self, "ClusterName", value=self.cluster.cluster_name, export_name="ECSClusterName")

    def provider(self, kind: str, group: str, *, spot: bool) -> ecs.AsgCapacityProvider:
        """A group that is empty at first, and the provider whose managed scaling fills it."""
        template = ec2.LaunchTemplate(
            self, f"{kind}LaunchTemplate", instance_type=ec2.InstanceType("m5.large"),
            machine_image=ecs.EcsOptimizedImage.amazon_linux2(), user_data=ec2.UserData.for_linux(),
            security_group=ec2.SecurityGroup(self, f"{kind}SecurityGroup", vpc=self.vpc),
            role=iam.Role(self, f"{kind}InstanceRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
        )  # fmt: skip
        launch = {"launch_template": template}
        if spot:
            launch = {
                "mixed_instances_policy": autoscaling.MixedInstancesPolicy(
                    instances_distribution=autoscaling.InstancesDistribution(
                        on_demand_allocation_strategy=autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
                        on_demand_base_capacity=0, on_demand_percentage_above_base_capacity=0,
                        spot_allocation_strategy=autoscaling.SpotAllocationStrategy.CAPACITY_OPTIMIZED,
                    ),
                    launch_template=template,
                    launch_template_overrides=[autoscaling.LaunchTemplateOverrides(instance_type=ec2.InstanceType(name)) for name in TYPES],
                )
            }  # fmt: skip
        provider = ecs.AsgCapacityProvider(
            self, f"{kind}Provider", capacity_provider_name=f"workshop-{kind.lower()}",
            auto_scaling_group=autoscaling.AutoScalingGroup(self, group, vpc=self.vpc, min_capacity=0, max_capacity=10, **launch),
            enable_managed_termination_protection=False, target_capacity_percent=80,
        )  # fmt: skip
        self.cluster.add_asg_capacity_provider(provider, spot_instance_draining=spot)
        return provider


class Service(cdk.Stack):
    """A web service behind a load balancer, on the cluster's default strategy."""

    def __init__(self, scope: Construct, name: str, base: Base, **options) -> None:
        super().__init__(scope, name, **options)
        count = int(self.node.try_get_context("desired_count") or 1)
        # Without this the CDK keeps logs when it destroys the stack.
        log_group = logs.LogGroup(self, "Log", retention=logs.RetentionDays.ONE_WEEK, removal_policy=cdk.RemovalPolicy.DESTROY)
        balanced = patterns.ApplicationLoadBalancedEc2Service(
            self, "EC2CapacityProviderService", service_name="ecsdemo-capacityproviders-ec2", cluster=base.cluster,
            cpu=256, memory_limit_mib=512, desired_count=count, public_load_balancer=True,
            min_healthy_percent=100, max_healthy_percent=200,
            task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
                image=ecs.ContainerImage.from_registry("capstan/web"), container_port=3000,
                log_driver=ecs.LogDrivers.aws_logs(stream_prefix="workshop", log_group=log_group),
            ),
            capacity_provider_strategies=base.strategy,
        )  # fmt: skip
        # A Spot Instance is gone after two minutes: targets must be drained before that, and new ones healthy soon.
        target_group = balanced.target_group.node.default_child
        target_group.target_group_attributes = [{"key": "deregistration_delay.timeout_seconds", "value": "90"}]
        target_group.healthy_threshold_count = 2


app = cdk.App()
environment = cdk.Environment(account=app.node.try_get_context("account") or "000000000000", region=app.node.try_get_context("region") or "us-east-1")
base = Base(app, "ecsworkshop-base", env=environment)
Service(app, "ecsworkshop-capacityproviders-ec2", base, env=environment)
app.synth()

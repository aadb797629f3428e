# A web service that always keeps a base of On-Demand capacity, and a batch service that lives on Spot alone and follows
# the length of a queue: the cluster, its two capacity providers and the strategies. What each of them stands on is in
# capacity.tf, the services are in services.tf, the queue is in queue.tf.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

# Nothing here names Capstan: AWS_ENDPOINT_URL and the other variables of `capstan env` do.
provider "aws" {
  default_tags {
    tags = { Stack = var.name }
  }
}

resource "aws_ecs_cluster" "main" {
  name = var.name
}

resource "aws_ecs_capacity_provider" "on_demand" {
  name = "${var.name}-on-demand"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.on_demand.arn
    managed_termination_protection = "DISABLED"

    managed_scaling {
      status                    = "ENABLED"
      maximum_scaling_step_size = 10
      target_capacity           = 100
    }
  }
}

resource "aws_ecs_capacity_provider" "spot" {
  name = "${var.name}-spot"

  auto_scaling_group_provider {
    auto_scaling_group_arn = aws_autoscaling_group.spot.arn
    # Scale-in spares instances that run batch tasks. The group must start its instances protected.
    managed_termination_protection = "ENABLED"
    managed_draining               = "ENABLED"

    managed_scaling {
      status                    = "ENABLED"
      maximum_scaling_step_size = 5
      target_capacity           = var.spot_target_capacity
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = [aws_ecs_capacity_provider.on_demand.name, aws_ecs_capacity_provider.spot.name]

  # Who names no strategy of their own gets On-Demand capacity.
  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.on_demand.name
    base              = 1
    weight            = 1
  }

  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.spot.name
    weight            = 0
  }
}

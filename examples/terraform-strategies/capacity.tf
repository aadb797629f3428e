# What the capacity providers stand on: network, role, launch templates, Auto Scaling groups.

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
}

resource "aws_security_group" "instances" {
  name        = "${var.name}-instances"
  description = "Container instances: out everywhere, in to ephemeral ports from the VPC"
  vpc_id      = data.aws_vpc.default.id

  ingress {
    description = "Host ports of tasks"
    from_port   = 32768
    to_port     = 65535
    protocol    = "tcp"
    cidr_blocks = [data.aws_vpc.default.cidr_block]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_iam_role" "instance" {
  name = "${var.name}-instance"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "instance" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "instance" {
  name = "${var.name}-instance"
  role = aws_iam_role.instance.name
}

locals {
  # As /etc/ecs/ecs.config of the ECS-optimized image takes it.
  agent_config = {
    on_demand = ["ECS_CLUSTER=${var.name}"]
    spot      = ["ECS_CLUSTER=${var.name}", "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true"]
  }
}

resource "aws_launch_template" "instance" {
  for_each = local.agent_config

  name                   = "${var.name}-${replace(each.key, "_", "-")}"
  image_id               = data.aws_ssm_parameter.image.insecure_value
  instance_type          = "m5.large"
  vpc_security_group_ids = [aws_security_group.instances.id]
  user_data = base64encode(join("\n", concat(
    ["#!/bin/bash"],
    [for line in each.value : "echo ${line} >> /etc/ecs/ecs.config"],
    [""],
  )))

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-${each.key}" }
  }
}

resource "aws_autoscaling_group" "on_demand" {
  name                = "${var.name}-on-demand"
  min_size            = 0
  max_size            = 5
  vpc_zone_identifier = sort(data.aws_subnets.default.ids)

  launch_template {
    id      = aws_launch_template.instance["on_demand"].id
    version = aws_launch_template.instance["on_demand"].latest_version
  }

  # ECS puts this tag on a group that a capacity provider uses; without it here the next plan would take it away.
  tag {
    key                 = "AmazonECSManaged"
    value               = ""
    propagate_at_launch = true
  }
}

resource "aws_autoscaling_group" "spot" {
  name                  = "${var.name}-spot"
  min_size              = 0
  max_size              = 10
  vpc_zone_identifier   = sort(data.aws_subnets.default.ids)
  protect_from_scale_in = true
  capacity_rebalance    = true

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = 0
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.instance["spot"].id
        version            = aws_launch_template.instance["spot"].latest_version
      }

      dynamic "override" {
        for_each = var.spot_types
        content {
          instance_type = override.value
        }
      }
    }
  }

  tag {
    key                 = "AmazonECSManaged"
    value               = ""
    propagate_at_launch = true
  }
}

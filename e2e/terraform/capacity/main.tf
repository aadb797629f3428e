# Groups as people write them: with policies, hooks, schedules and tags. `step` is the change between two applies.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "step" {
  type = number
}

data "aws_availability_zones" "here" {
  state = "available"
}

data "aws_ami" "ecs" {
  most_recent = true
  owners      = ["amazon"]

  filter {
    name   = "name"
    values = ["al2023-ami-ecs-hvm-*-x86_64"]
  }
}

resource "aws_launch_template" "this" {
  name                   = "capacity"
  description            = "Step ${var.step}"
  update_default_version = true
  image_id               = data.aws_ami.ecs.id
  instance_type          = var.step == 1 ? "t3.small" : "t3.medium"
  ebs_optimized          = true

  monitoring {
    enabled = true
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = 30 * var.step
      volume_type           = "gp3"
      delete_on_termination = true
      encrypted             = true
    }
  }

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags          = { step = var.step }
    }
  }

  tags = { Name = "capacity" }
}

resource "aws_launch_template" "spot" {
  name_prefix   = "capacity-spot-"
  image_id      = data.aws_ami.ecs.id
  instance_type = "c5.large"

  instance_market_options {
    market_type = "spot"

    spot_options {
      max_price = var.step == 1 ? "0.05" : "0.06"
    }
  }

  placement {
    availability_zone = data.aws_availability_zones.here.names[0]
  }
}

resource "aws_autoscaling_group" "this" {
  name                      = "capacity"
  min_size                  = 1
  max_size                  = 3 + var.step
  desired_capacity          = var.step
  default_cooldown          = 60
  default_instance_warmup   = 30
  health_check_type         = "EC2"
  health_check_grace_period = 30 * var.step
  availability_zones        = slice(data.aws_availability_zones.here.names, 0, 2)
  termination_policies      = var.step == 1 ? ["OldestInstance"] : ["NewestInstance", "Default"]
  suspended_processes       = var.step == 1 ? [] : ["AZRebalance"]
  enabled_metrics           = var.step == 1 ? ["GroupDesiredCapacity"] : ["GroupDesiredCapacity", "GroupInServiceInstances"]
  metrics_granularity       = "1Minute"
  wait_for_capacity_timeout = "5m"
  min_elb_capacity          = 0
  max_instance_lifetime     = 604800
  force_delete              = false

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  initial_lifecycle_hook {
    name                 = "first"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = 30
    default_result       = "CONTINUE"
  }

  instance_maintenance_policy {
    min_healthy_percentage = 90
    max_healthy_percentage = 120
  }

  tag {
    key                 = "Name"
    value               = "capacity ${var.step}"
    propagate_at_launch = true
  }

  tag {
    key                 = "only-here"
    value               = ""
    propagate_at_launch = false
  }

  dynamic "tag" {
    for_each = var.step == 1 ? { early = "1" } : { late = "1", later = "2" }
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  timeouts {
    delete = "5m"
  }
}

resource "aws_autoscaling_group" "mixed" {
  name               = "capacity-mixed"
  min_size           = 0
  max_size           = 5
  capacity_rebalance = true
  availability_zones = data.aws_availability_zones.here.names

  mixed_instances_policy {
    instances_distribution {
      on_demand_allocation_strategy            = "prioritized"
      on_demand_base_capacity                  = var.step
      on_demand_percentage_above_base_capacity = 25
      spot_allocation_strategy                 = var.step == 1 ? "capacity-optimized" : "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_name = aws_launch_template.this.name
        version              = "$Default"
      }

      override {
        instance_type     = "m5.large"
        weighted_capacity = "1"
      }

      override {
        instance_type     = "m5.xlarge"
        weighted_capacity = "2"
      }
    }
  }
}

resource "aws_autoscaling_lifecycle_hook" "this" {
  name                   = "second"
  autoscaling_group_name = aws_autoscaling_group.mixed.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_LAUNCHING"
  heartbeat_timeout      = 60 * var.step
  notification_metadata  = jsonencode({ step = var.step })
}

resource "aws_autoscaling_policy" "simple" {
  name                   = "capacity-simple"
  autoscaling_group_name = aws_autoscaling_group.this.name
  adjustment_type        = "ChangeInCapacity"
  scaling_adjustment     = var.step
  cooldown               = 120
}

resource "aws_autoscaling_policy" "step" {
  name                      = "capacity-step"
  autoscaling_group_name    = aws_autoscaling_group.this.name
  policy_type               = "StepScaling"
  adjustment_type           = "PercentChangeInCapacity"
  metric_aggregation_type   = "Average"
  estimated_instance_warmup = 60
  min_adjustment_magnitude  = 1

  step_adjustment {
    scaling_adjustment          = 10 * var.step
    metric_interval_lower_bound = 0
    metric_interval_upper_bound = 20
  }

  step_adjustment {
    scaling_adjustment          = 50
    metric_interval_lower_bound = 20
  }
}

resource "aws_autoscaling_policy" "tracking" {
  name                   = "capacity-tracking"
  autoscaling_group_name = aws_autoscaling_group.mixed.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value     = 50 + var.step
    disable_scale_in = var.step == 2

    customized_metric_specification {
      namespace   = "shop"
      metric_name = "load"
      statistic   = "Average"

      metric_dimension {
        name  = "group"
        value = "capacity"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "step" {
  alarm_name          = "capacity-step"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  evaluation_periods  = 1
  metric_name         = "load"
  namespace           = "shop"
  period              = 60
  statistic           = "Maximum"
  threshold           = 70
  alarm_actions       = [aws_autoscaling_policy.step.arn]
  ok_actions          = [aws_autoscaling_policy.simple.arn]
}

resource "aws_autoscaling_attachment" "this" {
  autoscaling_group_name = aws_autoscaling_group.mixed.name
  lb_target_group_arn    = aws_lb_target_group.this.arn
}

data "aws_vpc" "default" {
  default = true
}

resource "aws_lb_target_group" "this" {
  name     = "capacity"
  port     = 80
  protocol = "HTTP"
  vpc_id   = data.aws_vpc.default.id

  stickiness {
    type            = "lb_cookie"
    enabled         = var.step == 1
    cookie_duration = 3600
  }
}

# What Application Auto Scaling does with a service. `step` is the change between two applies.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "step" {
  type = number
}

resource "aws_ecs_cluster" "this" {
  name = "scaling"
}

resource "aws_ecs_task_definition" "this" {
  family                = "scaling"
  container_definitions = jsonencode([{ name = "web", image = "capstan/web", memory = 128 }])
}

resource "aws_ecs_service" "this" {
  name            = "scaling"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this.arn

  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.step
  max_capacity       = 10 * var.step
  tags               = { step = var.step }
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = 50 + var.step
    scale_in_cooldown  = 300
    scale_out_cooldown = 60 * var.step

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "backlog" {
  name               = "backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value     = 100
    disable_scale_in = var.step == 2

    customized_metric_specification {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      statistic   = "Average"

      dimensions {
        name  = "QueueName"
        value = "scaling"
      }
    }
  }
}

resource "aws_appautoscaling_policy" "step" {
  name               = "step"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension

  step_scaling_policy_configuration {
    adjustment_type          = "PercentChangeInCapacity"
    cooldown                 = 60
    min_adjustment_magnitude = var.step
    metric_aggregation_type  = "Average"

    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 10.5
      scaling_adjustment          = 10
    }

    step_adjustment {
      metric_interval_lower_bound = 10.5
      scaling_adjustment          = 20 * var.step
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "step" {
  alarm_name          = "scaling-step"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  metric_name         = "load"
  namespace           = "shop"
  period              = 60
  statistic           = "Average"
  threshold           = 1
  alarm_actions       = [aws_appautoscaling_policy.step.arn]
}

resource "aws_appautoscaling_scheduled_action" "night" {
  name               = "night"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = var.step == 1 ? "cron(0 22 * * ? *)" : "cron(30 22 * * ? *)"
  timezone           = "Europe/Berlin"

  scalable_target_action {
    min_capacity = 1
    max_capacity = var.step + 1
  }
}

resource "aws_appautoscaling_scheduled_action" "once" {
  name               = "once"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "at(2099-01-01T00:00:00)"

  scalable_target_action {
    max_capacity = 3
  }
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
}

resource "aws_launch_configuration" "this" {
  name_prefix   = "scaling-"
  image_id      = data.aws_ssm_parameter.image.value
  instance_type = var.step == 1 ? "t3.micro" : "t3.small"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_autoscaling_group" "this" {
  name                 = "scaling"
  min_size             = 0
  max_size             = 3
  launch_configuration = aws_launch_configuration.this.name
  availability_zones   = ["us-east-1a"]
}

resource "aws_autoscaling_schedule" "morning" {
  scheduled_action_name  = "morning"
  autoscaling_group_name = aws_autoscaling_group.this.name
  recurrence             = var.step == 1 ? "0 7 * * MON-FRI" : "0 8 * * MON-FRI"
  min_size               = 0
  max_size               = 3
  desired_capacity       = var.step
}

# What watches: alarms, rules, logs, dashboards, queues with policies, experiments. `step` is the change between two
# applies.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  default_tags {
    tags = { case = "observability" }
  }
}

variable "step" {
  type = number
}

resource "aws_cloudwatch_log_group" "kept" {
  name              = "/observability/kept"
  retention_in_days = var.step == 1 ? 7 : 14
  tags              = { step = var.step }
}

resource "aws_cloudwatch_log_group" "for_ever" {
  name_prefix  = "/observability/for-ever-"
  skip_destroy = false
}

resource "aws_cloudwatch_log_stream" "this" {
  name           = "stream"
  log_group_name = aws_cloudwatch_log_group.kept.name
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.kept.arn}:*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "this" {
  policy_name     = "observability"
  policy_document = data.aws_iam_policy_document.logs.json
}

resource "aws_sqs_queue" "dead" {
  name                      = "observability-dead"
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue" "this" {
  name                       = "observability"
  delay_seconds              = var.step == 1 ? 0 : 5
  receive_wait_time_seconds  = 10
  visibility_timeout_seconds = 60
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.step + 3
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this.arn]
  })
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "step${var.step}"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.this.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.pattern.arn } }
    }]
  })
}

resource "aws_cloudwatch_event_bus" "this" {
  name = "observability"
}

resource "aws_cloudwatch_event_rule" "pattern" {
  name        = "observability-interruptions"
  description = "Step ${var.step}"
  state       = var.step == 1 ? "ENABLED" : "DISABLED"
  event_pattern = jsonencode({
    source        = ["aws.ec2"]
    "detail-type" = ["EC2 Spot Instance Interruption Warning"]
  })
}

resource "aws_cloudwatch_event_rule" "schedule" {
  name_prefix         = "observability-"
  schedule_expression = var.step == 1 ? "rate(5 minutes)" : "cron(0 12 * * ? *)"
}

resource "aws_cloudwatch_event_rule" "on_bus" {
  name           = "orders"
  event_bus_name = aws_cloudwatch_event_bus.this.name
  event_pattern  = jsonencode({ source = ["shop"] })
}

resource "aws_cloudwatch_event_target" "queue" {
  rule      = aws_cloudwatch_event_rule.pattern.name
  target_id = "queue"
  arn       = aws_sqs_queue.this.arn

  input_transformer {
    input_paths    = { instance = "$.detail.instance-id" }
    input_template = "\"step ${var.step}: <instance> goes\""
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 300
    maximum_retry_attempts       = var.step
  }
}

resource "aws_cloudwatch_event_target" "log" {
  rule = aws_cloudwatch_event_rule.schedule.name
  arn  = aws_cloudwatch_log_group.kept.arn
}

resource "aws_cloudwatch_event_target" "bus" {
  rule           = aws_cloudwatch_event_rule.on_bus.name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  arn            = aws_sqs_queue.this.arn
  input          = jsonencode({ step = var.step })
}

resource "aws_cloudwatch_metric_alarm" "simple" {
  alarm_name          = "observability-simple"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 2
  datapoints_to_alarm = 1
  metric_name         = "CPUReservation"
  namespace           = "AWS/ECS"
  period              = 60
  statistic           = "Average"
  threshold           = var.step == 1 ? 80 : 80.5
  alarm_description   = "Step ${var.step}"
  actions_enabled     = var.step == 1
  dimensions          = { ClusterName = "observability" }
}

resource "aws_cloudwatch_metric_alarm" "percentile" {
  alarm_name          = "observability-percentile"
  comparison_operator = "LessThanThreshold"
  evaluation_periods  = 1
  metric_name         = "TargetResponseTime"
  namespace           = "AWS/ApplicationELB"
  period              = 300
  extended_statistic  = var.step == 1 ? "p99" : "p99.9"
  threshold           = 0.25
  unit                = "Seconds"
  treat_missing_data  = "notBreaching"
  tags                = { step = var.step }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "observability"
  dashboard_body = jsonencode({
    widgets = [{
      type   = "metric"
      x      = 0
      y      = 0
      width  = 6 * var.step
      height = 6
      properties = {
        metrics = [["AWS/SQS", "NumberOfMessagesSent", "QueueName", "observability"]]
        region  = "us-east-1"
        title   = "Sent"
      }
    }]
  })
}

resource "aws_fis_experiment_template" "this" {
  description = "Takes Spot Instances away"
  role_arn    = "arn:aws:iam::000000000000:role/fis"

  stop_condition {
    source = var.step == 1 ? "none" : "aws:cloudwatch:alarm"
    value  = var.step == 1 ? null : aws_cloudwatch_metric_alarm.simple.arn
  }

  action {
    name      = "interrupt"
    action_id = "aws:ec2:send-spot-instance-interruptions"

    parameter {
      key   = "durationBeforeInterruption"
      value = var.step == 1 ? "PT2M" : "PT5M"
    }

    target {
      key   = "SpotInstances"
      value = "spot"
    }
  }

  target {
    name           = "spot"
    resource_type  = "aws:ec2:spot-instance"
    selection_mode = "COUNT(${var.step})"

    resource_tag {
      key   = "Name"
      value = "observability"
    }

    filter {
      path   = "State.Name"
      values = ["running"]
    }
  }

  tags = { Name = "observability" }
}

# The queue and what follows its length: alarms on the messages that wait, and step scaling of the batch service.

resource "aws_sqs_queue" "work" {
  name = "${var.name}-work"
  # Longer than a worker needs for ten messages.
  visibility_timeout_seconds = 900
}

resource "aws_appautoscaling_target" "batch" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.main.name}/${aws_ecs_service.batch.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 0
  max_capacity       = var.batch_max
}

resource "aws_appautoscaling_policy" "out" {
  name               = "${var.name}-backlog"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.batch.service_namespace
  resource_id        = aws_appautoscaling_target.batch.resource_id
  scalable_dimension = aws_appautoscaling_target.batch.scalable_dimension

  # Bounds are messages above the alarm's threshold.
  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"

    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 100
      scaling_adjustment          = 2
    }

    step_adjustment {
      metric_interval_lower_bound = 100
      scaling_adjustment          = var.batch_max
    }
  }
}

resource "aws_appautoscaling_policy" "in" {
  name               = "${var.name}-idle"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.batch.service_namespace
  resource_id        = aws_appautoscaling_target.batch.resource_id
  scalable_dimension = aws_appautoscaling_target.batch.scalable_dimension

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "backlog" {
  alarm_name          = "${var.name}-backlog"
  alarm_description   = "Messages wait for a worker"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.work.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.out.arn]
}

resource "aws_cloudwatch_metric_alarm" "idle" {
  alarm_name          = "${var.name}-idle"
  alarm_description   = "No message has waited for five minutes"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.work.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanOrEqualToThreshold"
  threshold           = 0
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_appautoscaling_policy.in.arn]
}

# The two services and their logs.

resource "aws_cloudwatch_log_group" "tasks" {
  name              = "/ecs/${var.name}"
  retention_in_days = 7
}

data "aws_region" "current" {}

locals {
  logs = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.tasks.name
      awslogs-region        = data.aws_region.current.name
      awslogs-stream-prefix = "task"
    }
  }
}

# Of the tasks' containers, as opposed to the instances' role.
resource "aws_iam_role" "batch" {
  name = "${var.name}-batch"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "batch" {
  name = "take-from-the-queue"
  role = aws_iam_role.batch.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
      Resource = aws_sqs_queue.work.arn
    }]
  })
}

resource "aws_ecs_task_definition" "web" {
  family                   = "${var.name}-web"
  requires_compatibilities = ["EC2"]
  network_mode             = "bridge"

  container_definitions = jsonencode([{
    name             = "web"
    image            = "capstan/web"
    cpu              = 256
    memory           = var.web_memory
    essential        = true
    portMappings     = [{ containerPort = 80, hostPort = 0 }]
    logConfiguration = local.logs
  }])
}

resource "aws_ecs_task_definition" "batch" {
  family                   = "${var.name}-batch"
  requires_compatibilities = ["EC2"]
  network_mode             = "bridge"
  task_role_arn            = aws_iam_role.batch.arn

  container_definitions = jsonencode([{
    name             = "worker"
    image            = "python:3-alpine"
    command          = ["python3", "-u", "-c", file("${path.module}/worker.py")]
    cpu              = 512
    memory           = 512
    essential        = true
    stopTimeout      = 120
    environment      = [{ name = "QUEUE_URL", value = aws_sqs_queue.work.url }]
    logConfiguration = local.logs
  }])
}

resource "aws_ecs_service" "web" {
  name            = "web"
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.web.arn
  desired_count   = var.web_count

  # Never less than one task on On-Demand capacity; with this one provider all of them are.
  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.on_demand.name
    base              = 1
    weight            = 1
  }

  # A capacity provider can only be deleted when nobody uses it, so the service must know who has put it on the cluster.
  depends_on = [aws_ecs_cluster_capacity_providers.main]
}

resource "aws_ecs_service" "batch" {
  name            = "batch"
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.batch.arn
  desired_count   = 0

  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.spot.name
    weight            = 1
  }

  # The queue decides, through queue.tf.
  lifecycle {
    ignore_changes = [desired_count]
  }

  depends_on = [aws_ecs_cluster_capacity_providers.main, aws_iam_role_policy.batch]
}

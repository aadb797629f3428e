# Services as people write them: behind a load balancer, waiting for steady state, redeployed by force, with drift that
# they ignore. `step` is the change between two applies.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "step" {
  type = number
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_security_group" "default" {
  vpc_id = data.aws_vpc.default.id
  name   = "default"
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
}

resource "aws_ecs_cluster" "this" {
  name = "services"
  tags = { step = var.step }

  setting {
    name  = "containerInsights"
    value = var.step == 1 ? "disabled" : "enabled"
  }
}

resource "aws_launch_template" "this" {
  name_prefix   = "services-"
  image_id      = data.aws_ssm_parameter.image.value
  instance_type = var.step == 1 ? "m5.large" : "m5.xlarge"
  user_data     = base64encode("#!/bin/bash\necho ECS_CLUSTER=services >> /etc/ecs/ecs.config\n")
}

resource "aws_autoscaling_group" "this" {
  name_prefix           = "services-"
  min_size              = 2
  max_size              = 4
  desired_capacity      = 2
  vpc_zone_identifier   = data.aws_subnets.default.ids
  protect_from_scale_in = true

  launch_template {
    id      = aws_launch_template.this.id
    version = "$Latest"
  }

  tag {
    key                 = "AmazonECSManaged"
    value               = true
    propagate_at_launch = true
  }

  lifecycle {
    ignore_changes        = [desired_capacity]
    create_before_destroy = true
  }
}

resource "aws_ecs_capacity_provider" "this" {
  name = "services"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.this.arn
    managed_termination_protection = "ENABLED"

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = var.step == 1 ? 100 : 80
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 2
      instance_warmup_period    = 60
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = [aws_ecs_capacity_provider.this.name]

  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.this.name
    weight            = 100
  }
}

resource "aws_lb" "this" {
  name               = "services"
  load_balancer_type = "application"
  subnets            = data.aws_subnets.default.ids
  security_groups    = [data.aws_security_group.default.id]
  idle_timeout       = var.step == 1 ? 60 : 90
}

resource "aws_lb_target_group" "this" {
  for_each             = toset(["bridge", "awsvpc"])
  name                 = "services-${each.key}"
  port                 = 80
  protocol             = "HTTP"
  vpc_id               = data.aws_vpc.default.id
  target_type          = each.key == "bridge" ? "instance" : "ip"
  deregistration_delay = var.step == 1 ? 30 : 10

  health_check {
    path                = "/health"
    interval            = var.step == 1 ? 10 : 15
    healthy_threshold   = 2
    unhealthy_threshold = 3
    timeout             = 5
    matcher             = "200-299"
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = 8480
  protocol          = "HTTP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this["bridge"].arn
  }
}

resource "aws_lb_listener_rule" "this" {
  listener_arn = aws_lb_listener.this.arn
  priority     = var.step == 1 ? 10 : 20

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this["awsvpc"].arn
  }

  condition {
    path_pattern {
      values = ["/api/*"]
    }
  }
}

resource "aws_lb_listener_rule" "fixed" {
  listener_arn = aws_lb_listener.this.arn

  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "step ${var.step}"
      status_code  = "503"
    }
  }

  condition {
    host_header {
      values = ["old.example.com"]
    }
  }
}

resource "aws_ecs_task_definition" "bridge" {
  family                   = "services-bridge"
  requires_compatibilities = ["EC2"]
  network_mode             = "bridge"
  cpu                      = 256
  memory                   = 256

  container_definitions = jsonencode([
    {
      name         = "web"
      image        = "capstan/web"
      essential    = true
      portMappings = [{ containerPort = 80, hostPort = 0, protocol = "tcp" }]
      environment = [
        { name = "STEP", value = tostring(var.step) },
        { name = "B", value = "two" },
        { name = "A", value = "one" },
      ]
      mountPoints    = []
      volumesFrom    = []
      systemControls = []
      healthCheck = {
        command  = ["CMD-SHELL", "exit 0"]
        interval = 30
      }
    },
    {
      name              = "side"
      image             = "capstan/web"
      essential         = false
      memoryReservation = 64
      dependsOn         = [{ containerName = "web", condition = "START" }]
      ulimits           = [{ name = "nofile", softLimit = 1024, hardLimit = 4096 }]
    },
  ])

  volume {
    name      = "scratch"
    host_path = "/tmp"
  }

  placement_constraints {
    type       = "memberOf"
    expression = "attribute:ecs.os-type == linux"
  }
}

resource "aws_ecs_task_definition" "awsvpc" {
  family                   = "services-awsvpc"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  cpu                      = "256"
  memory                   = "512"
  skip_destroy             = false

  container_definitions = <<-EOT
    [{"name": "web", "image": "capstan/web", "essential": true, "cpu": 0, "portMappings": [{"containerPort": 80}]}]
  EOT
}

resource "aws_ecs_service" "bridge" {
  name                              = "bridge"
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.bridge.arn
  desired_count                     = var.step == 1 ? 2 : 3
  health_check_grace_period_seconds = 30
  wait_for_steady_state             = true
  enable_ecs_managed_tags           = true
  propagate_tags                    = "SERVICE"
  tags                              = { step = var.step }

  deployment_minimum_healthy_percent = 50
  deployment_maximum_percent         = 200

  # ECS writes the cluster's default strategy into a service that names none, and the next plan would replace it.
  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.this.name
    weight            = 100
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this["bridge"].arn
    container_name   = "web"
    container_port   = 80
  }

  ordered_placement_strategy {
    type  = "spread"
    field = "attribute:ecs.availability-zone"
  }

  ordered_placement_strategy {
    type  = "binpack"
    field = "memory"
  }

  depends_on = [aws_lb_listener.this, aws_ecs_cluster_capacity_providers.this]
}

resource "aws_ecs_service" "awsvpc" {
  name                 = "awsvpc"
  cluster              = aws_ecs_cluster.this.name
  task_definition      = aws_ecs_task_definition.awsvpc.arn
  desired_count        = 1
  force_new_deployment = true

  triggers = {
    redeployment = var.step
  }

  network_configuration {
    subnets         = data.aws_subnets.default.ids
    security_groups = [data.aws_security_group.default.id]
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this["awsvpc"].arn
    container_name   = "web"
    container_port   = 80
  }

  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.this.name
    base              = var.step
    weight            = 1
  }

  depends_on = [aws_lb_listener_rule.this, aws_ecs_cluster_capacity_providers.this]
}

resource "aws_ecs_service" "daemon" {
  name                = "daemon"
  cluster             = aws_ecs_cluster.this.arn
  task_definition     = "${aws_ecs_task_definition.awsvpc.family}:${aws_ecs_task_definition.awsvpc.revision}"
  scheduling_strategy = "DAEMON"
  launch_type         = "EC2"

  network_configuration {
    subnets = data.aws_subnets.default.ids
  }
}

# A drill: for half an hour no Spot Instance can be had in any zone. Nothing happens until somebody starts it.

data "aws_availability_zones" "all" {
  state = "available"
}

resource "aws_iam_role" "drill" {
  name = "${var.name}-drill"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "fis.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_fis_experiment_template" "no_spot" {
  description = "No Spot capacity for ${var.name}"
  role_arn    = aws_iam_role.drill.arn

  stop_condition {
    source = "none"
  }

  action {
    name      = "no-capacity"
    action_id = "aws:ec2:asg-insufficient-instance-capacity-error"

    parameter {
      key   = "availabilityZoneIdentifiers"
      value = join(",", data.aws_availability_zones.all.names)
    }

    parameter {
      key   = "duration"
      value = "PT30M"
    }

    target {
      key   = "AutoScalingGroups"
      value = "spot"
    }
  }

  target {
    name           = "spot"
    resource_type  = "aws:ec2:autoscaling-group"
    selection_mode = "ALL"
    resource_arns  = [aws_autoscaling_group.spot.arn]
  }
}

output "drill" {
  value = aws_fis_experiment_template.no_spot.id
}

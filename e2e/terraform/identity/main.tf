# Roles, policies, profiles, parameters. `step` is the change between two applies.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "step" {
  type = number
}

data "aws_caller_identity" "me" {}

data "aws_partition" "here" {}

data "aws_iam_policy_document" "ec2" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = var.step == 1 ? ["ec2.amazonaws.com"] : ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    resources = ["arn:aws:sqs:*:${data.aws_caller_identity.me.account_id}:work-${var.step}"]
  }
}

resource "aws_iam_role" "instance" {
  name                 = "identity-instance"
  description          = "Step ${var.step}"
  assume_role_policy   = data.aws_iam_policy_document.ec2.json
  max_session_duration = 3600 * var.step
  tags                 = { step = var.step }
}

resource "aws_iam_role" "prefixed" {
  name_prefix           = "identity-"
  path                  = "/service/"
  force_detach_policies = true
  assume_role_policy    = data.aws_iam_policy_document.ec2.json
}

resource "aws_iam_role_policy_attachment" "managed" {
  for_each = toset(var.step == 1 ? ["service-role/AmazonEC2ContainerServiceforEC2Role"] : [
    "service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore",
  ])
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/${each.key}"
}

resource "aws_iam_role_policy" "inline" {
  name   = "read"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_policy" "own" {
  name        = "identity-own"
  description = "Reads a queue"
  policy      = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy_attachment" "own" {
  role       = aws_iam_role.prefixed.name
  policy_arn = aws_iam_policy.own.arn
}

resource "aws_iam_instance_profile" "this" {
  name = "identity-instance"
  role = var.step == 1 ? aws_iam_role.instance.name : aws_iam_role.prefixed.name
}

resource "aws_iam_service_linked_role" "spot" {
  aws_service_name = "spot.amazonaws.com"
}

resource "aws_iam_user" "this" {
  name = "identity"
}

resource "aws_iam_group" "this" {
  name = "identity"
}

resource "aws_ssm_parameter" "plain" {
  name        = "/identity/plain"
  description = "Step ${var.step}"
  type        = "String"
  value       = "value ${var.step}"
}

resource "aws_ssm_parameter" "secret" {
  name  = "/identity/secret"
  type  = "SecureString"
  value = "secret ${var.step}"
  tags  = { step = var.step }
}

resource "aws_ssm_parameter" "list" {
  name  = "/identity/list"
  type  = "StringList"
  value = "a,b,${var.step}"
}

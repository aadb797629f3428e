output "cluster" {
  value = aws_ecs_cluster.main.name
}

output "queue_url" {
  value = aws_sqs_queue.work.url
}

output "spot_group" {
  value = aws_autoscaling_group.spot.arn
}

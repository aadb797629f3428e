variable "name" {
  description = "Name of the cluster, and beginning of all other names"
  type        = string
  default     = "strategies"
}

variable "web_count" {
  description = "Tasks of the web service"
  type        = number
  default     = 2
}

variable "web_memory" {
  description = "MiB of a web task: a change registers a new revision, which replaces the tasks"
  type        = number
  default     = 512
}

variable "batch_max" {
  description = "Most tasks of the batch service"
  type        = number
  default     = 6
}

variable "spot_target_capacity" {
  description = "Percent of the Spot instances that batch tasks shall fill"
  type        = number
  default     = 100
}

variable "spot_types" {
  description = "Instance types of the Spot group; Spot is taken from the deepest of their pools"
  type        = list(string)
  default     = ["m5.large", "m5a.large", "m4.large"]
}

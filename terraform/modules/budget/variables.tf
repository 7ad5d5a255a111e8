variable "name_prefix" {
  description = "Stands in front of the budget's name."
  type        = string
}

variable "platform" {
  description = "The value of the tag `platform` on what is counted."
  type        = string
}

variable "usd_a_month" {
  description = "What a month may cost, in US dollars."
  type        = number
}

variable "email" {
  description = "Who is told."
  type        = string
}

variable "tags" {
  description = "Tags of the budget."
  type        = map(string)
  default     = {}
}

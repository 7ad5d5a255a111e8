# A mail when the platform costs more than it should. AWS counts what bears the platform's tag, once `platform` has been
# activated as a cost allocation tag in the billing console; until then the budget stays at nothing.

resource "aws_budgets_budget" "this" {
  name         = "${var.name_prefix}monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.usd_a_month)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = var.tags

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:platform$%s", var.platform)] # `$` before a brace would begin something of Terraform's
  }

  notification {
    notification_type          = "ACTUAL"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 80
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.email]
  }

  notification {
    notification_type          = "FORECASTED"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.email]
  }
}

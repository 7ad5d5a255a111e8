# What the budget alarm counts, and whom it tells.

mock_provider "aws" {}

run "it_counts_what_is_ours_and_tells_before_it_is_too_late" {
  module {
    source = "./modules/budget"
  }

  variables {
    name_prefix = "acme-"
    platform    = "acme"
    usd_a_month = 25
    email       = "ops@example.com"
  }

  assert {
    condition     = one(aws_budgets_budget.this.cost_filter).values == tolist(["user:platform$acme"])
    error_message = "Something else than the platform is counted."
  }

  assert {
    condition = toset([
      for told in aws_budgets_budget.this.notification :
      "${told.notification_type} ${told.threshold} ${join(",", told.subscriber_email_addresses)}"
    ]) == toset(["ACTUAL 80 ops@example.com", "FORECASTED 100 ops@example.com"])
    error_message = "Somebody else is told, or at another time."
  }

  assert {
    condition     = aws_budgets_budget.this.limit_amount == "25" && aws_budgets_budget.this.time_unit == "MONTHLY"
    error_message = "It is another budget."
  }
}

# The budget alarm, and that there is none unless somebody is to be told.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = { locations = ["us-east-1a"] }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name_prefix          = "acme-"
  release_label        = "emr-7.13.0"
  python_version       = "3.11"
  application_revision = "0a1b2c3d4e5f"
  wheels_revision      = "wheels/a1b2c3d4e5f6"
}

run "it_counts_what_is_ours_and_tells_before_it_is_too_late" {
  module {
    source = "./modules/budget"
  }

  variables {
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

run "without_somebody_to_tell_there_is_none" {
  command = plan

  assert {
    condition     = length(module.budget) == 0
    error_message = "There is a budget that nobody has asked for."
  }
}

run "with_somebody_to_tell_there_is_one" {
  command = plan

  variables {
    budget = { usd_a_month = 25, email = "ops@example.com" }
  }

  assert {
    condition     = length(module.budget) == 1
    error_message = "There is no budget."
  }
}

run "a_budget_of_nothing_is_refused" {
  command = plan

  variables {
    budget = { usd_a_month = 0, email = "ops@example.com" }
  }

  expect_failures = [var.budget]
}

run "a_budget_that_tells_no_address_is_refused" {
  command = plan

  variables {
    budget = { usd_a_month = 25, email = "ops" }
  }

  expect_failures = [var.budget]
}

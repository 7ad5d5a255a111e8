# Drydock: a target a line. `make` alone prints this as help; each recipe calls `drydock VERB`, where the work is done.
# DATE, ROWS, FROM, TO, FLOW, INPUTS, FILE, SERVICE, JOB, ARGS, CONFIRM, DATA, REVISION and RUNTIME reach the verb as they
# were given, whatever characters they hold: neither make nor the shell looks into them.

PYTHON ?= $(or $(shell command -v python3.11),python3)
export DRYDOCK_HOME := $(or $(DRYDOCK_HOME),$(CURDIR)/.drydock)
DRYDOCK := "$$DRYDOCK_HOME/envs/workspace/bin/drydock"
QUIET := $(if $(filter setup,$(MAKECMDGOALS)),,--quiet)

VARIABLES := DATE ROWS FROM TO FLOW INPUTS FILE SERVICE FOLLOW JOB ARGS CONFIRM DATA REVISION RUNTIME
given := $(strip $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
unknown := $(filter-out $(VARIABLES) PYTHON DRYDOCK_% MAKE%,$(given))
$(if $(unknown),$(error No target takes $(unknown). Variables are $(VARIABLES), in capitals))

literally = $(if $(filter-out undefined,$(origin $(1))),$(eval override $(1) := $$(value $(1)))$(eval export $(1)))
$(foreach variable,$(filter-out FOLLOW,$(VARIABLES)),$(call literally,$(variable)))

.PHONY: help setup doctor demo run backfill flow submit summary report local-up local-down local-reset local-status local-logs env deploy-aws aws-run aws-flow aws-status aws-ui destroy-aws aws-rehearsal parity aws-parity check test test-e2e test-full bench
.DEFAULT_GOAL := help
.NOTPARALLEL:

##@ Start here
demo: setup ## Bring the platform up and run a day of shipments through it (DATE= ROWS=)
	@$(DRYDOCK) demo $${DATE:+"--date=$$DATE"} $${ROWS:+"--rows=$$ROWS"}
setup: ## Fetch and make all that is needed, under DRYDOCK_HOME (.drydock); the other targets do it by themselves
	@"$(PYTHON)" scripts/prepare.py $(QUIET)
doctor: ## Look at machine, Docker, ports and network: what is in the way, and what mends it; sets nothing up (RUNTIME=docker|process)
	@"$(PYTHON)" scripts/doctor.py $${RUNTIME:+"--runtime=$$RUNTIME"}
help: ## Print this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ The running platform
local-up: setup ## Start the platform: as it ran last, else in Docker Compose (RUNTIME=docker|process); what runs is left alone
	@$(DRYDOCK) local-up
local-down: setup ## End every process of the platform, and only those
	@$(DRYDOCK) local-down
local-reset: setup ## Empty the platform: S3, IAM, EMR's and Kestra's history; asks first (CONFIRM=yes answers)
	@$(DRYDOCK) local-reset $${CONFIRM:+"--confirm=$$CONFIRM"}
local-status: setup ## Show each service: state, since when, memory, URL, and why not
	@$(DRYDOCK) local-status
local-logs: setup ## Show the services' last log lines (SERVICE=, FOLLOW=1 to go on)
	@$(DRYDOCK) local-logs $${SERVICE:+"--service=$$SERVICE"}
run: setup ## Run a day on the running platform (DATE= ROWS=)
	@$(DRYDOCK) run $${DATE:+"--date=$$DATE"} $${ROWS:+"--rows=$$ROWS"}
backfill: setup ## Run every day from FROM to TO that is not there yet (FROM= TO= ROWS=)
	@$(DRYDOCK) backfill $${FROM:+"--from=$$FROM"} $${TO:+"--to=$$TO"} $${ROWS:+"--rows=$$ROWS"}
flow: setup ## Run a flow once on the running platform (FLOW=id DATE= INPUTS='{"rows": 1000}')
	@$(DRYDOCK) flow $${FLOW:+"--flow=$$FLOW"} $${DATE:+"--date=$$DATE"} $${INPUTS:+"--inputs=$$INPUTS"}
submit: setup ## Run any PySpark program on a fresh cluster of the running platform (JOB=path/to/job.py ARGS="...")
	@$(DRYDOCK) submit $${JOB:+"--job=$$JOB"} $${ARGS:+"--args=$$ARGS"}
summary: setup ## Read the newest run of a day back from EMR, S3, Delta and Spark's event logs, and check it (DATE=)
	@$(DRYDOCK) summary $${DATE:+"--date=$$DATE"}
report: setup ## Write a page of charts and figures about the days in the tables (FROM= TO= FILE=)
	@$(DRYDOCK) report $${FROM:+"--from=$$FROM"} $${TO:+"--to=$$TO"} $${FILE:+"--file=$$FILE"}
parity: setup ## Compare the running local platform with the release, this checkout, one Spark process; look at IAM; some minutes (DATE= FILE=)
	@$(DRYDOCK) parity $${DATE:+"--date=$$DATE"} $${FILE:+"--file=$$FILE"}
env: setup ## Print shell exports: eval "$(make -s env)", and aws, boto3 and Terraform speak to the platform
	@$(DRYDOCK) env

##@ On AWS: the account that the environment leads to (AWS_PROFILE, AWS_REGION and the like)
deploy-aws: setup ## Bring the platform into the account: plan, ask, apply, upload, try a step (CONFIRM=<account id> REVISION=)
	@$(DRYDOCK) deploy-aws $${CONFIRM:+"--confirm=$$CONFIRM"} $${REVISION:+"--revision=$$REVISION"}
aws-run: setup ## Run a day on the deployed platform (DATE= ROWS=)
	@$(DRYDOCK) aws-run $${DATE:+"--date=$$DATE"} $${ROWS:+"--rows=$$ROWS"}
aws-flow: setup ## Run a flow once on the deployed platform (FLOW=id DATE= INPUTS=)
	@$(DRYDOCK) aws-flow $${FLOW:+"--flow=$$FLOW"} $${DATE:+"--date=$$DATE"} $${INPUTS:+"--inputs=$$INPUTS"}
aws-status: setup ## Show what is deployed, which clusters ran, which days there are
	@$(DRYDOCK) aws-status
aws-ui: setup ## Show the pages of Kestra on its host in the account, where there is one, until Ctrl-C
	@$(DRYDOCK) aws-ui
destroy-aws: setup ## Remove the platform from the account, its data too; asks twice (CONFIRM=<account id> DATA=delete)
	@$(DRYDOCK) destroy-aws $${CONFIRM:+"--confirm=$$CONFIRM"} $${DATA:+"--data=$$DATA"}
aws-rehearsal: setup ## Rehearse all of that on this machine, on an account that a second gateway plays (DATE= ROWS=)
	@$(DRYDOCK) aws-rehearsal $${DATE:+"--date=$$DATE"} $${ROWS:+"--rows=$$ROWS"}
aws-parity: setup ## Compare a deployment with this checkout and with the local platform as `make parity` found it (DATE= FILE=)
	@$(DRYDOCK) aws-parity $${DATE:+"--date=$$DATE"} $${FILE:+"--file=$$FILE"}

##@ Development
check: setup ## Lint, formatting, types, Terraform's formatting, shell syntax
	@$(DRYDOCK) check
test: setup ## Run the tests; no Docker needed
	@$(DRYDOCK) test
test-e2e: setup ## Run the tests of the platform in Docker Compose
	@$(DRYDOCK) test-e2e
test-full: setup ## Run the tests, the long ones too
	@$(DRYDOCK) test --full
bench: setup ## Measure the gateway's store, clusters and steps, the EMR API, the jobs, each beside what others do
	@$(DRYDOCK) bench

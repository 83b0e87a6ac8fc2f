// The wizard of every provider: what it writes of what somebody fills in is shown,
// and what is then saved is what /v1 makes of the same settings.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, person, start, stop, world } from './browser.mjs'

let page
before(async () => {
  await start()
  page = await person('devops')
})
after(async () => {
  await leave(page)
  await stop()
})

const aud = world.issuer
const is = (claim, value) => [claim, 'is', value]
const org = 'c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1e'
const project = '3a2f5b1c-7d1e-4f0a-9b61-2c5d8e7f9a10'
const events = 'push workflow_dispatch schedule release deployment repository_dispatch merge_group'.split(' ')
const github = 'https://token.actions.githubusercontent.com'

// providers are each preset by what it is called, what somebody knows of their
// workloads, and what has to be written of that; keys is where they are.
const providers = {
  circleci: {
    card: 'CircleCI', keys: { jwks_url: `https://oidc.circleci.com/org/${org}/.well-known/jwks-pub.json` },
    settings: { organization_id: org, project_id: project },
    writes: [is('iss', `https://oidc.circleci.com/org/${org}`), is('aud', org), is('oidc.circleci.com/project-id', project)],
  },
  gitlab: {
    card: 'GitLab', keys: { jwks_url: 'https://gitlab.example.com/oauth/discovery/keys' },
    settings: { domain: 'gitlab.example.com', group: 'acme/team', project: 'app', project_id: '4711' },
    writes: [is('iss', 'https://gitlab.example.com'), is('aud', aud), is('namespace_path', 'acme/team'), is('project_path', 'acme/team/app'), is('project_id', '4711')],
  },
  google_cloud: {
    card: 'Google Cloud', keys: { jwks_url: 'https://www.googleapis.com/oauth2/v3/certs' },
    settings: { client_id: aud, email: 'job@acme.iam.gserviceaccount.com', account_id: '112233445566778899000' },
    writes: [
      is('iss', 'https://accounts.google.com'), is('aud', aud), is('email', 'job@acme.iam.gserviceaccount.com'), is('email_verified', 'true'), is('sub', '112233445566778899000'),
    ],
  },
  github: {
    card: 'GitHub Actions', keys: { jwks_url: `${github}/.well-known/jwks` },
    settings: { owner: 'acme', owner_id: '798097', repository: 'app', repository_id: '1274399613', environment: 'production', audience: 'https://vault.example' },
    writes: [
      is('iss', github), is('aud', 'https://vault.example'), is('repository_owner', 'acme'), is('repository_owner_id', '798097'), is('repository', 'acme/app'),
      is('repository_id', '1274399613'), is('environment', 'production'), ['event_name', 'is one of', events.join('\n')],
    ],
  },
  kubernetes: {
    card: 'Kubernetes', keys: { issuer_url: 'https://kubernetes.example.com' },
    settings: { issuer: 'https://kubernetes.example.com', audience: aud, namespace: 'shop', service_account: 'web' },
    writes: [is('iss', 'https://kubernetes.example.com'), is('aud', aud), is('sub', 'system:serviceaccount:shop:web')],
  },
}

const operators = { is: 'equals', 'is one of': 'one_of' }

// condition is a row as /v1 has it.
const condition = ([claim, says, value]) => ({ claim, operator: operators[says], ...(says === 'is' ? { value } : { values: value.split('\n') }) })

// preview is the conditions that the page says are written, row by row.
const preview = () => page.locator('#preview').getByRole('region', { name: 'Conditions' }).locator('tbody tr')
  .evaluateAll((rows) => rows.map((r) => [...r.cells].map((c) => c.innerText.trim())))

// fields is the conditions as they stand in the form, to be edited.
const fields = () => page.locator('.condition').evaluateAll((rows) => rows.map((r) => ['claim', 'operator', 'value'].map((part) => {
  const field = r.querySelector(`[name$=".${part}"]`)
  return part === 'operator' ? field.selectedOptions[0].textContent.trim() : field.value
})))

async function fills(card, name, settings) {
  await page.goto(at('/connections'))
  await page.locator('main').getByRole('link', { name: 'Draft a connection' }).first().click()
  await page.getByRole('navigation', { name: 'Providers' }).getByRole('link', { name: card }).click()
  await page.getByLabel('Name', { exact: true }).fill(name)
  for (const [setting, value] of Object.entries(settings)) await page.locator(`[name="settings.${setting}"]`).fill(value)
  await page.getByRole('button', { name: 'Show the conditions' }).click()
  await page.getByRole('heading', { name: 'What is written' }).waitFor()
}

async function saves(name) {
  await page.getByRole('button', { name: 'Save as draft' }).click()
  await page.waitForURL(at(`/connections/${name}`))
}

// holds keeps back what the page asks an address for by itself, until it is let go.
async function holds(address) {
  let go
  const gone = new Promise((done) => { go = done })
  await page.route(address, async (route) => { await gone; await route.continue() })
  return async () => { go(); await page.unroute(address, { behavior: 'wait' }) }
}

// says is what /v1 has of a connection, but for what it is called and when it was made.
async function says(name) {
  const { name: _, created_at: _a, updated_at: _b, ...rest } = await api('auditor', 'GET', `/connections/${name}`)
  return rest
}

for (const [provider, { card, keys, settings, writes }] of Object.entries(providers)) {
  test(`what somebody fills in of ${card} is written as conditions, shown, and saved as /v1 would`, async () => {
    const name = `wizard-${provider.replace('_', '-')}`
    await fills(card, name, settings)
    assert.deepEqual(await preview(), writes)
    assert.deepEqual(await fields(), writes)
    const [[source, address]] = Object.entries(keys)
    assert.equal(await page.locator(`[name="${source}"]`).inputValue(), address)
    assert.ok(await page.locator('#preview .facts').getByText(address, { exact: true }).first().isVisible())
    assert.ok(!(await api('auditor', 'GET', '/connections')).connections.some((c) => c.name === name), 'nothing is saved before it was looked at')
    await saves(name)
    await api('devops', 'POST', '/connections', { name: `${name}-api`, provider, settings })
    const saved = await says(name)
    assert.deepEqual(saved, await says(`${name}-api`))
    assert.deepEqual([saved.status, saved.conditions, saved[source]], ['draft', writes.map(condition), address])
  })
}

test('of any issuer somebody writes the conditions, and what is shown is what was typed last, however slow it comes', async () => {
  await page.goto(at('/new-connection'))
  await page.getByRole('navigation', { name: 'Providers' }).getByRole('link', { name: 'JWT' }).click()
  await page.getByLabel('Name', { exact: true }).fill('wizard-jwt')
  await page.getByLabel('Address of the key set').fill('https://issuer.example/keys')
  const rows = [is('iss', 'https://issuer.example'), is('aud', aud), ['team', 'is one of', 'payments\nsearch']]
  assert.deepEqual(await fields(), [is('iss', ''), is('aud', aud), is('sub', '')])
  const late = await holds('**/new-connection/preview')
  for (const [i, [claim, operator, value]] of rows.entries()) {
    await page.locator(`[name="conditions.${i}.claim"]`).fill(claim)
    await page.locator(`[name="conditions.${i}.operator"]`).selectOption({ label: operator })
    await page.locator(`[name="conditions.${i}.value"]`).fill(value)
  }
  await page.locator('[name="conditions.2.value"]').blur()
  await late()
  await page.locator('#preview').getByRole('row', { name: 'search' }).waitFor()
  assert.deepEqual(await preview(), rows)
  await saves('wizard-jwt')
  assert.deepEqual((await says('wizard-jwt')).conditions, rows.map(condition))
})

test('settings that are changed afterwards are written anew and shown before they are saved, with what was added', async () => {
  await fills('GitLab', 'wizard-anew', { domain: 'gitlab.com', group: 'acme', project: 'app' })
  await page.getByRole('button', { name: 'Add a condition' }).click()
  await page.locator('[name="conditions.4.claim"]').fill('ref')
  await page.locator('[name="conditions.4.value"]').fill('main')
  await page.locator('summary', { hasText: 'Name and settings' }).click()
  await page.locator('[name="settings.project"]').fill('shop')
  await page.getByRole('button', { name: 'Save as draft' }).click()
  await page.getByText('so they were written anew').waitFor()
  const rows = [is('iss', 'https://gitlab.com'), is('aud', aud), is('namespace_path', 'acme'), is('project_path', 'acme/shop'), is('ref', 'main')]
  assert.deepEqual(await preview(), rows)
  assert.ok(!(await api('auditor', 'GET', '/connections')).connections.some((c) => c.name === 'wizard-anew'))
  await saves('wizard-anew')
  assert.deepEqual((await says('wizard-anew')).conditions, rows.map(condition))
})

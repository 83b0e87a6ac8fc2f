// The security admin who writes the rules: a policy and a workload role, from a draft
// with a mistake in it to what it opens, and to what is closed again.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

before(async () => {
  await start()
  await api('security', 'POST', '/groups', { name: 'shop-team' })
  await api('security', 'POST', '/groups/shop-team/members', { person: 'alice' })
  await api('resource', 'POST', '/projects', { name: 'shop', checkout: { required: false } })
  await api('resource', 'POST', '/servers', { name: 'web-1', project: 'shop', address: 'web-1.example.com', labels: { tier: 'web' }, accounts: [{ name: 'me', kind: 'personal' }, { name: 'own', kind: 'personal' }] })
  await api('resource', 'POST', '/secrets', { path: 'shop/db', project: 'shop', value: 'correct horse' })
  await api('devops', 'POST', '/connections', { name: 'shop-ci', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: 'shop' } })
  await api('security', 'POST', '/connections/shop-ci/activate', {}, { 'if-match': '"1"' })
})
after(stop)

const editor = (page) => page.getByLabel('Document')
const press = (page, name) => page.getByRole('button', { name, exact: true }).click()

// checks has the editor look at a text; it saves nothing.
async function checks(page, text) {
  await editor(page).fill(text)
  await press(page, 'Check and preview')
  await page.waitForURL(/\/preview$/)
}

// lineOf is on which line of a text something is.
const lineOf = (text, what) => text.split('\n').findIndex((l) => l.includes(what)) + 1

// refusedAt is that a text is refused at one line, and still in the form.
async function refusedAt(page, text, what, pointer) {
  const wrong = page.locator('.wrongs li').filter({ hasText: pointer })
  await wrong.first().waitFor()
  assert.match(await wrong.first().innerText(), new RegExp(`line ${lineOf(text, what)}: `))
  assert.equal(await editor(page).inputValue(), text)
}

const there = async (path) => (await fetch(`${world.issuer}/v1${path}`, { headers: { authorization: `Bearer ${world.tokens.security}` } })).status
const reach = async () => (await api('alice', 'GET', '/access/resources')).resources.map((r) => r.resource)

test('a policy is drafted, seen in words, corrected by its line, published, edited and taken back', async () => {
  const security = await person('security')
  const alice = await person('alice')
  const sees = async (text) => {
    await alice.goto(at('/access'))
    await alice.locator('main').getByText(text).first().waitFor()
  }
  await security.getByRole('link', { name: 'Policies', exact: true }).first().click()
  await security.getByRole('link', { name: 'Add a policy' }).first().click()
  await security.getByRole('link', { name: 'A standing group' }).click()
  await security.waitForURL(/from=standing/)
  const text = (await editor(security).inputValue()).replace('web-operators', 'shop-team')
  const unclosed = text.replace('[shop-team]', '[shop-team')
  await checks(security, unclosed)
  await security.getByRole('alert').filter({ hasText: /line \d+/ }).waitFor()
  assert.equal(await editor(security).inputValue(), unclosed)
  const mistake = text.replace('type: ssh', 'type: sssh')
  await checks(security, mistake)
  await refusedAt(security, mistake, 'sssh', '/rules/0/privileges/0/type')
  await checks(security, text.replace('shop-team', 'shop-teem'))
  await security.getByText('whoever is in shop-teem').locator('..').getByText('missing').waitFor()
  await checks(security, text)
  await security.getByText('This is in order. Nothing is saved yet.').waitFor()
  const outline = await security.locator('.outline').innerText()
  for (const words of ['whoever is in shop-team', 'Rule web-servers', 'log in with SSH, with the account me', 'on every server labelled tier=web', 'nothing else: it stands open']) {
    assert.ok(outline.includes(words), `${words} is not in ${outline}`)
  }
  assert.equal(await there('/policies/web-standing'), 404, 'looking saves nothing')
  await press(security, 'Save')
  await security.waitForURL(at('/policies/web-standing'))
  await security.getByText('It is a draft, and decides nothing until it is published.').waitFor()
  await sees('Nothing yet')
  assert.deepEqual(await reach(), [])
  await press(security, 'Publish')
  await security.getByText('It decides from now on.').waitFor()
  await sees('web-1')
  assert.match(await alice.locator('main tr', { hasText: 'web-1' }).innerText(), /open/i)
  assert.deepEqual(await reach(), ['server/web-1'])
  await security.getByRole('link', { name: 'Edit', exact: true }).click()
  await editor(security).fill((await editor(security).inputValue()).replace('tier: web', 'tier: db'))
  await press(security, 'Save')
  await security.getByText('An edit waits to be published').waitFor()
  const diff = security.locator('#pending')
  assert.match(await diff.locator('del').innerText(), /tier: web/)
  assert.match(await diff.locator('ins').innerText(), /tier: db/)
  assert.deepEqual(await reach(), ['server/web-1'], 'what was published before decides')
  await press(security, 'Publish')
  await security.getByText('It decides from now on.').waitFor()
  assert.deepEqual(await reach(), [])
  await security.getByRole('link', { name: 'Edit', exact: true }).click()
  await editor(security).fill((await editor(security).inputValue()).replace('tier: db', 'tier: web'))
  await press(security, 'Save')
  await press(security, 'Publish')
  await security.getByText('It decides from now on.').waitFor()
  assert.deepEqual(await reach(), ['server/web-1'])
  await security.locator('summary', { hasText: 'Unpublish' }).click()
  await press(security, 'Unpublish now')
  await security.getByText('It opens nothing any more.').waitFor()
  await sees('Nothing yet')
  assert.deepEqual(await reach(), [])
  await leave(security, alice)
})

const claims = { iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: 'acme/shop', ref: 'main', sub: 'project_path:acme/shop:ref_type:branch:ref:main' }

test('a workload role is drafted, corrected by its line and saved, and a job that bears it reaches what a policy opens', async () => {
  const security = await person('security')
  const { access_token: token } = await (await exchange('shop-ci', await mint('/gitlab', claims))).json()
  // resolves is what the job is answered that asks for the secret.
  const resolves = async () => (await fetch(`${world.issuer}/v1/access/resolve`, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify({ resource: 'secret/shop/db' }),
  })).status
  const text = 'name: shop-deployers\ndescription: Deploys the shop\nrequirements:\n  - connection: shop-ci\n    conditions:\n      - { claim: ref, operator: one_of, values: [main, release] }\n'
  await security.goto(at('/roles'))
  await security.getByRole('link', { name: 'Add a workload role' }).first().click()
  const mistake = text.replace('one_of', 'one_off')
  await checks(security, mistake)
  await refusedAt(security, mistake, 'one_off', '/requirements/0/conditions/0/operator')
  await checks(security, text)
  await security.getByText('This is in order. Nothing is saved yet.').waitFor()
  assert.match(await security.locator('.outline').innerText(), /A token of shop-ci[^]*main[^]*release/)
  assert.equal(await there('/roles/shop-deployers'), 404, 'looking saves nothing')
  await press(security, 'Save')
  await security.waitForURL(at('/roles/shop-deployers'))
  await security.goto(at('/policies/-/new'))
  await editor(security).fill('name: jobs\nprincipals: { roles: [shop-deployers] }\nrules:\n  - name: db\n    resource: { secret: shop/db }\n    privileges:\n      - { type: secret, actions: [reveal] }\n')
  await press(security, 'Save')
  await security.waitForURL(at('/policies/jobs'))
  assert.equal(await resolves(), 403)
  await press(security, 'Publish')
  await security.getByText('It decides from now on.').waitFor()
  assert.equal(await resolves(), 200)
  await security.goto(at('/roles/shop-deployers/edit'))
  await editor(security).fill((await editor(security).inputValue()).replace('main', 'tags'))
  await press(security, 'Save')
  await security.waitForURL(at('/roles/shop-deployers'))
  assert.equal(await resolves(), 403, 'an edit bites tokens that are out')
  await security.goto(at('/roles/shop-deployers/edit'))
  await editor(security).fill((await editor(security).inputValue()).replace('tags', 'main'))
  await press(security, 'Save')
  await security.waitForURL(at('/roles/shop-deployers'))
  assert.equal(await resolves(), 200)
  await security.goto(at('/policies/jobs'))
  await security.locator('summary', { hasText: 'Unpublish' }).click()
  await press(security, 'Unpublish now')
  await security.getByText('It opens nothing any more.').waitFor()
  assert.equal(await resolves(), 403)
  await leave(security)
})

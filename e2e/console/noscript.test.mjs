// Reading and deciding without JavaScript.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, mint, newPage, phone, pick, signIn, start, stop, world } from './browser.mjs'
import { crawl } from './screens.mjs'

let asked

before(async () => {
  await start()
  await furnish()
})
after(stop)

// furnish has something to read, and two requests to decide.
async function furnish() {
  await api('devops', 'POST', '/connections', {
    name: 'plain', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: 'plain' },
  })
  await api('security', 'POST', '/connections/plain/activate', {}, { 'if-match': '"1"' })
  const claims = { iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: 'acme/plain', sub: 'project_path:acme/plain:ref_type:branch:ref:main' }
  await exchange('plain', await mint('/gitlab', claims))
  await exchange('plain', await mint('/gitlab', { ...claims, project_path: 'acme/other' }))
  for (const [group, person] of [['plain-admins', 'alice'], ['plain-deciders', 'bob']]) {
    await api('security', 'POST', '/groups', { name: group })
    await api('security', 'POST', `/groups/${group}/members`, { person })
  }
  for (let i = 0; i < 60; i++) await api('security', 'POST', '/groups', { name: `plain-${i}` })
  await api('resource', 'POST', '/projects', { name: 'plain', checkout: { required: false } })
  await api('resource', 'POST', '/servers', { name: 'plain-1', project: 'plain', address: 'plain-1.example.com', accounts: [1, 2].map((n) => ({ name: `root${n}`, kind: 'vaulted', username: `root${n}` })) })
  await api('security', 'POST', '/request-types', { name: 'plain', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'plain-deciders' } }] })
  await api('security', 'POST', '/request-types/plain/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'plain', principals: { groups: ['plain-admins'] },
    rules: [{
      name: 'ask', resource: { server: 'plain-1' }, privileges: [{ type: 'ssh', accounts: ['root1', 'root2'] }],
      conditions: [{ type: 'access_request', request_type: 'plain', approval_seconds: 900 }],
    }],
  })
  await api('security', 'POST', '/policies/plain/publish', undefined, { 'if-match': '"1"' })
  asked = []
  for (const n of [1, 2]) {
    const { id } = await api('alice', 'POST', '/access/requests', { resource: 'server/plain-1', method: `plain/ask/ssh:root${n}`, justification: `the disk of root${n} is full` })
    asked.push(id)
  }
}

// plain is somebody whose browser runs no scripts; they sign in all the same.
async function plain(name, options = {}) {
  const page = await newPage({ javaScriptEnabled: false, ...options })
  if (name) await signIn(page, name)
  return page
}

// useless is what can be pressed and would do nothing.
const useless = '[data-copy], [data-pause], [data-close], form[data-passkey] button'

// readable holds a page to what whoever reads it needs.
async function readable(page, problems) {
  const tell = (what) => problems.push(`${page.url()}: ${what}`)
  if (await page.locator('h1:visible').count() !== 1) tell('it has no heading')
  if ((await page.locator('main').innerText()).length < 40) tell('there is nothing on it')
  for (const what of await page.locator(useless).all()) {
    if (await what.isVisible()) tell(`it shows what needs scripts: ${(await what.evaluate((e) => e.outerHTML)).slice(0, 90)}`)
  }
  for (const table of await page.locator('main :not(#tail) > .scroll > table').all()) { // nothing has to have happened at the live tail
    if (await table.isVisible() && await table.locator('tbody tr').count() === 0) tell('it has a table without rows')
  }
}

for (const [name, least] of [['bob', 12], ['auditor', 30]]) {
  test(`everything that ${name} can open is read without scripts`, async () => {
    const page = await plain(name)
    const screens = await crawl(page)
    const problems = []
    for (const s of screens) {
      await page.goto(s.href)
      await readable(page, problems)
    }
    assert.deepEqual(problems, [])
    assert.ok(screens.length >= least, `${name} can open ${screens.length} pages`)
    await leave(page)
  })
}

test('bob approves and denies on a phone, from the links that he was sent', async () => {
  const page = await plain('', { viewport: phone })
  await page.goto(at(`/requests/${asked[0]}`))
  await pick(page, 'bob')
  await page.waitForURL(at(`/requests/${asked[0]}`))
  await page.getByText('the disk of root1 is full').waitFor()
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.getByRole('button', { name: 'Approve' }).waitFor({ state: 'detached' })
  await page.goto(at('/inbox'))
  await page.locator('a.request').click()
  await page.getByLabel('Comment').fill('not today')
  await page.getByRole('button', { name: 'Deny' }).click()
  await page.getByRole('button', { name: 'Deny' }).waitFor({ state: 'detached' })
  await page.locator('blockquote', { hasText: 'not today' }).waitFor()
  const status = async (id) => (await api('alice', 'GET', `/access/requests/${id}`)).status
  assert.deepEqual([await status(asked[0]), await status(asked[1])], ['approved', 'denied'])
  await leave(page)
})

const rows = (page) => page.locator('#rows tr')
const first = (page) => rows(page).first().locator('a').first().getAttribute('href')

test('the auditor filters, turns pages and opens what is folded', async () => {
  const page = await plain('auditor')
  await page.goto(at('/audit'))
  const newest = await first(page)
  await page.getByRole('link', { name: 'Next', exact: true }).click()
  await page.waitForURL(/before=/)
  assert.notEqual(await first(page), newest)
  await page.getByRole('link', { name: 'Previous', exact: true }).click()
  await page.waitForURL(/after=/)
  assert.equal(await first(page), newest)
  await page.getByLabel('Words').fill('plain-1')
  await page.getByLabel('Outcome').selectOption('success')
  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await page.waitForURL(/q=plain-1/)
  for (const row of await rows(page).all()) assert.match(await row.innerText(), /success/)
  assert.ok(await rows(page).count() > 0)
  await page.getByText('More filters').click()
  await page.getByLabel('Actor').fill('nobody-of-the-kind')
  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await page.getByText('No events here').waitFor()
  await page.getByRole('link', { name: 'Show all events' }).click()
  await page.waitForURL(at('/audit'))
  await page.getByText('Numbers', { exact: true }).click()
  await page.locator('figure table').waitFor()
  await page.getByRole('link', { name: 'Live' }).click()
  await page.getByRole('heading', { name: 'Live audit' }).waitFor()
  await page.goto(at('/denials'))
  await page.getByLabel('Connection').fill('plain')
  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await page.waitForURL(/connection=plain/)
  await page.locator('main tbody th a').first().click()
  await page.getByRole('heading', { name: 'What was looked at' }).waitFor()
  await page.goto(at('/workloads'))
  await page.getByLabel('Identity').fill('project_path:acme/plain:ref_type:branch:ref:main')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByText('First seen').waitFor()
  await leave(page)
})

test('light and dark are chosen without scripts', async () => {
  const page = await plain('auditor')
  await page.goto(at('/connections?q=plain'))
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  const light = await background()
  await page.getByRole('button', { name: 'Dark' }).last().click()
  await page.waitForURL(at('/connections?q=plain'))
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
  assert.notEqual(await background(), light)
  await page.getByRole('button', { name: 'Light' }).last().click()
  await page.locator('html[data-theme=light]').waitFor()
  assert.equal(await background(), light)
  await leave(page)
})

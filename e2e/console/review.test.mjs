// The review of an activation: what blocks it, what changes, who wrote it, and who
// tested it with what.
import assert from 'node:assert/strict'
import { before, after, test } from 'node:test'

import { api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

const browsers = {}

// browser is somebody at their browser: each has one, and is signed in once.
const browser = async (who) => (browsers[who] ??= await person(who))

before(start)
after(async () => {
  await leave(...Object.values(browsers))
  await stop()
})

const iss = 'https://gitlab.com'
const equals = (claim, value) => ({ claim, operator: 'equals', value })
const claims = (project) => ({ iss, aud: world.issuer, namespace_path: 'acme', project_path: project, sub: `project_path:${project}:ref_type:branch:ref:main` })
const get = (name) => api('auditor', 'GET', `/connections/${name}`)

// trusts is a connection that says so, without the audience if that is not among it.
const trusts = (conditions, more = {}) => ({ provider: 'generic_jwt', jwks_url: world.provider.jwks_url, conditions: [equals('iss', iss), ...conditions], ...more })
const narrow = (project) => trusts([equals('aud', world.issuer), equals('project_path', project)])

async function draft(name, spec) {
  await api('devops', 'POST', '/connections', { name, ...spec })
}

// changed is an active connection with another version that waits: since it is, only
// a security admin edits it.
async function changed(name, spec) {
  await draft(name, narrow(`acme/${name}`))
  await api('security', 'POST', `/connections/${name}/activate`, {}, { 'if-match': '"1"' })
  const { version } = await get(name)
  await api('security2', 'PUT', `/connections/${name}`, spec, { 'if-match': `"${version}"` })
}

// activations is every activation of a connection that the trail has, oldest first.
async function activations(name) {
  const { events } = await api('auditor', 'GET', `/audit?${new URLSearchParams({ type: 'connection.activated', connection: name, order: 'asc' })}`)
  return events
}

async function review(who, name) {
  const page = await browser(who)
  await page.goto(at(`/connections/${name}`))
  await page.getByRole('link', { name: 'Review and activate' }).click()
  await page.getByRole('heading', { name: `Activate ${name}` }).waitFor()
  return page
}

const box = (page) => page.getByRole('checkbox', { name: 'Tokens made for others are taken' })
const activates = (page) => page.getByRole('button', { name: 'Activate' }).click()

// table is what a table says, row by row.
const table = (page, name) => page.getByRole('region', { name, exact: true }).locator('tbody tr').evaluateAll((rows) => rows.map((r) => [...r.cells].map((c) => c.innerText.trim())))

test('a review says who wrote what, that nobody tested it, and then who did and with whose token', async () => {
  await draft('review-draft', narrow('acme/review-draft'))
  const security = await review('security', 'review-draft')
  const says = () => security.locator('main').innerText()
  assert.match(await says(), /Version 1, written by devops, last changed/)
  await security.getByText('This version was not tested with a token.').waitFor()
  assert.deepEqual(await table(security, 'Conditions'), [['iss', 'is', iss], ['aud', 'is', world.issuer], ['project_path', 'is', 'acme/review-draft']])
  const { sub } = claims('acme/review-draft')
  const devops = await browser('devops')
  for (const [project, told] of [['acme/else', 'This token would be refused'], ['acme/review-draft', 'This token would be accepted']]) {
    await devops.goto(at('/connections/review-draft/test'))
    await devops.getByLabel('Token of a workload').fill(await mint('/gitlab', { ...claims(project), sub }))
    await devops.getByRole('button', { name: 'Test', exact: true }).click()
    await devops.getByText(told).waitFor()
    await security.reload()
    assert.match(await says(), new RegExp(`${/refused/.test(told) ? 'fail' : 'pass'}\\s+devops tested this version .* with a token of ${sub}\\.`, 'i'))
  }
  await api('security2', 'PUT', '/connections/review-draft', { ...narrow('acme/review-draft'), description: 'of two people' }, { 'if-match': '"1"' })
  await security.reload()
  assert.match(await says(), /Version 2, written by devops, security2, last changed/)
  await security.getByText('This version was not tested with a token.').waitFor() // what was tested was another
})

test('a change of an active connection is shown row by row, and no other row', async () => {
  await changed('review-rows', trusts([
    { claim: 'aud', operator: 'one_of', values: [world.issuer, 'https://other.example'] }, { claim: 'ref', operator: 'starts_with', value: 'refs/heads/' },
  ], { description: 'every project', token_ttl: { amount: 30, unit: 'minutes' }, single_use: true }))
  const page = await review('security', 'review-rows')
  const rows = (await table(page, 'Changes')).sort()
  assert.deepEqual(rows, [
    ['A proof makes one token only', 'no', 'yes'],
    ['Condition', `aud is ${world.issuer}`, `aud is one of ${world.issuer}, https://other.example`],
    ['Condition', 'not there', 'ref begins with refs/heads/'],
    ['Condition', 'project_path is acme/review-rows', 'not there'],
    ['Description', 'not there', 'every project'],
    ['Tokens live', '15 minutes', '30 minutes'],
  ])
  const mine = await mint('/gitlab', claims('acme/review-rows'))
  assert.equal((await exchange('review-rows', mine)).status, 200, 'the version that is active decides')
  assert.equal((await exchange('review-rows', await mint('/gitlab', { ...claims('acme/else'), ref: 'refs/heads/main' }))).status, 400)
})

test('a warning that blocks is ticked or nothing is activated, and the trail has what was ticked', async () => {
  await changed('review-block', trusts([equals('project_path', 'acme/review-block')]))
  const page = await review('security', 'review-block')
  assert.equal(await page.getByRole('checkbox').count(), 1, 'what does not block asks for no tick')
  assert.equal(await box(page).isChecked(), false)
  await page.locator('main').getByText('No condition pins aud').waitFor()
  const harmless = page.locator('main .note.warn', { hasText: 'keys.http' })
  await harmless.getByText('Keys come by plain HTTP').waitFor()
  const [blocks, below] = [await box(page).boundingBox(), await harmless.boundingBox()]
  assert.ok(blocks.y < below.y, 'what blocks stands first')
  await activates(page)
  const problem = page.getByRole('alert').filter({ hasText: 'Nothing is activated yet' })
  await problem.waitFor()
  assert.equal(await page.evaluate(() => document.activeElement.id), 'problem')
  const names = problem.getByRole('link', { name: /acknowledge|accept/i })
  assert.ok(await page.locator(await names.getAttribute('href')).locator('input[value="audience.not_pinned"]').isVisible(), 'the field that is named is there')
  assert.deepEqual((await activations('review-block')).map((e) => e.data.version), [1])
  const foreign = () => mint('/gitlab', { ...claims('acme/review-block'), aud: 'https://other.example' })
  assert.equal((await exchange('review-block', await foreign())).status, 400)
  await box(page).check()
  await activates(page)
  await page.waitForURL(at('/connections/review-block'))
  const [, event, ...more] = await activations('review-block')
  assert.deepEqual(more, [])
  assert.equal(event.actor, 'security')
  assert.deepEqual(event.data, { version: (await get('review-block')).active_version, acknowledged: ['audience.not_pinned'] })
  assert.equal((await exchange('review-block', await foreign())).status, 200)
  const auditor = await browser('auditor')
  await auditor.goto(at(`/audit/events/${event.position}`))
  assert.match(await auditor.getByRole('heading', { level: 1 }).innerText(), /security activated .*review-block/)
  assert.deepEqual((await table(auditor, 'Fields of the event')).find(([name]) => name.startsWith('acknowledged')).slice(1), ['audience.not_pinned'])
})

test('what was ticked for one version is not ticked for the one that came meanwhile', async () => {
  await draft('review-stale', trusts([equals('project_path', 'acme/review-stale')]))
  const page = await review('security', 'review-stale')
  await box(page).check()
  await api('devops', 'PUT', '/connections/review-stale', trusts([equals('project_path', 'acme/else')]), { 'if-match': '"1"' })
  await activates(page)
  await page.getByText('the connection was changed while you looked at it').waitFor()
  assert.equal(await box(page).isChecked(), false)
  assert.deepEqual((await table(page, 'Conditions')).at(-1), ['project_path', 'is', 'acme/else'])
  await activates(page)
  await page.getByText('Nothing is activated yet').waitFor()
  assert.equal((await get('review-stale')).status, 'draft')
  assert.deepEqual(await activations('review-stale'), [])
})

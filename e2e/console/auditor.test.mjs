// An auditor from the sign-in to the evidence: what happened, when, why, and by whom.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

const sub = 'project_path:acme/audited:ref_type:branch:ref:main'
const claims = { iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: 'acme/audited', sub }

before(async () => {
  await start()
  await api('devops', 'POST', '/connections', {
    name: 'audited', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: 'audited' },
  })
  await api('security', 'POST', '/connections/audited/activate', {}, { 'if-match': '"1"' })
  for (let i = 0; i < 3; i++) assert.equal((await exchange('audited', await mint('/gitlab', claims))).status, 200)
  for (let i = 0; i < 2; i++) assert.equal((await exchange('audited', await mint('/gitlab', { ...claims, project_path: 'acme/another' }))).status, 400)
})
after(stop)

// found is every event that /v1 finds by filters, oldest first.
async function found(filters) {
  const { events, has_more: more } = await api('auditor', 'GET', `/audit?${new URLSearchParams(filters)}&limit=200&order=asc`)
  assert.ok(!more)
  return events
}

const rows = (page) => page.locator('#rows tr')
const positions = (page) => rows(page).evaluateAll((all) => all.map((r) => r.querySelector('a').getAttribute('href').split('/').pop()))
const newestFirst = (events) => events.map((e) => e.position).reverse()

test('words, a facet or a bar of the histogram narrow the trail down, and one event is taken along', async () => {
  const page = await person('auditor')
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.getByRole('link', { name: 'Audit', exact: true }).first().click()
  await page.getByLabel('Words').fill('audited')
  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await page.waitForURL(/q=audited/)
  assert.deepEqual(await positions(page), newestFirst(await found({ q: 'audited' })))
  await page.locator('.facets').getByRole('link', { name: /^denied/ }).click()
  await page.waitForURL(/outcome=denied/)
  const denied = newestFirst(await found({ q: 'audited', outcome: 'denied' }))
  assert.equal(denied.length, 2)
  assert.deepEqual(await positions(page), denied)
  await page.goto(at('/audit?type=token.*'))
  assert.ok(await page.locator('figure.chart svg a').count() > 11, 'there is no histogram of a day')
  await page.locator('figure.chart svg a:has(rect.bad:not([height="0"]))').last().click()
  await page.waitForURL(/since=.*until=/)
  const range = Object.fromEntries(new URL(page.url()).searchParams)
  const within = newestFirst(await found(range))
  assert.ok(within.includes(denied[0]), 'the bar leads elsewhere')
  assert.deepEqual(await positions(page), within)
  await page.goto(at('/audit?type=token.*&since=2001-01-01&until=2001-01-02'))
  await page.getByText('No events here').waitFor()
  await page.goto(at('/audit?type=token.denied'))
  await rows(page).first().locator('a').first().click()
  await page.waitForURL(/\/audit\/events\//)
  const said = page.locator('#said', { hasText: 'Copied.' }).waitFor({ state: 'attached' }) // it is said for two seconds
  await page.getByRole('button', { name: 'Copy the CloudEvent' }).click()
  await said
  const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()))
  assert.deepEqual(copied, (await found({ type: 'token.denied' })).at(-1))
  await leave(page)
})

test('a press on one bar, let go on another, is the time between them', async () => {
  const page = await person('auditor')
  await page.goto(at('/audit?type=token.*'))
  const bars = page.locator('figure.chart svg a')
  const last = await bars.count() - 1
  const edge = async (i, name) => bars.nth(i).evaluate((a, name) => new URL(a.href.baseVal, location.href).searchParams.get(name), name)
  const want = [await edge(last - 4, 'since'), await edge(last - 1, 'until')]
  const middle = async (i) => {
    const { x, y, width, height } = await bars.nth(i).boundingBox()
    return [x + width / 2, y + height / 2]
  }
  await page.mouse.move(...await middle(last - 1))
  await page.mouse.down()
  await page.mouse.move(...await middle(last - 4), { steps: 4 })
  await page.waitForFunction(() => document.querySelectorAll('figure.chart a.brushed').length === 4) // a page is told of moves once a frame
  await page.mouse.up()
  await page.waitForURL(/since=/)
  const { since, until, type } = Object.fromEntries(new URL(page.url()).searchParams)
  assert.deepEqual([since, until, type], [...want, 'token.*'])
  await leave(page)
})

test('what is exported is what /v1 gives, line by line', async () => {
  const page = await person('auditor')
  await page.goto(at('/audit?type=token.*&connection=audited'))
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export' }).click()])
  assert.equal(download.suggestedFilename(), 'default-events.ndjson')
  const lines = (await readFile(await download.path(), 'utf8')).trim().split('\n').map((l) => JSON.parse(l))
  const all = await found({ type: 'token.*', connection: 'audited' })
  assert.equal(all.length, 5)
  assert.deepEqual(lines, all)
  await leave(page)
})

test('a workload is looked up by its name, and its page says what it is', async () => {
  const page = await person('auditor')
  await page.goto(at('/audit'))
  await page.getByRole('link', { name: 'Find a workload' }).click()
  await page.getByLabel('Identity').fill(sub)
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByRole('heading', { level: 1, name: sub }).waitFor()
  await page.getByText('There is no list of workloads').waitFor()
  const seen = await page.locator('main .facts time').evaluateAll((times) => times.map((t) => t.dateTime))
  const events = await found({ workload: sub })
  const second = (t) => new Date(t).toISOString().slice(0, 19)
  assert.deepEqual(seen.slice(0, 2).map(second), [events[0].time, events.at(-1).time].map(second))
  await page.getByRole('link', { name: 'All its events' }).click()
  await page.waitForURL(/workload=/)
  assert.deepEqual(await positions(page), newestFirst(events))
  await page.goto(at(`/workloads?identity=${encodeURIComponent(`${sub}-other`)}`))
  await page.getByText('Never seen').waitFor()
  await leave(page)
})

test('a denial says why; whoever may edit makes a condition of it, and the auditor does not', async () => {
  const offer = (page) => page.getByRole('link', { name: 'Make a condition of it' })
  const auditor = await person('auditor')
  await auditor.goto(at('/denials?connection=audited'))
  await auditor.locator('main tbody th a').first().click()
  const failed = auditor.locator('.failed')
  await failed.getByText('acme/another').first().waitFor()
  assert.match(await failed.innerText(), /Expected[^]*acme\/audited[^]*Was/)
  assert.equal(await offer(auditor).count(), 0)
  const security = await person('security')
  await security.goto(auditor.url())
  await offer(security).click()
  await security.waitForURL(/\/edit\?denial=/)
  const typed = await security.locator('main :is(input, textarea, select)').evaluateAll((all) => all.map((e) => e.value))
  assert.ok(typed.some((v) => v.includes('acme/another')), 'the form does not have what the denial had')
  assert.equal((await api('auditor', 'GET', '/connections/audited')).status, 'active')
  await leave(auditor, security)
})

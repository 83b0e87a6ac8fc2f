// What people do, done by keys alone: nothing is clicked. At each stop one sees where
// one is, and nowhere on the way is one nowhere.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, mint, person, phone, start, stop, world } from './browser.mjs'

const claims = { iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: 'acme/keys', sub: 'project_path:acme/keys:ref_type:branch:ref:main' }

before(async () => {
  await start()
  for (const name of ['key-people', 'key-approvers']) await api('security', 'POST', '/groups', { name })
  await api('security', 'POST', '/groups/key-people/members', { person: 'alice' })
  await api('security', 'POST', '/groups/key-approvers/members', { person: 'bob' })
  await api('resource', 'POST', '/projects', { name: 'keys', checkout: { required: false } })
  await api('resource', 'POST', '/servers', { name: 'key-1', project: 'keys', address: 'key-1.example.com', accounts: [{ name: 'root', kind: 'vaulted', username: 'root' }] })
  await api('security', 'POST', '/request-types', { name: 'keys', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'key-approvers' } }] })
  await api('security', 'POST', '/request-types/keys/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'keys', principals: { groups: ['key-people'] },
    rules: [{ name: 'root', resource: { server: 'key-1' }, privileges: [{ type: 'ssh', accounts: ['root'] }], conditions: [{ type: 'access_request', request_type: 'keys', approval_seconds: 900 }] }],
  })
  await api('security', 'POST', '/policies/keys/publish', undefined, { 'if-match': '"1"' })
  await api('devops', 'POST', '/connections', { name: 'key-ci', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: 'keys' } })
  await api('devops', 'POST', '/connections', { name: 'key-open', provider: 'generic_jwt', jwks_url: world.provider.jwks_url, conditions: [{ claim: 'iss', operator: 'equals', value: claims.iss }] })
})
after(stop)

// stands is run in the page: where the focus is, and what is wrong with how it shows.
function stands() {
  const at = document.activeElement
  if (!at || at === document.body) return { name: '', wrong: 'the focus is nowhere' }
  const name = (at.getAttribute('aria-label') ?? (at.labels?.length ? at.labels[0].textContent : at.textContent)).replace(/\s+/g, ' ').trim()
  const style = getComputedStyle(at)
  const box = at.getBoundingClientRect()
  const wrong = at.id === 'main' ? '' // where the way over the menu ends: the page itself
    : style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2 ? 'it has no outline'
      : box.width * box.height === 0 || box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth ? 'it is not in the window' : ''
  return { name, id: at.id, kind: at.localName, wrong }
}

const most = 80 // stops on the way to anything

// tabsTo presses Tab until the focus is on something of that name, or of one that a
// pattern fits, and of that kind if it is told; each stop is seen.
async function tabsTo(page, name, kind) {
  const fits = (n) => typeof name === 'string' ? n === name : name.test(n)
  const passed = []
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab')
    const here = await page.evaluate(stands)
    assert.equal(here.wrong, '', `${here.kind} ${here.name}, after ${passed.at(-1)}: ${here.wrong}`)
    if (fits(here.name) && (!kind || kind === here.kind)) return here
    passed.push(here.name)
  }
  return assert.fail(`no Tab leads to ${name}: ${passed.join(', ')}`)
}

// enters begins at what a page is about, past the menu.
async function enters(page) {
  await tabsTo(page, /^Skip to the content$/)
  await page.keyboard.press('Enter')
}

// swaps presses a key by which a part of the page is replaced, and waits until it is.
async function swaps(page, key) {
  const swapped = page.evaluate(() => new Promise((done) => document.addEventListener('htmx:after:swap', () => done(), { once: true })))
  await page.keyboard.press(key)
  await swapped
}

// goes follows what the focus is on, to another page.
async function goes(page, where, key = 'Enter') {
  await Promise.all([page.waitForURL(where), page.keyboard.press(key)])
}

test('an approver finds a request, writes a comment and approves', async () => {
  const { id } = await api('alice', 'POST', '/access/requests', { resource: 'server/key-1', method: 'keys/root/ssh:root', justification: 'by keys' })
  const page = await person('bob')
  await tabsTo(page, /^Inbox 1/)
  await goes(page, at('/inbox'))
  await enters(page)
  await tabsTo(page, /by keys/)
  await goes(page, at(`/requests/${id}`))
  await enters(page)
  await tabsTo(page, /^Comment/)
  await page.keyboard.type('for one hour')
  await page.waitForResponse((r) => r.url().includes('meanwhile=')) // the page looks by itself whether somebody else decided
  assert.deepEqual(await page.evaluate(stands).then((s) => [s.kind, s.wrong]), ['textarea', ''], 'that leaves the focus where one writes')
  await page.keyboard.type(', no longer')
  await tabsTo(page, /^Approve$/)
  await page.keyboard.press('Enter')
  await page.getByText('for one hour, no longer').waitFor()
  assert.equal((await api('alice', 'GET', `/access/requests/${id}`)).status, 'approved')
  await leave(page)
})

test('a list is filtered, and the focus stays where one filters', async () => {
  const page = await person('devops')
  await page.goto(at('/connections'))
  await enters(page)
  await tabsTo(page, /^Name or description/)
  await page.keyboard.type('key-o')
  await swaps(page, 'Enter')
  assert.equal(await page.locator('#list tbody tr').count(), 1)
  assert.deepEqual(await page.evaluate(stands).then((s) => [s.id, s.wrong]), ['f-q', ''])
  await tabsTo(page, /^State/, 'select')
  for (const key of ['ArrowDown', 'Home']) {
    await swaps(page, key)
    assert.deepEqual(await page.evaluate(stands).then((s) => [s.id, s.wrong]), ['f-status', ''])
  }
  await tabsTo(page, /^key-open$/)
  await goes(page, at('/connections/key-open'))
  await leave(page)
})

test('a platform engineer tests a token', async () => {
  const page = await person('devops')
  await page.goto(at('/connections/key-ci'))
  await enters(page)
  await tabsTo(page, /^Test a token$/)
  await goes(page, at('/connections/key-ci/test'))
  await enters(page)
  for (const [project, says] of [['acme/keys', 'This token would be accepted'], ['acme/else', 'This token would be refused']]) {
    await tabsTo(page, /^Token of a workload/)
    await page.keyboard.insertText(await mint('/gitlab', { ...claims, project_path: project }))
    await tabsTo(page, /^Test$/)
    await page.keyboard.press('Enter')
    await page.getByText(says).waitFor()
  }
  await leave(page)
})

test('a security admin reviews a connection, is led to the warning, ticks it and activates', async () => {
  const page = await person('security')
  await page.goto(at('/connections/key-open'))
  await enters(page)
  await tabsTo(page, /^Review and activate$/)
  await goes(page, at('/connections/key-open/activate'))
  await enters(page)
  await tabsTo(page, /^Activate$/, 'button')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').waitFor()
  assert.equal((await page.evaluate(stands)).id, 'problem', 'what is wrong is read first')
  await tabsTo(page, /./, 'a') // the first of what is wrong leads to it
  await page.keyboard.press('Enter')
  assert.match(new URL(page.url()).hash, /acknowledge/)
  const box = await tabsTo(page, /audience/, 'input')
  await page.keyboard.press('Space')
  assert.ok(await page.locator(`[id="${box.id}"]`).isChecked())
  for (let left = await page.locator('main input[type=checkbox]:not(:checked)').count(); left > 0; left--) {
    await tabsTo(page, /./, 'input')
    await page.keyboard.press('Space')
  }
  await tabsTo(page, /^Activate$/, 'button')
  await goes(page, at('/connections/key-open'))
  assert.equal((await api('auditor', 'GET', '/connections/key-open')).status, 'active')
  await leave(page)
})

test('what asks once more is opened, looked at, and only then done', async () => {
  const page = await person('security')
  const status = async () => (await api('auditor', 'GET', '/policies/keys')).status
  await page.goto(at('/policies/keys'))
  await enters(page)
  await tabsTo(page, /^Unpublish$/, 'summary')
  await page.keyboard.press('Space')
  assert.deepEqual(await page.evaluate(stands).then((s) => [s.kind, s.wrong]), ['summary', ''], 'opening leaves the focus on what opened')
  await page.getByRole('button', { name: 'Unpublish now' }).waitFor()
  assert.equal(await status(), 'published')
  await page.keyboard.press('Space')
  await page.getByRole('button', { name: 'Unpublish now' }).waitFor({ state: 'hidden' })
  await page.keyboard.press('Enter')
  const next = await tabsTo(page, /./)
  assert.equal(next.name, 'Unpublish now', 'it is the very next stop')
  await page.keyboard.press('Enter')
  await page.getByText('It opens nothing any more.').waitFor()
  assert.equal(await status(), 'draft')
  await leave(page)
})

test('a bar of the histogram says what it is, and leads to its time', async () => {
  const page = await person('auditor')
  await page.goto(at('/audit?type=policy.*'))
  await enters(page)
  const bars = page.locator('figure.chart svg a')
  const says = await bars.evaluateAll((all) => all.map((a) => a.getAttribute('aria-label')))
  await tabsTo(page, says[0])
  for (const name of says.slice(1)) assert.equal((await tabsTo(page, /./)).name, name)
  await goes(page, /since=.*until=/)
  const { since, until } = Object.fromEntries(new URL(page.url()).searchParams)
  const { events } = await api('auditor', 'GET', `/audit?${new URLSearchParams({ type: 'policy.*', since, until, order: 'desc' })}`)
  assert.equal(await page.locator('#rows tr').count(), events.length)
  await leave(page)
})

test('on a phone the menu is opened, its last entry reached, and the theme chosen', async () => {
  const page = await person('security', { viewport: phone })
  await tabsTo(page, /^Menu$/, 'summary')
  await page.keyboard.press('Enter')
  await tabsTo(page, /^Connections\b/)
  await tabsTo(page, /^Settings$/)
  for (const [name, theme] of [['Dark', 'dark'], ['Light', 'light']]) {
    await tabsTo(page, new RegExp(`^${name}$`), 'button')
    await page.keyboard.press('Enter')
    await page.locator(`html[data-theme=${theme}]`).waitFor()
    await tabsTo(page, /^Menu$/, 'summary')
    await page.keyboard.press('Enter')
  }
  await tabsTo(page, /^Keys$/)
  await goes(page, at('/keys'))
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'light')
  await leave(page)
})

// A secret is shown to who may see it, when they reveal it, and nowhere else: in no
// other page, to nobody else, and by nothing that a browser keeps.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'

import { addPage, api, at, authenticator, leave, person, start, stop } from './browser.mjs'
import { patternOf } from './screens.mjs'

// A value that is nowhere by chance, which HTML and JSON write as it is.
const value = () => `shown-${randomBytes(16).toString('hex')}`
const [key, password] = [value(), value()]
const path = 'vault/db/key'
const [secret, account] = [`/access/resource?resource=secret/${path}`, '/access/resource?resource=server/vault-1']

const browsers = {}

// browser is somebody at their browser: each has one, and is signed in once. Who signs
// out there has another.
const browser = async (who) => (browsers[who] ??= await person(who))

before(async () => {
  await start()
  for (const [name, who] of [['keepers', 'alice'], ['leads', 'bob']]) {
    await api('security', 'POST', '/groups', { name })
    await api('security', 'POST', `/groups/${name}/members`, { person: who })
  }
  await api('resource', 'POST', '/projects', { name: 'vault', checkout: { required: false } })
  await api('resource', 'POST', '/secrets', { path, project: 'vault', value: key })
  await api('resource', 'POST', '/servers', { name: 'vault-1', project: 'vault', address: 'vault-1.example.com', accounts: [{ name: 'root', kind: 'vaulted', username: 'root' }] })
  await api('resource', 'PUT', '/servers/vault-1/accounts/root/password', { value: password })
  await api('security', 'POST', '/request-types', { name: 'opening', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'leads' } }] })
  await api('security', 'POST', '/request-types/opening/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'vault', principals: { groups: ['keepers'] },
    rules: [
      { name: 'key', resource: { secret: path }, privileges: [{ type: 'secret', actions: ['list', 'reveal'] }], conditions: [{ type: 'access_request', request_type: 'opening', approval_seconds: 900 }, { type: 'mfa', fresh_seconds: 300 }] },
      { name: 'root', resource: { server: 'vault-1' }, privileges: [{ type: 'reveal_password', accounts: ['root'] }] },
    ],
  })
  await api('security', 'POST', '/policies/vault/publish', undefined, { 'if-match': '"1"' })
})
after(async () => {
  await leave(...Object.values(browsers))
  await stop()
})

const holds = (text) => [key, password].some((v) => text.includes(v))
const reveal = (page) => page.getByRole('button', { name: 'Reveal' })
const revealed = async (page) => {
  await reveal(page).click()
  await page.getByRole('heading', { level: 1, name: 'Revealed' }).waitFor()
}

// forces sends the form of a reveal from a page of their own, as a person with a
// console would, and gives how it was answered.
const forces = (page, resource, method) => page.evaluate(async ({ url, fields }) => {
  const res = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })
  return { status: res.status, says: await res.text() }
}, { url: at('/access/resource/reveal'), fields: { _once: randomBytes(16).toString('hex'), resource, method } })

// walks reads every screen that links lead to, a few of each kind, and the exports:
// as they are sent, so with all that no eye sees.
async function walks(page) {
  const queue = ['/', '/audit?type=secret.*', '/audit?type=secret.revealed', '/settings', '/secrets', '/servers', secret, account].map(at)
  const seen = new Map(queue.map((href) => [href, '']))
  const kinds = new Map()
  for (let href; (href = queue.shift());) {
    const res = await page.request.get(href)
    const text = await res.text()
    assert.ok(res.status() < 500, `${href}: ${res.status()}`)
    assert.ok(!holds(text), `${href} has a value that was revealed`)
    assert.match(res.headers()['cache-control'] ?? '', /no-store/, href)
    for (const [, link] of text.matchAll(/href="([^"#]+)/g)) {
      const next = new URL(link.replaceAll('&amp;', '&'), href).href
      const kind = patternOf(next)
      if (!kind || seen.has(next) || kinds.get(kind) >= 3) continue
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      seen.set(next, '')
      queue.push(next)
    }
  }
  return kinds
}

// kept is what a browser keeps of our pages, and can give to another.
const kept = (page) => page.evaluate(async () => JSON.stringify({
  local: { ...localStorage }, session: { ...sessionStorage }, cookies: document.cookie, state: history.state, here: location.href, title: document.title,
  caches: await caches.keys(), databases: (await indexedDB.databases()).map((d) => d.name), workers: (await navigator.serviceWorker.getRegistrations()).length,
}))

// goesBack is the browser's Back, to what was answered to a form: the browser does not
// send that again by itself, and says so on a page of its own.
async function goesBack(page) {
  const error = page.waitForEvent('framenavigated', (f) => f.url().startsWith('chrome-error:'))
  await page.goBack().catch((e) => assert.match(e.message, /ERR_CACHE_MISS/))
  await error
  await page.waitForFunction(() => document.readyState === 'complete')
}

// shows is all that somebody could see or copy out of a page, also what is folded.
const shows = async (page) => holds(await page.content())

test('a value is shown once it is asked for, approved, proven and revealed, and not before', async () => {
  const page = await browser('alice')
  await authenticator(page)
  await page.goto(at('/passkeys/new'))
  await page.getByLabel('Name').fill('the key')
  await page.getByRole('button', { name: 'Add it' }).click()
  await page.waitForURL(at('/passkeys'))
  await page.goto(at(secret))
  assert.equal(await reveal(page).count(), 0)
  const forced = await forces(page, `secret/${path}`, 'vault/key/secret_reveal')
  assert.ok(forced.status >= 400 && !holds(forced.says), `status ${forced.status}`)
  await page.locator('section', { hasText: 'See the value' }).getByRole('link', { name: 'Ask for approval' }).click()
  await page.getByLabel('Why').fill('the database is down')
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.waitForURL(/\/requests\/[0-9A-Z]{26}$/)
  await api('bob', 'POST', `/access/requests/${page.url().split('/').pop()}/approve`, { step: 1 })
  await page.goto(at(secret))
  assert.equal(await reveal(page).count(), 0, 'it is approved, and who she is is not proven by a passkey')
  assert.equal(await shows(page), false)
  await page.getByRole('link', { name: 'Prove your passkey' }).first().click()
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.waitForURL((u) => u.href.startsWith(at('/access/resource')))
  assert.equal(await shows(page), false)
  const answer = page.waitForResponse((r) => r.url() === at('/access/resource/reveal'))
  await revealed(page)
  const headers = (await answer).headers()
  assert.match(headers['cache-control'], /no-store/)
  const said = page.getByText(key, { exact: true })
  assert.equal(await said.isVisible(), false, 'who looks over a shoulder sees it only when it is unfolded')
  await page.getByText('Show the value').click()
  assert.ok(await said.isVisible())
  assert.equal((await page.content()).split(key).length, 3, 'it is there to be read, and to be copied')
  assert.ok(!holds(await kept(page)), 'the browser keeps it')
  // As a browser does that keeps the page behind the next one; this one keeps none.
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })))
  assert.equal(await shows(page), false, 'the page that is left keeps it')
  const { events } = await api('auditor', 'GET', '/audit?type=secret.revealed')
  assert.deepEqual(events.map((e) => [e.actor, e.data.resource]), [['alice', `secret/${path}`]])
  assert.ok(!holds(JSON.stringify(events)))
})

test('once it was left it is not there: not by reload, Back, another tab, or after the sign-out', async () => {
  const page = await person('alice')
  await page.goto(at(account))
  await revealed(page)
  assert.ok(await shows(page))
  const tab = await addPage(page.context())
  await tab.goto(at(account))
  assert.equal(await shows(tab), false)
  await page.reload()
  await page.getByText('This was shown already, and it is shown once').waitFor()
  assert.equal(await shows(page), false, 'a reload shows it')
  await page.goto(at(account))
  await revealed(page)
  await page.locator('.crumbs').getByRole('link', { name: 'Back' }).click()
  await page.getByRole('heading', { level: 1, name: 'vault-1' }).waitFor()
  assert.equal(await shows(page), false)
  await goesBack(page)
  assert.equal(await shows(page), false, 'Back shows it')
  await page.goto(at(account))
  await revealed(page)
  await tab.getByRole('button', { name: 'Sign out' }).last().click()
  await tab.getByText('You are signed out').waitFor()
  await page.goto(at(account))
  await page.waitForURL(/\/sign-in/)
  await goesBack(page)
  assert.equal(await shows(page), false, 'Back shows it after the sign-out')
  await page.goto(at('/sign-in'))
  assert.ok(!holds(await kept(page)))
  await leave(page)
})

for (const who of ['alice', 'resource', 'auditor', 'security']) {
  test(`no page that ${who} can open, and nothing that they export, has a value`, async () => {
    const page = await browser(who)
    const kinds = await walks(page)
    const must = { alice: ['/access/resource', '/requests/:id'], resource: ['/secrets/-/one', '/servers/:name/accounts/:account'], auditor: ['/audit/events/:position', '/audit/export/:file'], security: ['/policies/:name'] }
    for (const kind of must[who]) assert.ok(kinds.has(kind), `${kind} was not read`)
    if (who === 'auditor') {
      const { events } = await api(who, 'GET', '/audit?type=secret.revealed')
      assert.ok(events.length > 1)
      for (const e of events) assert.ok(!holds(await (await page.request.get(at(`/audit/events/${e.position}`))).text()), 'its event has it')
      for (const v of [key, password]) assert.deepEqual((await api(who, 'GET', `/audit?q=${v}`)).events, [])
      await page.goto(at('/audit'))
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export', exact: true }).click()])
      const lines = await readFile(await download.path(), 'utf8')
      assert.match(lines, /secret\.revealed/)
      assert.ok(!holds(lines), 'the export has a value')
    }
  })
}

test('who has no policy never gets it, whatever they send, and be it they who put it or approved it', async () => {
  for (const who of ['resource', 'bob', 'auditor', 'owner', 'security']) {
    const page = await browser(who)
    for (const [address, resource, method] of [[secret, `secret/${path}`, 'vault/key/secret_reveal'], [account, 'server/vault-1', 'vault/root/reveal_password:root']]) {
      const res = await page.goto(at(address))
      assert.equal(res.status(), 404)
      await page.getByText('no rule gives you a way to it').waitFor()
      const answers = [await forces(page, resource, method), await api(who, 'POST', '/access/grants', { resource, method }).catch((e) => ({ status: /: (4\d\d) /.exec(e.message)?.[1], says: e.message }))]
      for (const { status, says } of answers) assert.ok(status >= 400 && status < 500 && !holds(says), `${who}: ${status} ${says}`)
    }
  }
  const { events } = await api('auditor', 'GET', '/audit?type=secret.revealed')
  assert.deepEqual([...new Set(events.map((e) => e.actor))], ['alice'])
})

// What pages of other sites have people's browsers send: every action of the
// console, with whatever cookies the browser sends along, and nothing happens.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'

import { addPage, api, at, leave, newPage, person, start, stop, world } from './browser.mjs'
import { crawl } from './screens.mjs'

// other serves empty pages to another site, and to another port of the same host,
// where browsers send the cookies of the console along.
const other = createServer((req, res) => res.setHeader('content-type', 'text/html').end('<!doctype html><title>Win a car</title>'))
const origins = () => ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${other.address().port}`)

before(async () => {
  await start()
  await new Promise((done) => other.listen(0, done))
  await furnish()
})
after(async () => {
  other.close()
  await stop()
})

// furnish has something that every kind of person may change.
async function furnish() {
  const connection = (name) => ({ name, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: name } })
  for (const name of ['forged-active', 'forged-draft']) await api('devops', 'POST', '/connections', connection(name))
  await api('security', 'POST', '/connections/forged-active/activate', {}, { 'if-match': '"1"' })
  for (const [group, who] of [['forged-admins', 'alice'], ['forged-deciders', 'bob']]) {
    await api('security', 'POST', '/groups', { name: group })
    await api('security', 'POST', `/groups/${group}/members`, { person: who })
  }
  await api('resource', 'POST', '/projects', { name: 'forged', checkout: { required: false } })
  await api('resource', 'POST', '/servers', { name: 'forged-1', project: 'forged', address: 'forged-1.example.com', accounts: [1, 2].map((n) => ({ name: `root${n}`, kind: 'vaulted', username: `root${n}` })) })
  await api('resource', 'PUT', '/servers/forged-1/accounts/root1/password', { value: 'battery staple' })
  await api('resource', 'POST', '/secrets', { path: 'forged/db', project: 'forged', value: 'correct horse' })
  await api('security', 'POST', '/request-types', { name: 'forged', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'forged-deciders' } }] })
  await api('security', 'POST', '/request-types/forged/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'forged', principals: { groups: ['forged-admins'] },
    rules: [{
      name: 'ask', resource: { server: 'forged-1' }, privileges: [{ type: 'ssh', accounts: ['root1', 'root2'] }],
      conditions: [{ type: 'access_request', request_type: 'forged', approval_seconds: 900 }], break_glass: { access_seconds: 600 },
    }],
  })
  await api('security', 'POST', '/policies/forged/publish', undefined, { 'if-match': '"1"' })
  await api('alice', 'POST', '/access/requests', { resource: 'server/forged-1', method: 'forged/ask/ssh:root1', justification: 'to be decided' })
}

// actionsOf takes a page apart, in a browser: what its forms and their buttons send.
function actionsOf({ html, base }) {
  const doc = new DOMParser().parseFromString(html, 'text/html')
  const out = []
  for (const form of doc.querySelectorAll('form[method=post]')) {
    const fields = Object.fromEntries(new FormData(form))
    for (const e of form.elements) {
      if (e.name && e.required && !fields[e.name]) fields[e.name] = e.type === 'checkbox' ? e.value : 'forged'
    }
    const ways = [form, ...form.querySelectorAll('button[formaction]')]
    for (const way of ways) {
      const to = way.getAttribute('formaction') ?? way.getAttribute('action')
      out.push({ to: new URL(to, base).href, fields })
    }
    if (form.dataset.options) out.push({ to: new URL(form.dataset.options, base).href, fields })
  }
  return out
}

// actions is everything that somebody is offered to do, anywhere.
async function actions(page) {
  const reader = await newPage()
  const out = new Map()
  for (const screen of await crawl(page, ['/device', '/step-up', '/passkeys/new'])) {
    const html = await (await page.request.get(screen.href)).text()
    for (const one of await reader.evaluate(actionsOf, { html, base: screen.href })) out.set(one.to, one)
  }
  await leave(reader)
  return [...out.values()]
}

// forge is run in a page of another site: it sends all of them, in every way that
// such a page has.
async function forge(all) {
  const done = []
  const within = (element, src) => done.push(new Promise((settled) => {
    element.onload = element.onerror = settled
    document.body.append(element)
    if (src) element.src = src
  }))
  for (const [i, { to, fields }] of all.entries()) {
    const body = new URLSearchParams(fields)
    done.push(fetch(to, { method: 'POST', mode: 'no-cors', credentials: 'include', body }).catch(() => {}))
    done.push(fetch(to, { method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'content-type': 'text/plain' }, body: `${body}` }).catch(() => {}))
    within(new Image(), `${to}?${body}`)
    const frame = document.createElement('iframe')
    frame.name = `frame${i}`
    const form = document.createElement('form')
    Object.assign(form, { method: 'post', action: to, target: frame.name })
    for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }))
    within(frame)
    document.body.append(form)
    HTMLFormElement.prototype.submit.call(form)
  }
  await Promise.all(done)
}

// listen tells what a page sends by POST: to where, with which cookies, and how it
// is answered. The page itself is not let see any of it.
async function listen(page) {
  const session = await page.context().newCDPSession(page)
  await session.send('Network.enable')
  const sent = new Map()
  const of = (id) => sent.get(id) ?? sent.set(id, {}).get(id)
  session.on('Network.requestWillBeSent', (e) => Object.assign(of(e.requestId), { method: e.request.method, to: e.request.url }))
  session.on('Network.requestWillBeSentExtraInfo', (e) => Object.assign(of(e.requestId), { cookie: e.headers.Cookie ?? e.headers.cookie ?? '' }))
  session.on('Network.responseReceivedExtraInfo', (e) => Object.assign(of(e.requestId), { status: e.statusCode }))
  return () => [...sent.values()].filter((s) => s.method === 'POST' && s.status)
}

const newest = async () => (await api('auditor', 'GET', '/audit?order=desc&limit=1')).events[0].position

// Who is attacked, and how many actions they are offered at least.
for (const [name, least] of [['owner', 12], ['security', 20], ['devops', 8], ['resource', 8], ['alice', 7], ['bob', 6]]) {
  test(`no other site has ${name} do anything`, async () => {
    const victim = await person(name)
    const all = await actions(victim)
    assert.ok(all.length >= least, `${name} is offered ${all.length} actions: ${all.map((a) => a.to)}`)
    const was = { newest: await newest(), cookies: await victim.context().cookies() }
    for (const origin of origins()) {
      const evil = await addPage(victim.context())
      const sent = await listen(evil)
      await evil.goto(origin)
      await evil.evaluate(forge, all)
      const missing = () => all.filter((a) => !sent().some((s) => s.to === a.to))
      for (const until = Date.now() + 60_000; missing().length > 0 && Date.now() < until;) await evil.evaluate(() => fetch('/')) // what was answered is told a little later
      assert.deepEqual(missing(), [], 'was not sent')
      assert.deepEqual(sent().filter((a) => a.status !== 403), [])
      if (origin.includes('localhost')) assert.ok(sent().some((a) => a.cookie.includes('sallyport')), 'the browser sent no cookie, so this proves little')
      await evil.close()
    }
    assert.equal(await newest(), was.newest, 'something happened')
    assert.deepEqual(await victim.context().cookies(), was.cookies)
    await victim.goto(at('/'))
    assert.equal(victim.url(), at('/'), 'they are signed out')
    await leave(victim)
  })
}

test('no other site shows a page of the console within its own', async () => {
  const victim = await person('bob')
  for (const origin of origins()) {
    const evil = await addPage(victim.context())
    await evil.goto(origin)
    const pages = ['/', '/inbox', '/device', '/sign-in', '/enrol', '/nothing'].map(at)
    await evil.evaluate((all) => Promise.all(all.map((src) => new Promise((done) => {
      document.body.append(Object.assign(document.createElement('iframe'), { src, onload: done, onerror: done }))
    }))), pages)
    assert.deepEqual(evil.frames().slice(1).map((f) => f.url()), pages.map(() => 'chrome-error://chromewebdata/'))
    await evil.close()
  }
  await leave(victim)
})

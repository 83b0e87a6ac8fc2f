// What strangers write, wherever people read it: text, which does nothing, hides
// nothing, and breaks no page.
import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'

import { addPage, api, at, authenticator, exchange, hostile, leave, newPage, person, phone, root, signIn, start, stop, wide, world } from './browser.mjs'
import { production } from './production.mjs'

// words try to be markup, script, a template, an attribute, an address, another
// event of a stream, and text that runs the other way or is not seen.
const seen = [
  hostile,
  '"><svg onload="window.owned=2">',
  "' onmouseover='window.owned=3' autofocus onfocus='window.owned=3' x='",
  '</script><script>window.owned=4</script></textarea></title><script>window.owned=5</script>',
  '{{constructor.constructor("window.owned=6")()}}${window.owned=7}',
  '" hx-on:load="window.owned=8" hx-get="/console/theme" hx-trigger="load" x="',
  'javascript:window.owned=9',
].join(' ')
const turned = '\u202egnp.exe\u2066\u200b\ufeff'
const broken = '\n\nevent: ended\ndata: over\n\nid: 1\n'
const words = `${seen} ${turned} ${broken}`
const long = 'W'.repeat(4096)

// kid is what a key may be called: there is no space in it.
const kid = '"><svg/onload="window.owned=10">{{7*7}}'

// inHeader is as much of it as fits into one line of a request.
const inHeader = `${seen} ${long}`

const hidden = /[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/

// workloads is a provider that says what it likes: in its key set, and in tokens.
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const workloads = createServer((req, res) => {
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] }))
})

function token(claims, by = kid) {
  const now = Math.floor(Date.now() / 1000)
  const part = (v) => Buffer.from(JSON.stringify(v)).toString('base64url')
  const body = `${part({ alg: 'RS256', typ: 'JWT', kid: by })}.${part({ iss: 'https://ci.example', aud: world.issuer, iat: now, exp: now + 300, ...claims })}`
  return `${body}.${createSign('RSA-SHA256').update(body).sign(privateKey, 'base64url')}`
}

before(async () => {
  await start()
  await new Promise((done) => workloads.listen(0, '127.0.0.1', done))
})
after(async () => {
  workloads.close()
  await stop()
})

// may is a request that may be refused, as long as the server knows why.
async function may(name, method, path, body) {
  try {
    return await api(name, method, path, body)
  } catch (e) {
    assert.match(e.message, /: 4\d\d /)
    return undefined
  }
}

// trust is a connection of that provider.
async function trust() {
  await api('devops', 'POST', '/connections', {
    name: 'strange', description: seen, provider: 'generic_jwt', jwks_url: `http://127.0.0.1:${workloads.address().port}/jwks`,
    conditions: [
      { claim: 'iss', operator: 'equals', value: 'https://ci.example' }, { claim: 'aud', operator: 'equals', value: world.issuer },
      { claim: 'team', operator: 'equals', value: 'payments' },
    ],
  })
  await api('security', 'POST', '/connections/strange/activate', {}, { 'if-match': '"1"' })
}

// write has strangers say it in all that a workload sends.
async function write() {
  const answers = []
  for (const evil of [seen, words, long]) {
    for (const claims of [
      { sub: evil, team: 'payments', jti: `${evil}${Math.random()}` },
      { sub: evil, team: evil, jti: evil, extra: { [evil]: [evil] }, list: [evil] },
      { sub: 'job', team: 'payments', iss: evil },
      { sub: 'job', team: 'payments', aud: evil },
    ]) answers.push(await exchange('strange', token(claims)))
    for (const by of [evil, evil.replaceAll(/\s/g, '').slice(0, 256)]) answers.push(await exchange('strange', token({ sub: 'job', team: 'payments' }, by)))
    answers.push(await exchange('strange', evil))
    answers.push(await exchange(evil, token({ sub: 'job' })))
  }
  assert.deepEqual(answers.map((a) => a.status).filter((s) => s !== 200 && (s < 400 || s >= 500)), [])
  assert.ok(answers.some((a) => a.status === 200), 'no token was issued to a stranger whose name is strange')
}

// ask has people say it who may ask, decide and describe things.
async function ask() {
  await api('security', 'POST', '/groups', { name: 'strangers', description: seen })
  await api('security', 'POST', '/groups/strangers/members', { person: 'alice' })
  await api('security', 'POST', '/groups', { name: 'deciders' })
  await api('security', 'POST', '/groups/deciders/members', { person: 'bob' })
  await api('resource', 'POST', '/projects', { name: 'odd', description: long.slice(0, 1000), checkout: { required: false } })
  const server = { name: 'odd-1', project: 'odd', address: 'odd-1.example.com', accounts: [1, 2, 3].map((n) => ({ name: `root${n}`, kind: 'vaulted', username: `root${n}` })) }
  for (const more of [{ address: seen }, { address: long }, { description: words }, { labels: { evil: hostile } }]) await may('resource', 'POST', '/servers', { ...server, ...more })
  await may('resource', 'POST', '/servers', { ...server, name: hostile })
  await may('resource', 'POST', '/servers', { ...server, description: seen, labels: { env: long.slice(0, 128) }, address: `${'w'.repeat(63)}.`.repeat(3) + 'example.com' })
  await api('security', 'POST', '/request-types', { name: 'odd', kind: 'access', description: seen, steps: [{ name: 'lead', approvers: { group: 'deciders' } }] })
  await api('security', 'POST', '/request-types/odd/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'odd', description: seen, principals: { groups: ['strangers'] },
    rules: [{
      name: 'odd', resource: { server: 'odd-1' }, privileges: [{ type: 'ssh', accounts: ['root1', 'root2', 'root3'] }],
      conditions: [{ type: 'access_request', request_type: 'odd', approval_seconds: 900 }], break_glass: { access_seconds: 600 },
    }],
  })
  await api('security', 'POST', '/policies/odd/publish', undefined, { 'if-match': '"1"' })
  const ids = []
  for (const [i, justification] of [words, long.slice(0, 2048), '\u202e\u200b'.repeat(300)].entries()) {
    const raised = await may('alice', 'POST', '/access/requests', { resource: 'server/odd-1', method: `odd/odd/ssh:root${i + 1}`, justification })
    if (raised) ids.push(raised.id)
  }
  assert.ok(ids.length >= 2, 'nothing could be asked for')
  await api('bob', 'POST', `/access/requests/${ids[0]}/approve`, { step: 1, comment: words })
  await api('bob', 'POST', `/access/requests/${ids[1]}/deny`, { step: 1, comment: long.slice(0, 2048) })
  const broke = await api('alice', 'POST', '/access/break-glass', { resource: 'server/odd-1', method: 'odd/odd/ssh:root3', reason: words })
  return [...ids.map((id) => `/requests/${id}`), `/break-glass/${broke.id}`]
}

// login is a program that waits for somebody to let it in, and is called that.
async function login() {
  const res = await fetch(`${world.issuer}/device_authorization`, { method: 'POST', headers: { 'user-agent': inHeader }, body: new URLSearchParams({ client_id: 'sallyport-cli' }) })
  const { user_code: code } = await res.json()
  assert.ok(code, `device_authorization answered ${res.status}`)
  return `/device?user_code=${code}`
}

// passkey gives somebody one that is called that.
async function passkey(page, name) {
  await authenticator(page)
  await page.goto(at('/passkeys/new'))
  await page.getByLabel('Name').fill(name)
  await page.getByRole('button', { name: 'Add it' }).click()
  await page.waitForURL(at('/passkeys'))
  await page.locator('tbody tr').first().waitFor()
}

// watched has a browser tell what a page's policy did not let happen.
const watched = (page) => page.context().addInitScript(() => {
  window.refused = []
  document.addEventListener('securitypolicyviolation', (e) => window.refused.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`))
})

// measure is run in the page.
function measure() {
  const shown = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, (n) => n.parentElement.closest('textarea, option') ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT)
  let text = document.title
  while (shown.nextNode()) text += shown.currentNode.data
  return {
    owned: window.owned, refused: window.refused, text,
    across: document.scrollingElement.scrollWidth - window.innerWidth,
    strange: document.querySelectorAll('main script, main img, [onload], [onerror], [onfocus], [onmouseover], [hx-on\\:load], [hx-get="/console/theme"], a[href^="javascript:" i]').length,
  }
}

// harmless looks at a page as it is, light, dark, wide and on a phone.
async function harmless(page, problems) {
  for (const [viewport, colorScheme] of [[wide, 'light'], [wide, 'dark'], [phone, 'light']]) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize(viewport)
    const { owned, refused, text, across, strange } = await page.evaluate(measure)
    const tell = (what) => problems.push(`${decodeURIComponent(page.url()).slice(world.base_url.length).slice(0, 100)}, ${viewport.width}: ${what}`)
    if (owned !== undefined) tell(`what was written ran: ${owned}`)
    if (refused.length) tell(`the page's policy had to refuse ${refused}`)
    if (strange) tell(`what was written is ${strange} elements or attributes`)
    if (across > 0) tell(`${across} px wider than the window`)
    if (hidden.test(text)) tell(`text hides or turns: ${JSON.stringify(text.slice(Math.max(0, text.search(hidden) - 60)).slice(0, 90))}`)
  }
}

// visit opens addresses; whatever is refused is so as a page of ours.
async function visit(page, paths, problems, place = at) {
  for (const path of paths) {
    const res = await page.goto(place(path))
    if (res.status() >= 500) problems.push(`${path.slice(0, 80)}: answered ${res.status()}`)
    await harmless(page, problems)
  }
  problems.push(...page.complaints.splice(0))
}

const q = encodeURIComponent
// lists are all that are looked through by words in their address, and by which.
const lists = {
  '/audit': ['q', 'type', 'connection', 'workload', 'actor', 'request_id', 'since', 'until', 'before', 'after', 'outcome'],
  '/audit/live': ['q', 'type'], '/workloads': ['identity', 'connection'], '/denials': ['connection', 'code', 'after'],
  '/connections': ['q', 'status', 'provider', 'page'], '/access': ['q', 'kind', 'after'], '/requests': ['before', 'view'],
  '/people': ['q', 'from'], '/groups': ['q', 'from'], '/policies': ['q', 'from'], '/request-types': ['q', 'from'], '/roles': ['q', 'from'],
  '/projects': ['q'], '/servers': ['q'], '/access/resource': ['resource'], '/access/request': ['resource', 'method'], '/access/break-glass': ['resource'],
  '/requests/membership': ['type'], '/device': ['user_code'], '/new-connection': ['provider'], '/enrol': ['person'],
}

test('what strangers write is text on every page that shows it, and the live tail goes on', async () => {
  await trust()
  const reader = await person('auditor', { userAgent: inHeader })
  await watched(reader)
  const tail = await addPage(reader.context())
  const stream = tail.waitForResponse((r) => r.headers()['content-type']?.startsWith('text/event-stream'))
  await tail.goto(at('/audit/live'))
  await stream
  await write()
  const asked = await ask()
  await api('security', 'POST', '/groups', { name: 'the-last-one' })
  await tail.locator('#rows tr', { hasText: 'the-last-one' }).waitFor()
  assert.equal(await tail.locator('#tail-says').innerText(), 'New events appear on top as they happen.')
  const problems = []
  await harmless(tail, problems)
  const { events } = await api('auditor', 'GET', '/audit?order=desc&limit=200')
  const strange = events.filter((e) => /owned|WWWW/.test(JSON.stringify(e)))
  const denied = strange.filter((e) => e.type === 'token.denied').map((e) => `/denials/${e.position}`)
  assert.ok(denied.length > 4 && strange.some((e) => e.type === 'token.issued'), JSON.stringify(events.map((e) => e.type)))
  await visit(reader, [
    '/', '/audit', '/audit?type=token.denied', '/audit?type=token.issued', '/denials', ...denied, ...strange.map((e) => `/audit/events/${e.position}`),
    ...[words, long, seen].map((w) => `/workloads?identity=${q(w)}&connection=strange`), '/connections', '/connections/strange', '/connections/strange/activate',
    '/sessions', '/requests?view=all', ...asked, '/break-glass', '/groups', '/groups/strangers', '/projects', '/projects/odd', '/servers', '/servers/odd-1', '/policies/odd', '/request-types/odd',
  ], problems)
  assert.deepEqual([...new Set(problems)], [])
  await leave(reader)
})

test('it is text to those who asked, who decide and who let programs in', async () => {
  const problems = []
  const alice = await person('alice', { userAgent: inHeader })
  await watched(alice)
  await passkey(alice, hostile)
  const mine = (await api('alice', 'GET', '/access/requests')).requests.map((r) => `/requests/${r.id}`)
  await visit(alice, ['/', '/passkeys', '/sessions', await login(), '/access', '/access/resource?resource=server/odd-1', '/requests', ...mine], problems)
  const bob = await person('bob')
  await watched(bob)
  await visit(bob, ['/', '/inbox', ...mine], problems)
  const security = await person('security')
  await watched(security)
  for (const proof of [token({ sub: words, team: words, jti: long }), words, `${long}.${long}.${long}`]) {
    await security.goto(at('/connections/strange/test'))
    await security.getByLabel('Token of a workload').fill(proof)
    await security.getByRole('button', { name: 'Test', exact: true }).click()
    await security.waitForLoadState()
    await security.locator('#problem, .failed').first().waitFor()
    await harmless(security, problems)
  }
  assert.deepEqual([...new Set(problems)], [])
  await leave(alice, bob, security)
})

test('words in the address of every list are text', async () => {
  const problems = []
  const page = await person('security')
  await watched(page)
  for (const [path, names] of Object.entries(lists)) {
    await visit(page, [words, long].map((w) => `${path}?${names.map((n, i) => `${n}=${q(i === 0 ? w : w.slice(0, 600))}`).join('&')}`), problems)
  }
  const stranger = await newPage()
  await watched(stranger)
  await visit(stranger, [...[words, long].map((w) => `/sign-in?return=${q(w)}`), `/${q(seen)}`], problems)
  for (const path of [`/console/orgs/${q(seen)}/`, `/console/oidc/callback?state=${q(words)}&error=${q(words)}&error_description=${q(words)}&iss=${q(words)}`, `/${q(seen)}`]) {
    await stranger.goto(world.base_url + path)
    if (stranger.url().includes('/console/')) await harmless(stranger, problems)
  }
  assert.deepEqual([...new Set(problems)], [])
  await leave(page, stranger)
})

test('what an OpenID provider claims of people is text', async () => {
  const company = await production({ auditor: 'auditor', carol: 'auditor' })
  try {
    const problems = []
    const all = { name: words, preferred_username: words, given_name: long, groups: [words, long], amr: [seen] }
    const page = await newPage({ ignoreHTTPSErrors: true })
    await watched(page)
    company.idp.says = { ...all, sub: seen.slice(0, 255) }
    await company.signIn(page, 'auditor')
    const stranger = await newPage({ ignoreHTTPSErrors: true })
    await watched(stranger)
    // Neither of these is anybody, and both are told so.
    for (const says of [{ sub: words, email: words }, { sub: seen.slice(0, 200), email: `"${hostile}"@example.com` }, { sub: long, email: long }]) {
      company.idp.says = { ...all, ...says }
      await stranger.goto(company.at('/'))
      await stranger.getByRole('button', { name: 'Sign in with company' }).click()
      await stranger.waitForURL(/\/callback/)
      await harmless(stranger, problems)
    }
    const { events } = await company.api('auditor', 'GET', '/audit?order=desc&limit=100')
    const strange = events.filter((e) => /owned|WWWW/.test(JSON.stringify(e)))
    assert.ok(strange.length > 1, JSON.stringify(events.map((e) => e.type)))
    await visit(page, ['/', '/sessions', '/people', '/people/auditor', '/audit', ...strange.map((e) => `/audit/events/${e.position}`)], problems, company.at)
    assert.deepEqual([...new Set(problems)], [])
    await page.goto(company.at('/sessions'))
    await page.getByText(hostile).first().waitFor()
    await leave(page, stranger)
  } finally {
    await company.stop()
  }
})

// elsewhere are addresses to go back to that are no path of the console.
const elsewhere = ['javascript:window.owned=1', '//evil.example', '/\\evil.example', 'https://evil.example/', `//evil.example${root}/`, `${root}/../../../../\\evil.example`, `${root}/\n//evil.example`, `\t//evil.example`]

test('nobody is led away from here', async () => {
  const page = await newPage()
  await watched(page)
  for (const to of elsewhere.slice(0, 3)) {
    await signIn(page, 'alice', `/sign-in?return=${q(to)}`)
    assert.equal(page.url(), at('/'), to)
    assert.equal(await page.evaluate(() => window.owned), undefined)
    await page.goto(at(`/step-up?return=${q(to)}`))
    assert.equal(await page.locator(`[href="${to.replaceAll('\\', '\\\\')}"]`).count(), 0)
    await page.context().clearCookies()
  }
  await signIn(page, 'alice')
  for (const to of elsewhere) {
    const res = await page.request.post(`${world.base_url}/console/theme`, { form: { theme: 'dark', return: to }, headers: { origin: world.base_url, 'sec-fetch-site': 'same-origin' }, maxRedirects: 0 })
    assert.deepEqual([res.status(), res.headers().location], [303, '/console/'], to)
    const signedIn = await page.request.get(at(`/sign-in?return=${q(to)}`), { maxRedirects: 0 })
    assert.deepEqual([signedIn.status(), signedIn.headers().location], [303, `${root}/`], to)
  }
  await leave(page)
})

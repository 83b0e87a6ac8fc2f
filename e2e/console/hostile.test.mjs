// What workloads, providers and people say of themselves, as bad as it can be said:
// it is shown as text, runs nothing, moves nothing and ends no stream.
import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, person, phone, start, stop, wide, world } from './browser.mjs'
import { crawl } from './screens.mjs'

// mark is in all of it, so that pages that show it are found.
const mark = 'owned'
const bad = [
  '<img src=x onerror="window.owned=1">',
  '"><svg/onload=window.owned=1><a hx-get="/console/" hx-on:load="window.owned=1" autofocus onfocus="window.owned=1">',
  '</script></title></textarea><script>window.owned=1</script>',
  'javascript:window.owned=1',
  '{{7*7}}${7*7}<%=owned%>',
  'owned\n\nevent: ended\ndata: owned\n\nid: 1.0\n',
  '\u202Edenwo\u2066owned\u200B\u0000owned',
  `owned${'x'.repeat(4000)}`,
]
const visible = bad.filter((s) => !/[\n\u0000]/.test(s))

// keys is a provider whose key has a bad name, and signs what it is asked to.
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const kid = bad[1].slice(0, 100)
let keys
const b64 = (v) => Buffer.from(JSON.stringify(v)).toString('base64url')
const sign = (claims) => {
  const head = `${b64({ alg: 'RS256', typ: 'JWT', kid })}.${b64(claims)}`
  return `${head}.${createSign('RSA-SHA256').update(head).sign(privateKey).toString('base64url')}`
}

const refused = []
// tries is a write that may be refused for what it says; whatever is taken is shown.
async function tries(name, method, path, body, headers) {
  try {
    return await api(name, method, path, body, headers)
  } catch (e) {
    assert.match(e.message, /: 4\d\d /)
    refused.push(path)
  }
}

before(async () => {
  await start()
  keys = createServer((_, res) => res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] })))
  await new Promise((done) => keys.listen(0, '127.0.0.1', done))
  await api('devops', 'POST', '/connections', {
    name: 'bad', description: bad[0], provider: 'gitlab', jwks_url: `http://127.0.0.1:${keys.address().port}/`, settings: { domain: 'gitlab.com', group: 'acme', project: 'app' },
  })
  const ready = await api('security', 'GET', '/connections/bad')
  await api('security', 'POST', '/connections/bad/activate', {}, { 'if-match': `"${ready.version}"` })
  for (const b of bad) await exchange('bad', sign(claims(b)))
  await api('security', 'POST', '/groups', { name: 'bad-approvers', description: bad[1] })
  await api('security', 'POST', '/groups/bad-approvers/members', { person: 'bob' })
  await api('resource', 'POST', '/projects', { name: 'bad', description: bad[2], checkout: { required: false } })
  await api('resource', 'POST', '/servers', {
    name: 'bad-1', project: 'bad', address: 'bad-1.example.com', labels: { owned: bad[0].slice(0, 60) }, accounts: [{ name: 'root', kind: 'vaulted', username: 'root' }],
  }).catch(() => api('resource', 'POST', '/servers', { name: 'bad-1', project: 'bad', address: 'bad-1.example.com', accounts: [{ name: 'root', kind: 'vaulted', username: 'root' }] }))
  await api('security', 'POST', '/request-types', { name: 'bad', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'bad-approvers' } }] })
  await api('security', 'POST', '/request-types/bad/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/groups', { name: 'bad-admins' })
  for (const name of ['alice', 'resource']) await api('security', 'POST', '/groups/bad-admins/members', { person: name })
  await api('security', 'POST', '/policies', {
    name: 'bad', description: bad[3], principals: { groups: ['bad-admins'] },
    rules: [{
      name: 'vaulted', resource: { server: 'bad-1' }, privileges: [{ type: 'ssh', accounts: ['root'] }],
      conditions: [{ type: 'access_request', request_type: 'bad', approval_seconds: 900 }], break_glass: { access_seconds: 600 },
    }],
  })
  await api('security', 'POST', '/policies/bad/publish', undefined, { 'if-match': '"1"' })
  const ask = { resource: 'server/bad-1', method: 'bad/vaulted/ssh:root' }
  for (const [i, b] of bad.entries()) {
    const asked = await tries('alice', 'POST', '/access/requests', { ...ask, justification: b })
    if (asked && i % 2) await tries('bob', 'POST', `/access/requests/${asked.id}/deny`, { comment: b })
    else if (asked) await tries('alice', 'POST', `/access/requests/${asked.id}/cancel`, {})
  }
  await tries('alice', 'POST', '/access/requests', { ...ask, justification: bad[7].slice(0, 1500) })
  for (const b of bad.slice(0, 3)) await tries('resource', 'POST', '/access/break-glass', { ...ask, reason: b })
  for (const b of bad) { // a program that wants to be let in, and how it calls itself
    await fetch(`${world.issuer}/device_authorization`, { method: 'POST', headers: { 'user-agent': b.replace(/[^ -~]/g, '') }, body: new URLSearchParams({ client_id: 'sallyport', client_name: b, host: b }) })
  }
})
after(async () => {
  await stop()
  keys?.close()
})

function claims(b) {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: 'https://gitlab.com', aud: world.issuer, iat: now, exp: now + 300, sub: b, namespace_path: b, project_path: b, ref: b,
    [`c-${b.slice(0, 60)}`]: b, nested: { [b.slice(0, 40)]: [b] }, user_login: b, user_email: b,
  }
}

test('whatever strangers say is shown as text, wide and on a phone, light and dark', async () => {
  const problems = []
  let looked = 0
  for (const name of ['security', 'bob', 'alice', 'resource']) {
    const page = await person(name, { userAgent: visible[1] })
    const pages = (await crawl(page, ['/sessions'], mark)).filter((s) => s.marked)
    looked += pages.length
    for (const size of [wide, phone]) {
      await page.setViewportSize(size)
      await page.emulateMedia({ colorScheme: size === phone ? 'dark' : 'light' })
      for (const s of pages) {
        await page.goto(s.href)
        const { across, ran } = await page.evaluate(() => ({ across: document.documentElement.scrollWidth - document.documentElement.clientWidth, ran: window.owned }))
        if (across > 0) problems.push(`${s.href} at ${size.width}: ${across} pixels too wide`)
        if (ran) problems.push(`${s.href}: it ran`)
      }
    }
    problems.push(...page.complaints.splice(0))
    await leave(page)
  }
  console.log(`${looked} pages show it; ${refused.length} writes of it were refused`)
  assert.ok(looked > 20, `${looked} pages`)
  assert.deepEqual(problems, [])
})

test('a test of a bad token shows it as text', async () => {
  const page = await person('security')
  for (const b of bad) {
    await page.goto(at('/connections/bad/test'))
    await page.getByLabel('Token of a workload').fill(sign(claims(b)))
    await page.getByRole('button', { name: 'Test', exact: true }).click()
    await page.getByRole('region', { name: 'Checks' }).waitFor()
    for (const size of [phone, wide]) {
      await page.setViewportSize(size)
      const { across, ran } = await page.evaluate(() => ({ across: document.documentElement.scrollWidth - document.documentElement.clientWidth, ran: window.owned }))
      assert.deepEqual([across > 0, ran], [false, undefined], `${b.slice(0, 50)} at ${size.width}`)
    }
  }
  await leave(page)
})

test('bad words neither break a live tail nor run in it', async () => {
  const page = await person('auditor')
  const stream = page.waitForResponse((r) => r.headers()['content-type']?.startsWith('text/event-stream'))
  await page.goto(at('/audit/live?type=token.denied'))
  await stream
  const rows = page.locator('#rows tr')
  const before = await rows.count()
  for (const b of bad) await exchange('bad', sign(claims(b)))
  const denied = await api('auditor', 'GET', '/audit?type=token.denied&order=desc&limit=1')
  await page.locator(`#rows tr a[href$="/audit/events/${denied.events[0].position}"]`).first().waitFor()
  assert.ok(await rows.count() > before)
  assert.equal(await page.evaluate(() => window.owned), undefined)
  assert.doesNotMatch(await page.locator('#tail-says').innerText(), /owned/)
  const { name } = await api('security', 'POST', '/groups', { name: 'still-there' })
  assert.equal(name, 'still-there')
  await leave(page)
})

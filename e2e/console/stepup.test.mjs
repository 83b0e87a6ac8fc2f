// What asks anew who one is, and where that leads, as in production: by TLS, at a
// company's OpenID provider, and by a passkey.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { authenticator, leave, newPage, start, stop } from './browser.mjs'
import { production } from './production.mjs'

const old = 3600 // seconds; a proof counts for 300

let p
before(async () => {
  await start()
  p = await production({ devops: 'devops_admin', security: 'security_admin', auditor: 'auditor' })
})
after(async () => {
  await stop()
  await p?.stop()
})

const browser = (options) => newPage({ ignoreHTTPSErrors: true, ...options })

async function draft(name) {
  await p.api('devops', 'POST', '/connections', { name, provider: 'gitlab', jwks_url: `${p.idp.issuer}/jwks`, settings: { domain: 'gitlab.com', group: 'acme', project: name } })
}

const proveAnew = (page) => page.getByRole('button', { name: 'Sign in with company' }).click()

async function activate(page) {
  for (const box of await page.getByRole('checkbox').all()) await box.check()
  await page.getByRole('button', { name: 'Activate' }).click()
}

test('the session is a cookie that no script reads, of this host alone, by TLS alone', async () => {
  const page = await browser()
  await p.signIn(page, 'auditor')
  const [cookie] = (await page.context().cookies()).filter((c) => c.name.startsWith('__Host-sallyport') && !/attempt|passkey|theme/.test(c.name))
  assert.deepEqual([cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path, cookie.domain], [true, true, 'Lax', '/', 'localhost'])
  assert.equal(await page.evaluate(() => document.cookie.includes('__Host-sallyport')), false)
  const res = await page.goto(p.at('/'))
  assert.match(res.headers()['strict-transport-security'], /max-age=\d{7}/)
  await leave(page)
})

test('an activation with an old proof leads to a new one, back to the very page, and is then done', async () => {
  await draft('step-one')
  const page = await browser()
  await p.signIn(page, 'security', old)
  await page.goto(p.at('/connections/step-one/activate'))
  await page.waitForURL((u) => u.pathname.endsWith('/step-up'))
  const forced = await page.evaluate(async (url) => (await fetch(url, { method: 'POST', body: new URLSearchParams({ etag: '"1"' }) })).url, p.at('/connections/step-one/activate/confirm'))
  assert.match(forced, /\/step-up\?/)
  assert.equal((await p.api('auditor', 'GET', '/connections/step-one')).status, 'draft')
  await proveAnew(page)
  await page.waitForURL(p.at('/connections/step-one/activate'))
  assert.equal(p.idp.asked.at(-1), 'login', 'the provider was asked to ask')
  await activate(page)
  await page.waitForURL(p.at('/connections/step-one'))
  assert.equal((await p.api('auditor', 'GET', '/connections/step-one')).status, 'active')
  await leave(page)
})

test('whoever proves anew that they are somebody else is refused, and nobody is signed in as them', async () => {
  const page = await browser()
  await p.signIn(page, 'security', old)
  await page.goto(`${p.at('/step-up')}?return=${encodeURIComponent('/console/orgs/default/keys')}`)
  p.idp.next = 'auditor'
  await proveAnew(page)
  await page.getByText('sign_in.other_person').waitFor()
  await page.goto(p.at('/'))
  await page.locator('.side .me').getByText('security', { exact: true }).waitFor()
  await leave(page)
})

for (const [what, who, path, button, notice] of [
  ['exporting the trail', 'auditor', '/audit/export/events.ndjson', null],
  ['a passkey', 'devops', '/passkeys/new', null],
  ['rotating the SSH authority', 'security', '/keys/rotate', /rotate/i],
]) {
  test(`${what} asks for a new proof, and comes back`, async () => {
    const page = await browser()
    await p.signIn(page, who, old)
    const download = what.startsWith('exporting') ? page.waitForEvent('download') : null
    await page.goto(p.at(path))
    if (button) await page.getByRole('button', { name: button }).last().click()
    await page.waitForURL((u) => u.pathname.endsWith('/step-up'))
    await proveAnew(page)
    if (download) {
      const file = await download
      assert.match(file.url(), /\/audit\/export\/events\.ndjson$/)
    } else {
      await page.waitForURL((u) => !u.pathname.endsWith('/step-up') && u.href.startsWith(p.at('/')) && u.pathname.includes(path.split('/')[1]))
    }
    await leave(page)
  })
}

test('a passkey proves anew who it is, and only its own person', async () => {
  await draft('step-key')
  const page = await browser()
  await p.signIn(page, 'security')
  const device = await authenticator(page)
  await page.goto(p.at('/passkeys/new'))
  await page.getByLabel('Name').fill('the key')
  await page.getByRole('button', { name: 'Add it' }).click()
  await page.waitForURL(p.at('/passkeys'))
  await page.getByRole('button', { name: 'Sign out' }).last().click()
  await page.getByText('You are signed out').waitFor()
  await p.signIn(page, 'security', old)
  await page.goto(p.at('/connections/step-key/activate'))
  await page.waitForURL((u) => u.pathname.endsWith('/step-up'))
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.waitForURL(p.at('/connections/step-key/activate'))
  await activate(page)
  await page.waitForURL(p.at('/connections/step-key'))
  const other = await browser()
  await p.signIn(other, 'devops', old)
  const theirs = await authenticator(other)
  for (const k of await device.keys()) await theirs.add(k)
  await other.goto(p.at('/step-up'))
  await other.getByRole('button', { name: 'Use a passkey' }).click()
  await other.getByText('sign_in.other_person').waitFor()
  await leave(page, other)
})

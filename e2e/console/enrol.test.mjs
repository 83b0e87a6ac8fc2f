// How an organisation gets its first owner, and another when nobody can sign in: by
// one-time links and passkeys.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { authenticator, leave, looker, newPage, start, stop } from './browser.mjs'
import { serve } from './production.mjs'

let p
before(async () => {
  await start()
  p = await serve()
})
after(async () => {
  await stop()
  const logged = await p?.stop()
  assert.ok(logged, 'the server logs what it does')
  assert.ok(!logged.includes('sallyport_'), 'a secret is in its log')
})

const secretOf = (link) => new URL(link).hash.slice(1)

// recover is what an administrator does on the server's host.
async function recover(name) {
  const { stdout, stderr } = await p.run('recover', '--person', name)
  const link = stdout.trim()
  assert.match(link, /^https:\S+\/enrol\?person=[a-z]+#sallyport_[\w-]{43}$/)
  assert.ok(!stderr.includes(secretOf(link)), 'words have the secret')
  return link
}

// opens is a stranger at a link; asked is every address that their browser asks for.
async function opens(link) {
  const page = await newPage({ ignoreHTTPSErrors: true })
  page.asked = []
  page.on('request', (r) => page.asked.push(r.url(), r.headers().referer ?? ''))
  const look = await looker(page)
  await page.goto(link)
  await page.getByRole('button', { name: 'Register and sign in' }).waitFor()
  assert.deepEqual(await look.violations(), [])
  await authenticator(page)
  page.session = await page.context().newCDPSession(page)
  return page
}

// tellsOver is a stranger at a link that opens nothing: they learn so before they fill in anything.
async function tellsOver(link) {
  const page = await newPage({ ignoreHTTPSErrors: true })
  await page.goto(link)
  await page.getByRole('alert').filter({ hasText: 'This link opens nothing' }).waitFor()
  assert.equal(await page.getByRole('button', { name: 'Register and sign in' }).isVisible(), false)
  return page
}

// enrols names a passkey, and oneself where that is asked.
async function enrols(page, name) {
  if (name) await page.getByLabel('Your name').fill(name)
  await page.getByLabel('Name of the passkey').fill('the laptop')
  await page.getByRole('button', { name: 'Register and sign in' }).click()
}

// keepsNo looks for a secret wherever a browser may keep it and a log may show it.
async function keepsNo(page, secret) {
  const { entries } = await page.session.send('Page.getNavigationHistory')
  const places = {
    address: page.url(), history: JSON.stringify(entries.map((e) => e.url)), asked: page.asked.join('\n'), page: await page.content(),
    kept: await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.referrer, history.state])),
    cookies: JSON.stringify(await page.context().cookies()),
  }
  assert.deepEqual(Object.keys(places).filter((where) => places[where].includes(secret)), [], 'the secret is there')
}

async function isOwner(page, name) {
  await page.waitForURL(p.at('/'))
  await page.getByRole('status').filter({ hasText: 'You are an owner of default' }).waitFor()
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Overview')
  await page.locator('.side .me').getByText(name, { exact: true }).waitFor()
  await page.locator('.side .me').getByText('owner', { exact: true }).waitFor()
}

async function comesBack(page, name) {
  await page.getByRole('button', { name: 'Sign out' }).last().click()
  await page.getByText('You are signed out').waitFor()
  await page.goto(p.at('/people'))
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.waitForURL(p.at('/people'))
  await page.getByRole('link', { name, exact: true }).first().waitFor()
}

test('the first owner comes by the link that the first start printed, and nobody after them', async () => {
  const link = await p.says(/^ {2}(https:\S+\/enrol#sallyport_[\w-]{43})$/m)
  const page = await opens(link)
  await keepsNo(page, secretOf(link))
  await enrols(page, 'dana')
  await isOwner(page, 'dana')
  await keepsNo(page, secretOf(link))
  await comesBack(page, 'dana')
  const late = await tellsOver(link)
  await late.goto(p.at('/'))
  assert.match(late.url(), /\/sign-in/)
  await page.reload()
  assert.equal(await page.getByText('mallory').count(), 0)
  await leave(page, late)
})

test('a gateway that refuses the first look at a link hides nothing', async () => {
  const link = await recover('fay')
  const page = await newPage({ ignoreHTTPSErrors: true })
  await page.route(/\/enrol\/check$/, (route) => route.fulfill({ status: 403, contentType: 'text/html', body: '<h1>Forbidden</h1>' }))
  const looked = page.waitForResponse(/\/enrol\/check$/)
  await page.goto(link)
  await (await looked).finished()
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  await page.getByRole('button', { name: 'Register and sign in' }).waitFor()
  assert.equal(await page.locator('.over').count(), 0)
  await leave(page)
})

test('recover makes a second owner, whose name the link has; a link without its secret does nothing', async () => {
  const link = await recover('erik')
  const bare = await opens(link.split('#')[0])
  await enrols(bare)
  await bare.getByRole('alert').filter({ hasText: 'open the link again' }).waitFor()
  const page = await opens(link)
  await page.getByText('erik', { exact: true }).waitFor()
  assert.equal(await page.getByLabel('Your name').count(), 0)
  await enrols(page)
  await isOwner(page, 'erik')
  await keepsNo(page, secretOf(link))
  await comesBack(page, 'erik')
  await leave(page, bare)
})

test('an owner invites somebody who has no identity provider, and they sign in with their passkey', async () => {
  const page = await opens(await recover('gwen'))
  const look = await looker(page)
  await enrols(page)
  await isOwner(page, 'gwen')
  await page.goto(p.at('/people/-/new'))
  await page.getByLabel('Name', { exact: true }).fill('hana')
  await page.getByLabel('auditor', { exact: true }).check()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.waitForURL(p.at('/people/hana'))
  await page.getByRole('button', { name: 'Invite by a link' }).click()
  const link = (await page.locator('p.code').innerText()).trim()
  assert.deepEqual(await look.violations(), [])
  const guest = await opens(link)
  await guest.getByRole('heading', { name: 'Your first sign-in to default' }).waitFor()
  await enrols(guest)
  await guest.waitForURL(p.at('/'))
  await guest.locator('.side .me').getByText('hana', { exact: true }).waitFor()
  assert.equal(await guest.locator('.side .me').getByText('owner', { exact: true }).count(), 0)
  await keepsNo(guest, secretOf(link))
  await guest.getByRole('button', { name: 'Sign out' }).last().click()
  await guest.goto(p.at('/audit'))
  await guest.getByRole('button', { name: 'Use a passkey' }).click()
  await guest.waitForURL(p.at('/audit'))
  const late = await tellsOver(link)
  await leave(page, guest, late)
})

test('a newer link takes the place of an older one', async () => {
  const older = await recover('fred')
  const newer = await recover('fred')
  const page = await tellsOver(older)
  await page.getByRole('alert').filter({ hasText: 'a newer one took its place' }).waitFor()
  await authenticator(page)
  await page.goto(newer)
  await page.getByRole('button', { name: 'Register and sign in' }).waitFor()
  assert.equal(await page.getByRole('alert').count(), 0, 'what was said of the older link is gone')
  await enrols(page)
  await isOwner(page, 'fred')
  await leave(page)
})

// Passkeys, by an authenticator that the browser has.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, authenticator, leave, newPage, person, start, stop } from './browser.mjs'

before(start)
after(stop)

async function register(page, name) {
  await page.goto(at('/passkeys/new'))
  await page.getByLabel('Name').fill(name)
  await page.getByRole('button', { name: 'Add it' }).click()
  await page.waitForURL(at('/passkeys'))
  await page.getByRole('rowheader', { name, exact: true }).waitFor()
}

async function signOut(page) {
  await page.goto(at('/passkeys'))
  await page.getByRole('button', { name: 'Sign out' }).last().click()
  await page.getByText('You are signed out').waitFor()
}

async function usePasskey(page, path = '/') {
  await page.goto(at(path))
  await page.getByRole('button', { name: 'Use a passkey' }).click()
}

test('a passkey is registered, opens the console on its own, and once removed opens nothing', async () => {
  const page = await person('devops')
  const device = await authenticator(page)
  await register(page, 'the laptop')
  assert.equal((await device.keys()).length, 1)
  await signOut(page)
  await usePasskey(page, '/connections')
  await page.waitForURL(at('/connections'))
  await page.locator('.side .me').getByText('devops', { exact: true }).waitFor()
  const { events } = await api('auditor', 'GET', '/audit?type=person.signed_in&order=desc&limit=1')
  assert.deepEqual([events[0].data.person, events[0].data.method, events[0].data.mfa], ['devops', 'passkey', true])
  await page.goto(at('/passkeys'))
  await page.locator('summary', { hasText: 'Remove' }).click()
  await page.getByRole('button', { name: 'Remove the laptop now' }).click()
  await page.waitForURL((u) => u.pathname.endsWith('/sign-in')) // the session that it opened is over, too
  await usePasskey(page)
  await page.getByText('This passkey does not open anything here').waitFor()
  await leave(page)
})

test('a device that does not make sure who uses it neither registers nor opens anything', async () => {
  const page = await person('alice')
  const device = await authenticator(page)
  await register(page, 'a careless one')
  await signOut(page)
  await device.verifies(false)
  await usePasskey(page)
  await page.getByText('No passkey was used').waitFor()
  await page.goto(at('/access'))
  assert.match(page.url(), /sign-in/)
  await leave(page)
  const other = await person('bob')
  await authenticator(other, false)
  await other.goto(at('/passkeys/new'))
  await other.getByLabel('Name').fill('none')
  await other.getByRole('button', { name: 'Add it' }).click()
  await other.getByText('No passkey was used').waitFor()
  await leave(other)
})

test('what a device said for another page opens nothing a second time', async () => {
  const page = await person('security')
  const device = await authenticator(page)
  await register(page, 'the key')
  await signOut(page)
  let sent
  await page.route('**/passkey/prove', (route) => { sent = route.request().postData(); return route.continue() })
  await usePasskey(page)
  await page.waitForURL(at('/'))
  const thief = await newPage()
  await thief.goto(at('/sign-in'))
  const status = await thief.evaluate(async ({ url, body }) => (await fetch(url, { method: 'POST', body: new URLSearchParams(body) })).status, { url: at('/sign-in/passkey/prove'), body: sent })
  assert.ok(status >= 400, `status ${status}`)
  await thief.goto(at('/'))
  assert.match(thief.url(), /sign-in/)
  assert.equal((await device.keys()).length, 1)
  await leave(page, thief)
})

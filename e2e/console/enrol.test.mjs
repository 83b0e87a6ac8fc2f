// The first owner, by the link that a new server prints, and one more by recovery.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { authenticator, leave, newPage, start, stop } from './browser.mjs'
import { serve } from './production.mjs'

let p
before(async () => {
  await start()
  p = await serve()
})
after(async () => {
  await stop()
  await p?.stop()
})

const aLink = /^ *(https?:\S+\/enrol\S*#sallyport_[\w-]{43})$/m

// opened is a browser with a device of its own, at the link.
async function opened(link) {
  const page = await newPage({ ignoreHTTPSErrors: true })
  await authenticator(page)
  await page.goto(link)
  return page
}

async function register(page, name) {
  if (name) await page.getByLabel('Your name').fill(name)
  await page.getByLabel('Name of the passkey').fill('the first one')
  await page.getByRole('button', { name: 'Register and sign in' }).click()
}

test('whoever opens the link of a new server becomes its owner, once, and a lost owner is replaced from the host', async () => {
  const link = await p.says(aLink)
  const page = await opened(link)
  await register(page, 'olga')
  await page.waitForURL(p.at('/'))
  await page.getByText('You are an owner of default').waitFor()
  await page.goto(p.at('/people/olga'))
  await page.locator('main').getByText('owner').first().waitFor()

  const late = await opened(link)
  await register(late, 'mallory')
  await late.getByText('This link opens nothing').waitFor()
  await late.goto(p.at('/'))
  assert.match(late.url(), /sign-in/)

  const { stdout } = await p.run('recover', '--person', 'rita')
  const other = await opened(stdout.match(aLink)[1])
  await register(other)
  await other.waitForURL(p.at('/'))
  await other.locator('.side .me').getByText('rita', { exact: true }).waitFor()
  await leave(page, late, other)
})

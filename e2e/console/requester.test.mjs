// Somebody with no role asks to be in a group until a date; somebody with one, for a new key.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, person, start, stop } from './browser.mjs'

before(async () => {
  await start()
  for (const name of ['night-shift', 'shift-leads']) await api('security', 'POST', '/groups', { name })
  await api('security', 'POST', '/groups/shift-leads/members', { person: 'bob' })
  await api('security', 'POST', '/request-types', { name: 'shift', kind: 'group', groups: ['night-shift'], max_seconds: 864_000, steps: [{ name: 'lead', approvers: { group: 'shift-leads' } }] })
  await api('security', 'POST', '/request-types/shift/publish', undefined, { 'if-match': '"1"' })
})
after(stop)

// inDays is a minute so many days from now, as forms have it.
const inDays = (n) => new Date(Date.now() + n * 86_400_000).toISOString().slice(0, 16)

async function fill(page, until) {
  await page.getByLabel('Group').selectOption('night-shift')
  await page.getByLabel('Until').fill(until)
  await page.getByLabel('Why').fill('I stand in for carol')
  await page.getByRole('button', { name: 'Ask' }).click()
}

test('alice asks for a group until a date, sees how it goes, and is in it until then', async () => {
  const until = inDays(5)
  const alice = await person('alice')
  assert.equal(await alice.getByRole('heading', { name: 'Signing keys' }).count(), 0)
  await alice.getByText('Nothing waits for you').waitFor()
  await alice.getByRole('link', { name: 'Requests' }).first().click()
  await alice.getByRole('link', { name: 'Ask for a group' }).click()
  await fill(alice, inDays(30))
  await alice.locator('#problem').waitFor() // the type lets nobody in for so long
  assert.equal(await alice.getByLabel('Why').inputValue(), 'I stand in for carol')
  await fill(alice, until)
  await alice.waitForURL(/\/requests\/[0-9A-Z]{26}$/)
  await alice.getByRole('status').filter({ hasText: 'Asked.' }).waitFor()
  const steps = () => alice.locator('.timeline > li').allInnerTexts()
  const asked = await steps()
  assert.match(asked[0], /alice/)
  const bob = await person('bob')
  await bob.getByRole('link', { name: /night-shift/ }).first().click()
  await bob.getByText('I stand in for carol').waitFor()
  await bob.getByRole('button', { name: 'Approve' }).click()
  await bob.getByRole('button', { name: 'Approve' }).waitFor({ state: 'detached' })
  await alice.reload()
  assert.match((await steps()).join('\n'), /bob[^]*approved/i)
  await alice.goto(at('/'))
  await alice.locator('section', { hasText: 'My requests' }).getByRole('link', { name: /night-shift/ }).waitFor()
  const { members } = await api('security', 'GET', '/groups/night-shift/members')
  assert.deepEqual(members.map((m) => [m.person, m.until.slice(0, 16)]), [['alice', until]])
  await leave(alice, bob)
})

test('who rotates the SSH authority confirms it, and is told when servers do not know the next key yet', async () => {
  const keys = async () => (await api('auditor', 'GET', '/ssh/ca')).keys.map((k) => [k.fingerprint, k.state])
  const was = await keys()
  const owner = await person('owner')
  await owner.goto(at('/keys'))
  assert.equal(await owner.getByRole('link', { name: 'Rotate the SSH authority' }).count(), 0)
  const page = await person('security')
  await page.goto(at('/keys'))
  await page.getByRole('link', { name: 'Rotate the SSH authority' }).click()
  await page.getByRole('heading', { name: 'Rotate the SSH authority?' }).waitFor()
  await page.getByRole('link', { name: 'Cancel' }).click()
  await page.waitForURL(at('/keys'))
  assert.deepEqual(await keys(), was)
  await page.getByRole('link', { name: 'Rotate the SSH authority' }).click()
  await page.getByRole('button', { name: 'Rotate', exact: true }).click()
  await page.getByText('Rotate again from').waitFor() // the next key is as young as the organisation
  assert.equal(await page.evaluate(() => document.activeElement.id), 'problem')
  assert.deepEqual(await keys(), was)
  await leave(owner, page)
})

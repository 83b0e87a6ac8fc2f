// What an owner does about people and the organisation.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, person, start, stop } from './browser.mjs'

before(start)
after(stop)

test('the owner adds a person to a group until a date', async () => {
  await api('security', 'POST', '/groups', { name: 'journey-people' })
  const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 16)
  const page = await person('owner')
  await page.goto(at('/groups/journey-people'))
  await page.locator('main').getByLabel('Person').selectOption('alice')
  await page.getByLabel('Until').fill(until)
  await page.getByRole('button', { name: 'Add' }).click()
  await page.locator('main td, main th').getByRole('link', { name: 'alice' }).waitFor()
  const { members } = await api('owner', 'GET', '/groups/journey-people/members')
  assert.deepEqual(members.map((m) => [m.person, m.until.slice(0, 16)]), [['alice', until]])
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('the owner changes a setting, and changes it back', async () => {
  const page = await person('owner')
  for (const value of ['roles', 'strict']) {
    await page.goto(at('/settings'))
    await page.getByLabel('Dual control').selectOption(value)
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    assert.equal((await api('owner', 'GET', '/organisation')).dual_control, value)
  }
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

// Without JavaScript: everything is read, found and approved.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, person, start, stop } from './browser.mjs'

before(start)
after(stop)

test('without JavaScript an auditor reads every screen of the menu, filters, and turns the pages', async () => {
  for (let i = 0; i < 12; i++) {
    await Promise.all(Array.from({ length: 10 }, (_, n) => api('security', 'POST', '/groups', { name: `plain-${i}-${n}` })))
  }
  const page = await person('auditor', { javaScriptEnabled: false })
  const menu = await page.locator('.side nav a').evaluateAll((as) => as.map((a) => a.href))
  assert.ok(menu.length > 10)
  for (const href of menu) {
    await page.goto(href)
    assert.ok(await page.getByRole('heading', { level: 1 }).isVisible(), href)
  }
  await page.goto(at('/groups?q=plain-3'))
  assert.equal(await page.locator('main tbody tr').count(), 10)
  await page.goto(at('/groups'))
  const first = await page.locator('main tbody tr').first().innerText()
  await page.getByRole('link', { name: 'Next' }).click()
  assert.match(page.url(), /from=/)
  assert.notEqual(await page.locator('main tbody tr').first().innerText(), first)
  await page.goto(at('/audit'))
  await page.getByLabel('Words').fill('plain-3-7')
  await page.getByRole('button', { name: 'Filter' }).click()
  await page.waitForURL(/q=plain-3-7/)
  assert.equal(await page.locator('#rows tr').count(), 1)
  await page.locator('#rows tr a').first().click()
  assert.ok(await page.getByRole('heading', { level: 1 }).isVisible())
  await leave(page)
})

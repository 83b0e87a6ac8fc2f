// What does not arrive is said: an old list is not the answer to a new question.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, person, start, stop, world } from './browser.mjs'

before(async () => {
  await start()
  for (const project of ['one', 'two']) {
    await api('devops', 'POST', '/connections', {
      name: `lost-${project}`, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project },
    })
  }
})
after(stop)

test('a filter that the server never answered is told, once, until one is answered', async () => {
  const page = await person('devops')
  await page.goto(at('/connections'))
  const words = page.getByLabel('Name or description')
  const lost = page.getByRole('alert').filter({ hasText: 'The server did not answer' })
  await page.context().setOffline(true)
  for (const typed of ['lost-o', 'lost-on']) {
    await words.fill(typed)
    const failed = page.waitForEvent('requestfailed')
    await words.press('Enter')
    await failed
    await lost.waitFor()
    assert.equal(await lost.count(), 1)
  }
  assert.ok(await page.locator('#list tbody tr').count() >= 2, 'the list is the one from before')
  await page.context().setOffline(false)
  await words.fill('lost-one')
  await words.press('Enter')
  await lost.waitFor({ state: 'detached' })
  assert.equal(await page.locator('#list tbody tr').count(), 1)
  await page.context().close()
})

test('what could not be copied is told', async () => {
  const page = await person('devops')
  await page.goto(at('/connections/not-there'))
  await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError')) })
  const copy = page.locator('[data-copy]:visible').first()
  for (let times = 0; times < 2; times++) {
    await copy.click()
    await page.getByText('The browser did not let this be copied').waitFor()
  }
  assert.equal(await page.locator('.uncopied').count(), 1)
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

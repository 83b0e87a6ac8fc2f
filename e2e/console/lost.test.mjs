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

test('a part that is refused is told above it, and no page stands within the page', async () => {
  const page = await person('devops')
  await page.goto(at('/connections'))
  const words = page.getByLabel('Name or description')
  const rows = await page.locator('#list tbody tr').count()
  const answers = [
    [{ status: 502, contentType: 'text/html', body: '<html><main><h1>Bad gateway</h1></main></html>' }, 'The server did not answer'],
    [{ status: 403, contentType: 'text/plain', headers: { 'x-request-id': '1' }, body: 'This page needs the role auditor.' }, 'This page needs the role auditor'],
  ]
  for (const [answer, says] of answers) {
    await page.route(/\/connections\?/, (route) => route.fulfill(answer)) // as a proxy does, or we once a role is gone
    await words.fill(says)
    await words.press('Enter')
    await page.getByRole('alert').filter({ hasText: says }).waitFor()
    assert.equal(await page.locator('main').count(), 1)
    assert.equal(await page.locator('.lost').count(), 1)
    assert.equal(await page.locator('#list tbody tr').count(), rows)
    assert.equal(new URL(page.url()).search, '', 'the address is of what is shown')
    await page.unroute(/\/connections\?/)
  }
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('a session that ends while somebody types takes nothing away', async () => {
  const page = await person('devops')
  await page.goto(at('/connections/lost-one/edit'))
  await page.context().clearCookies()
  const what = page.getByLabel('Description')
  await what.fill('for the release of May')
  await what.press('Tab')
  await page.getByRole('alert').filter({ hasText: 'Your session is over' }).waitFor()
  assert.match(page.url(), /lost-one\/edit$/)
  assert.equal(await what.inputValue(), 'for the release of May')
  assert.deepEqual(page.complaints, [])
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

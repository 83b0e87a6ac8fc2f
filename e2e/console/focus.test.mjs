// Where the focus is after the page has changed by itself: where it was.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, person, start, stop, world } from './browser.mjs'

before(async () => {
  await start()
  for (const project of ['one', 'two']) {
    await api('devops', 'POST', '/connections', {
      name: `focus-${project}`, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project },
    })
  }
})
after(stop)

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute('href'))

// held keeps back the answers to one address until it is let go, so that
// somebody can go on while they are under way.
async function held(page, address) {
  let release
  const released = new Promise((done) => { release = done })
  const asked = page.waitForRequest((r) => address.test(r.url()) && r.headers()['hx-request'])
  await page.route(address, async (route) => {
    if (route.request().headers()['hx-request']) await released
    await route.continue()
  })
  return { asked, release }
}

test('a list that is filtered leaves the focus, and what is typed meanwhile, in the filters', async () => {
  const page = await person('devops')
  await page.goto(at('/connections'))
  const answers = await held(page, /\/connections\?/)
  const swapped = page.evaluate(() => new Promise((done) => document.addEventListener('htmx:after:swap', () => done(document.querySelectorAll('#list tbody tr').length), { once: true })))
  const words = page.getByLabel('Name or description')
  await words.focus()
  await page.keyboard.type('focus-o')
  await page.keyboard.press('Enter')
  await answers.asked
  await page.keyboard.type('ne and more')
  answers.release()
  assert.equal(await swapped, 1, 'the list is of what was asked for')
  assert.equal(await focused(page), 'f-q')
  assert.equal(await words.inputValue(), 'focus-one and more')

  await page.goto(at('/connections'))
  const state = page.getByLabel('State')
  await state.focus()
  await state.selectOption('draft')
  await page.waitForURL(/status=draft/)
  await page.locator('#list tbody tr').first().waitFor()
  assert.equal(await focused(page), 'f-status')
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('the preview of a connection comes while somebody types on in the next field', async () => {
  const page = await person('devops')
  await page.goto(at('/connections/focus-two/edit'))
  const answers = await held(page, /\/edit\/preview$/)
  await page.getByLabel('Description').fill('who to ask')
  await page.keyboard.press('Tab')
  await answers.asked
  const next = await focused(page)
  assert.notEqual(next, 'f-description')
  const before = await page.evaluate(() => document.activeElement.value)
  await page.keyboard.press('End')
  await page.keyboard.type('x')
  answers.release()
  await page.locator('#preview .card').waitFor()
  assert.equal(await focused(page), next)
  assert.equal(await page.evaluate(() => document.activeElement.value), before + 'x')
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('a new event above leaves the focus on the event that somebody looks at', async () => {
  const page = await person('auditor')
  const stream = page.waitForResponse((r) => r.headers()['content-type']?.startsWith('text/event-stream'))
  await page.goto(at('/audit/live?type=group.created'))
  await stream
  await api('security', 'POST', '/groups', { name: 'focus-first' })
  const row = page.locator('#rows tr', { hasText: 'focus-first' })
  await row.getByRole('link').first().focus()
  const on = await focused(page)
  await api('security', 'POST', '/groups', { name: 'focus-second' })
  await page.locator('#rows tr', { hasText: 'focus-second' }).waitFor()
  assert.equal(await focused(page), on)
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('a form that was refused is read from what is wrong with it', async () => {
  const page = await person('security')
  await page.goto(at('/groups/-/new'))
  await page.getByLabel('Name', { exact: true }).fill('Not A Name')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('#problem').waitFor()
  assert.equal(await focused(page), 'problem')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  assert.equal(await focused(page), 'f-name', 'and from there one key leads to the field')
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Not A Name')
  await page.context().close()
})

// Being signed in in several browsers, and ending that from one of them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { addPage, api, at, leave, person, pick, start, stop } from './browser.mjs'
import { isStream } from './tail.mjs'

before(start)
after(stop)

const firefox = { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
const safari = { userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1' }

const sessions = (page) => page.getByRole('table', { name: 'Your sessions' }).locator('tbody tr')

// tail is one more page in a browser, at the live tail of new groups.
async function tail(browser) {
  const page = await addPage(browser.context())
  const stream = page.waitForResponse(isStream)
  await page.goto(at('/audit/live?type=group.created'))
  await stream
  return page
}

// isOut is that a browser's next click leads to the sign-in, and its tail has ended
// and showed nothing more.
async function isOut(browser, watching, unseen) {
  await watching.getByText('Your session is over').first().waitFor()
  assert.equal(await watching.locator('#rows').getByText(unseen).count(), 0, 'it still saw what happened then')
  await browser.getByRole('link', { name: 'Denials', exact: true }).first().click()
  await browser.waitForURL((u) => u.pathname.endsWith('/sign-in'))
  await browser.getByRole('button', { name: 'Sign in with demo' }).waitFor()
}

test('a browser that is ended from another one is signed out at its next click, and its live tail ends', async () => {
  const here = await person('auditor')
  const there = await person('auditor', firefox)
  const watching = await tail(there)
  const other = await person('security')
  await here.goto(at('/sessions'))
  assert.equal(await sessions(here).count(), 2)
  assert.equal(await sessions(here).filter({ hasText: 'this one' }).getByRole('button').count(), 0, 'one signs out of the browser one is at, and does not end it')
  const row = sessions(here).filter({ hasText: 'Firefox' })
  assert.match(await row.innerText(), /(127\.0\.0\.1|::1)[^]*with demo/)
  await row.getByRole('button', { name: /^End the session from/ }).click()
  await here.getByText('The session is ended.').waitFor()
  assert.equal(await sessions(here).filter({ hasText: 'Firefox' }).count(), 0)
  await api('security', 'POST', '/groups', { name: 'after-the-end' })
  await isOut(there, watching, 'after-the-end')
  const { events: [ended] } = await api('auditor', 'GET', '/audit?type=person.signed_out&order=desc&limit=1')
  assert.equal(ended.data.person, 'auditor')
  await pick(there, 'auditor')
  await there.waitForURL(at('/denials')) // where the click was to lead
  await here.reload()
  assert.equal(await sessions(here).count(), 2)
  await other.getByRole('link', { name: 'Denials', exact: true }).first().click()
  await other.waitForURL(at('/denials'))
  await leave(here, there, other)
})

test('whoever ends all others is asked once more, and stays in this browser alone', async () => {
  const here = await person('security2')
  const others = [await person('security2', firefox), await person('security2', safari)]
  const tails = [await tail(others[0]), await tail(others[1])]
  const bystander = await person('auditor')
  await here.goto(at('/sessions'))
  assert.equal(await sessions(here).count(), 3)
  const sure = here.getByRole('button', { name: 'End them now' })
  assert.equal(await sure.isVisible(), false)
  await here.locator('summary', { hasText: 'End all others' }).click()
  await sure.click()
  await here.getByText('Everything else that you were signed in by is ended.').waitFor()
  assert.equal(await sessions(here).count(), 1)
  assert.equal(await here.locator('summary', { hasText: 'End all others' }).count(), 0)
  await api('security', 'POST', '/groups', { name: 'after-all' })
  for (const [i, browser] of others.entries()) await isOut(browser, tails[i], 'after-all')
  await bystander.getByRole('link', { name: 'Denials', exact: true }).first().click()
  await bystander.waitForURL(at('/denials'))
  await here.getByRole('link', { name: 'Denials', exact: true }).first().click()
  await here.waitForURL(at('/denials'))
  await leave(here, ...others, bystander)
})

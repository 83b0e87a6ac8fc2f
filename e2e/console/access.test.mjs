// Asking, approving and denying, and what strangers try at it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, hostile, person, phone, pick, start, stop, world } from './browser.mjs'

const accounts = ['pamadmin1', 'pamadmin2', 'pamadmin3']

before(async () => {
  await start()
  for (const name of ['journey-admins', 'journey-approvers']) await api('security', 'POST', '/groups', { name })
  await api('security', 'POST', '/groups/journey-admins/members', { person: 'alice' })
  await api('security', 'POST', '/groups/journey-approvers/members', { person: 'bob' })
  await api('resource', 'POST', '/projects', { name: 'journey', checkout: { required: false } })
  await api('resource', 'POST', '/servers', {
    name: 'journey-1', project: 'journey', address: 'journey-1.example.com', accounts: accounts.map((name) => ({ name, kind: 'vaulted', username: name })),
  })
  await api('security', 'POST', '/request-types', { name: 'journey', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'journey-approvers' } }] })
  await api('security', 'POST', '/request-types/journey/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'journey', principals: { groups: ['journey-admins'] },
    rules: [{
      name: 'vaulted', resource: { server: 'journey-1' }, privileges: [{ type: 'ssh', accounts }],
      conditions: [{ type: 'access_request', request_type: 'journey', approval_seconds: 900 }],
    }],
  })
  await api('security', 'POST', '/policies/journey/publish', undefined, { 'if-match': '"1"' })
})
after(stop)

// asks is alice asking in the console; the answer is where the request is.
async function asks(page, account, why) {
  const method = `journey/vaulted/ssh:${account}`
  await page.goto(at(`/access/request?resource=server/journey-1&method=${encodeURIComponent(method)}&type=journey`))
  await page.getByLabel('Why').fill(why)
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.getByText(why).waitFor()
  const mine = await api('alice', 'GET', '/access/requests')
  return mine.requests.find((r) => r.justification === why).id
}

test('alice asks, bob approves on his phone from the link, and alice has it open', async () => {
  const alice = await person('alice')
  const id = await asks(alice, 'pamadmin1', hostile)
  const bob = await person('', { viewport: phone })
  await bob.goto(at(`/requests/${id}`))
  await pick(bob, 'bob')
  await bob.waitForURL(at(`/requests/${id}`))
  assert.ok(await bob.getByText(hostile).first().isVisible(), 'the justification is shown as it was written')
  await bob.getByLabel('Comment').fill(hostile)
  await bob.screenshot({ path: `${world.screenshots}/requests-id_approving_phone.png`, fullPage: true })
  await bob.getByRole('button', { name: 'Approve' }).click()
  await bob.getByRole('button', { name: 'Approve' }).waitFor({ state: 'detached' })
  await alice.goto(at(`/requests/${id}`))
  await alice.getByText(hostile).nth(1).waitFor()
  await alice.goto(at('/access'))
  assert.match(await alice.locator('main tr', { hasText: 'journey-1' }).innerText(), /open/i)
  for (const page of [alice, bob]) {
    assert.equal(await page.evaluate(() => window.owned), undefined)
    assert.deepEqual(page.complaints, [])
    await page.context().close()
  }
})

test('a request is denied without JavaScript', async () => {
  const alice = await person('alice')
  const id = await asks(alice, 'pamadmin2', 'the disk is full')
  const bob = await person('', { javaScriptEnabled: false })
  await bob.goto(at(`/requests/${id}`))
  await pick(bob, 'bob')
  await bob.waitForURL(at(`/requests/${id}`))
  await bob.getByLabel('Comment').fill('not today')
  await bob.getByRole('button', { name: 'Deny' }).click()
  await bob.getByRole('button', { name: 'Deny' }).waitFor({ state: 'detached' })
  assert.equal((await api('alice', 'GET', `/access/requests/${id}`)).status, 'denied')
  await alice.context().close()
  await bob.context().close()
})

test('what another site sends changes nothing, and a session ends with the sign-out', async () => {
  const alice = await person('alice')
  const id = await asks(alice, 'pamadmin3', 'for another site')
  const [cookie] = (await alice.context().cookies()).filter((c) => /sallyport/.test(c.name))
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Lax', '/'])
  const bob = await person('bob')
  const session = (await bob.context().cookies()).map((c) => `${c.name}=${c.value}`).join('; ')
  const decide = (headers) => fetch(at(`/requests/${id}/approve`), {
    method: 'POST', redirect: 'manual', headers: { cookie: session, ...headers }, body: new URLSearchParams({ step: '1' }),
  })
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
    assert.equal((await decide(headers)).status, 403, JSON.stringify(headers))
  }
  assert.equal((await api('alice', 'GET', `/access/requests/${id}`)).status, 'pending')
  await bob.goto(at('/requests'))
  await bob.getByRole('button', { name: 'Sign out' }).last().click()
  await bob.getByText('You are signed out').waitFor()
  const after = await fetch(at('/requests'), { headers: { cookie: session }, redirect: 'manual' })
  assert.equal(after.status, 303, 'the cookie of before is good for nothing')
  await alice.context().close()
  await bob.context().close()
})

test('the keyboard reaches the content first, and then the menu, visibly', async () => {
  const page = await person('alice')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main')
  await page.goto(at('/access'))
  const reached = []
  for (let i = 0; i < 40 && !reached.includes('Requests'); i++) {
    await page.keyboard.press('Tab')
    reached.push(await page.evaluate(() => document.activeElement.innerText.trim()))
    const seen = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)
    assert.notEqual(seen, 'none', `${reached.at(-1)} has the focus and does not show it`)
  }
  assert.ok(reached.includes('Requests'), reached.join(', '))
  await page.context().close()
})

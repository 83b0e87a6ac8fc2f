// Being refused: a page of another role, a decision that somebody else took first, and
// a form whose session is over. Each says what to do, and what was typed is kept.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, newPage, person, phone, pick, start, stop, world } from './browser.mjs'

const accounts = ['one', 'two']

before(async () => {
  await start()
  for (const name of ['late-people', 'late-approvers']) await api('security', 'POST', '/groups', { name })
  await api('security', 'POST', '/groups/late-people/members', { person: 'alice' })
  for (const who of ['bob', 'auditor']) await api('security', 'POST', '/groups/late-approvers/members', { person: who })
  await api('resource', 'POST', '/projects', { name: 'late', checkout: { required: false } })
  await api('resource', 'POST', '/servers', {
    name: 'late-1', project: 'late', address: 'late-1.example.com', accounts: accounts.map((name) => ({ name, kind: 'vaulted', username: name })),
  })
  await api('security', 'POST', '/request-types', { name: 'late', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'late-approvers' } }] })
  await api('security', 'POST', '/request-types/late/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'late', principals: { groups: ['late-people'] },
    rules: [{
      name: 'vaulted', resource: { server: 'late-1' }, privileges: [{ type: 'ssh', accounts }],
      conditions: [{ type: 'access_request', request_type: 'late', approval_seconds: 900 }],
    }],
  })
  await api('security', 'POST', '/policies/late/publish', undefined, { 'if-match': '"1"' })
  await api('devops', 'POST', '/connections', { name: 'late-ci', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme' } })
})
after(stop)

const readers = 'owner, devops admin, security admin, resource admin or auditor'

// links that one person sends another, who may not open them, and who may.
for (const [who, has, path, needs] of [
  ['alice', 'member', '/connections/late-ci/activate', readers],
  ['alice', 'member', '/audit?type=token.denied', readers],
  ['devops', 'devops admin', '/policies/late/edit', 'security admin'],
  ['auditor', 'auditor', '/new-connection', 'devops admin or security admin'],
]) {
  test(`${who} who is sent a link to ${path} is told whose page it is, and whom to ask`, async () => {
    const page = await newPage({ viewport: phone })
    await page.goto(at(path))
    const answer = page.waitForResponse((r) => r.url() === at(path))
    await pick(page, who)
    assert.equal((await answer).status(), 403)
    await page.getByRole('heading', { level: 1, name: 'You may not do this' }).waitFor()
    const said = await page.locator('main').innerText()
    assert.match(said, new RegExp(`This page needs the role ${needs}; you have ${has}\\. An owner can give you a role\\.`))
    assert.match(said, /role\.missing[^]*Request\s+\S{20,}/)
    assert.equal(page.url(), at(path), 'the link stays, for when they have the role')
    await page.locator('main').getByRole('link', { name: 'Overview' }).click()
    await page.waitForURL(at('/'))
    await leave(page)
  })
}

test('an approver who comes too late is told who decided, and how, and decides nothing', async () => {
  for (const [account, mine, theirs, was] of [['one', 'Approve', 'deny', 'denied'], ['two', 'Deny', 'approve', 'approved']]) {
    const { id } = await api('alice', 'POST', '/access/requests', { resource: 'server/late-1', method: `late/vaulted/ssh:${account}`, justification: 'the shop is down' })
    const bob = await person('bob', { viewport: phone })
    await bob.route(/[?&]meanwhile=/, (route) => route.fulfill({ status: 204 })) // the page does not hear of it by itself in time
    await bob.goto(at(`/requests/${id}`))
    await bob.getByLabel('Comment').fill('I know them')
    await api('auditor', 'POST', `/access/requests/${id}/${theirs}`, { step: 1, comment: 'as agreed' })
    await bob.getByRole('button', { name: mine }).click()
    await bob.getByRole('alert').waitFor()
    const said = await bob.locator('main').innerText()
    assert.match(said, new RegExp(`${was}`), said)
    assert.match(said, /auditor[^]*as agreed/, 'who decided, and what they said')
    assert.equal(await bob.getByRole('button', { name: /Approve|Deny/ }).count(), 0, 'there is nothing to decide any more')
    const { status, steps } = await api('alice', 'GET', `/access/requests/${id}`)
    assert.equal(status, was)
    assert.deepEqual(steps.flatMap((s) => s.decisions ?? []).map((d) => d.by), ['auditor'])
    await leave(bob)
  }
})

// gone has the session of a browser end, as by another of its tabs.
async function gone(page) {
  const other = await page.context().newPage()
  await other.goto(at('/sessions'))
  await other.getByRole('button', { name: 'Sign out' }).last().click()
  await other.getByText('You are signed out').waitFor()
  await other.close()
}

// sentAgain signs in in another tab, from the page that kept the form, and sends it from there.
async function sentAgain(page, who) {
  await page.getByRole('heading', { level: 1, name: 'Your session is over' }).waitFor()
  const [tab] = await Promise.all([page.context().waitForEvent('page'), page.getByRole('link', { name: 'Sign in in another tab' }).click()])
  await pick(tab, who)
  await tab.getByRole('heading', { level: 1, name: 'It is you' }).waitFor()
  await tab.close()
  await page.getByRole('button', { name: 'Send it again' }).click()
}

const why = 'The disk of the Shop is full,\n"and" <b>so</b> & so on'

test('a request whose session ended while it was written is sent once its person is back', async () => {
  const alice = await person('alice')
  const method = encodeURIComponent('late/vaulted/ssh:one')
  await alice.goto(at(`/access/request?resource=server/late-1&method=${method}&type=late`))
  await alice.getByLabel('Why').fill(why)
  await gone(alice)
  await alice.getByRole('button', { name: 'Ask' }).click()
  await alice.getByText('Nothing was done yet').waitFor()
  const before = (await api('alice', 'GET', '/access/requests')).requests.filter((r) => r.status === 'pending')
  assert.deepEqual(before, [])
  await sentAgain(alice, 'alice')
  await alice.waitForURL(/\/requests\/\w+$/)
  const [mine] = (await api('alice', 'GET', '/access/requests')).requests.filter((r) => r.status === 'pending')
  assert.equal(mine.justification.replaceAll('\r\n', '\n'), why)
  assert.equal(await alice.locator('blockquote').first().innerText(), why)
  await leave(alice)
})

test('a policy whose session ended while it was written is kept to the letter', async () => {
  const security = await person('security')
  const text = 'name: kept\n\n# why: <the shop>\nprincipals: { groups: [late-people] }\nrules:\n  - name: root\n    resource: { server: late-1 }\n    privileges:\n      - { type: ssh, accounts: [one] }\n'
  await security.goto(at('/policies/-/new'))
  await security.getByLabel('Document').fill(text)
  await gone(security)
  await security.getByRole('button', { name: 'Save', exact: true }).click()
  await security.getByText('Nothing was done yet').waitFor()
  assert.equal(await security.getByLabel('Document').inputValue(), text)
  await sentAgain(security, 'security')
  await security.waitForURL(at('/policies/kept'))
  const { rules, status } = await api('security', 'GET', '/policies/kept')
  assert.deepEqual([status, rules[0].privileges], ['draft', [{ type: 'ssh', accounts: ['one'] }]])
  await leave(security)
})

// Two approvers at one request: the page of the slower one says what happened.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, person, phone, start, stop } from './browser.mjs'

before(start)
before(async () => {
  for (const name of ['linux-admins', 'approvers']) await api('security', 'POST', '/groups', { name })
  await api('security', 'POST', '/groups/linux-admins/members', { person: 'alice' })
  for (const who of ['bob', 'auditor']) await api('security', 'POST', '/groups/approvers/members', { person: who })
  await api('resource', 'POST', '/projects', { name: 'shop', checkout: { required: false } })
  await api('resource', 'POST', '/servers', { name: 'web-1', project: 'shop', address: 'web-1.example.com', accounts: [{ name: 'root', kind: 'vaulted', username: 'root' }] })
  await api('security', 'POST', '/request-types', { name: 'server-access', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'approvers' } }] })
  await api('security', 'POST', '/request-types/server-access/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'linux', principals: { groups: ['linux-admins'] },
    rules: [{ name: 'root', resource: { server: 'web-1' }, privileges: [{ type: 'ssh', accounts: ['root'] }], conditions: [{ type: 'access_request', request_type: 'server-access', approval_seconds: 900 }] }],
  })
  await api('security', 'POST', '/policies/linux/publish', undefined, { 'if-match': '"1"' })
})
after(stop)

const ask = () => api('alice', 'POST', '/access/requests', { resource: 'server/web-1', method: 'linux/root/ssh:root', justification: 'the shop is down' })

test('an inbox says that a request came, and its page that somebody else decided it', async () => {
  const bob = await person('bob', { viewport: phone })
  const asked = []
  bob.on('request', (r) => { if (r.headers()['hx-request']) asked.push(new URL(r.url())) })
  await bob.goto(at('/inbox'))
  await bob.getByText('Nothing waits for you').waitFor()
  const { id } = await ask()
  await bob.getByRole('alert').getByText('1 request waits for you now.').waitFor()
  await bob.getByRole('link', { name: 'Show it as it is now' }).click()
  await bob.locator('a.request').click()
  const comment = bob.getByLabel('Comment')
  await comment.fill('on it')
  await bob.waitForResponse((r) => r.url().includes('meanwhile=') && r.status() === 204)
  assert.equal(await comment.inputValue(), 'on it')
  await api('auditor', 'POST', `/access/requests/${id}/deny`, { step: 1, comment: 'not today' })
  await bob.getByRole('alert').getByText('It was denied meanwhile, by auditor.').waitFor()
  assert.equal(await comment.inputValue(), 'on it', 'what was typed is kept')
  assert.equal(await bob.getByRole('button', { name: 'Approve' }).count(), 0, 'there is nothing to approve any more')
  const then = asked.length
  for (const url of asked) assert.deepEqual([...url.searchParams.keys()], ['meanwhile'], 'nothing that was typed is in an address')
  await bob.getByRole('link', { name: 'Show it as it is now' }).click()
  await bob.getByText('not today').waitFor()
  assert.equal(asked.length, then, 'a request that is over is not asked for again')
  await leave(bob)
})

// Split duty: nobody activates what they wrote, whatever they send.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, leave, person, start, stop, world } from './browser.mjs'

before(start)
after(stop)

async function draft(by, name) {
  await api(by, 'POST', '/connections', {
    name, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: name },
  })
}

const status = async (name) => (await api('auditor', 'GET', `/connections/${name}`)).status

// form is what the page of the review sends, as somebody who may see it is shown it;
// but for what says who that was, which whoever forges it leaves out.
async function form(page, name) {
  await page.goto(at(`/connections/${name}/activate`))
  return page.locator('main form[method=post]').last().evaluate((f) => [...new FormData(f)].filter(([name]) => name !== '_once').concat([...f.querySelectorAll('[type=checkbox]')].map((c) => [c.name, c.value])))
}

// force sends it from a page of their own, as a person with a console would.
const force = (page, name, fields) => page.evaluate(async ({ url, fields }) => {
  const res = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })
  return { status: res.status, says: await res.text() }
}, { url: at(`/connections/${name}/activate/confirm`), fields })

// activates is the way it is meant.
async function activates(page, name) {
  await page.goto(at(`/connections/${name}`))
  await page.getByRole('link', { name: 'Review and activate' }).click()
  for (const box of await page.getByRole('checkbox').all()) await box.check()
  await page.getByRole('button', { name: 'Activate' }).click()
  await page.waitForURL(at(`/connections/${name}`))
  assert.equal(await status(name), 'active')
}

test('who drafts cannot activate, not even by sending the form, and the other person can', async () => {
  await draft('devops', 'duty-draft')
  const security = await person('security')
  const fields = await form(security, 'duty-draft')
  const devops = await person('devops')
  await devops.goto(at('/connections/duty-draft'))
  assert.equal(await devops.getByRole('link', { name: 'Review and activate' }).count(), 0)
  const answer = await force(devops, 'duty-draft', fields)
  assert.equal(answer.status, 403)
  assert.match(answer.says, /security.admin/i)
  assert.equal(await status('duty-draft'), 'draft')
  await activates(security, 'duty-draft')
  await leave(devops, security)
})

test('a security admin who edited a connection cannot activate it, and another can', async () => {
  await draft('devops', 'duty-edit')
  const security = await person('security')
  await security.goto(at('/connections/duty-edit/edit'))
  await security.getByLabel('Description').fill('as security would have it')
  await security.getByRole('button', { name: 'Save', exact: true }).click()
  await security.waitForURL(at('/connections/duty-edit'))
  const other = await person('security2')
  const fields = await form(other, 'duty-edit')
  const answer = await force(security, 'duty-edit', fields)
  assert.ok([403, 409].includes(answer.status), `status ${answer.status}`)
  assert.match(answer.says, /wrote|another|somebody else/i)
  assert.equal(await status('duty-edit'), 'draft')
  await activates(other, 'duty-edit')
  await leave(security, other)
})

test('two roles in one person are still one person', async () => {
  const was = await api('owner', 'GET', '/people/devops')
  await api('owner', 'PUT', '/people/devops', { ...was, roles: ['devops_admin', 'security_admin'] }, { 'if-match': `"${was.version}"` })
  await draft('devops', 'duty-both')
  const security = await person('security')
  const fields = await form(security, 'duty-both')
  const devops = await person('devops')
  const answer = await force(devops, 'duty-both', fields)
  assert.ok([403, 409].includes(answer.status), `status ${answer.status}`)
  assert.match(answer.says, /wrote|another|somebody else/i)
  assert.equal(await status('duty-both'), 'draft')
  await activates(security, 'duty-both')
  await leave(devops, security)
})
